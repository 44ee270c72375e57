/** Holds the guards of priors and refits against what is not finite; see finite_test.ts. */
import assert from "node:assert/strict";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame, inputs, isFiniteWord, notFiniteWords, numbers, withWords } from "./precision.ts";

for (const path of readPaths) {
  Deno.test(`prior_update() marks a precision whose sums are not finite, ${path} path`, async () => {
    for (const EVIDENCE of [0, 1]) {
      for (
        const [word, sound] of [
          [0x3f800000, true],
          ...notFiniteWords.map((word) => [word, false] as const),
        ] as const
      ) {
        const { integers } = await runKernels({
          path,
          dispatches: [{
            kernel: "score/prior_update",
            label: "update",
            bindings: inputs("sums", "prior_precision"),
            params: { chunk_offset: 0, chunks: 3, layer: 0, layers: 1, floor: 1e-3 },
            constants: { EVIDENCE },
            workgroups: [1, 1, 1],
          }],
          buffers: { sums: withWords(numbers(12).map(Math.abs), { 4: word }), prior_precision: 4 },
        });
        assert.equal(isFiniteWord(integers("prior_precision")[0]), sound, word.toString(16));
      }
    }
  });

  Deno.test(`refit/damping marks inputs whose variance is not finite, padding left out, ${path} path`, async () => {
    const run = async (words: Readonly<Record<number, number>>) => {
      const { integers } = await runKernels({
        path,
        dispatches: [{
          kernel: "refit/damping",
          label: "damping",
          bindings: inputs("covariance", "damping"),
          params: { columns: 8, width: 4, channels: 3, share: .5 },
          constants: {},
          workgroups: [1, 1, 1],
        }],
        buffers: { covariance: withWords(numbers(64).map(Math.abs), words), damping: 4 },
      });
      return isFiniteWord(integers("damping")[0]);
    };
    for (const word of notFiniteWords) {
      // Element (i, i) of up to 64 packed columns lies at 8 i + i.
      for (const column of [0, 2, 4, 6]) assert(!await run({ [9 * column]: word }), word.toString(16));
      assert(await run({ [9 * 3]: word, 1: word }), "what is no variance");
    }
  });

  Deno.test(`refit/shift flags a solution that is not finite where its mean is 0, ${path} path`, async () => {
    for (const word of [0, ...notFiniteWords]) {
      const names = ["solutions", "support", "counts", "chosen", "flags", "sums", "shift_sums", "shift"];
      const { integers } = await runKernels({
        path,
        dispatches: [dispatchOver(1, {
          kernel: "refit/shift",
          label: "shift",
          bindings: inputs(...names),
          params: { systems: 1, size: 32, columns: 4, offset: 0, scale: 0, shift_scale: 0 },
        })],
        buffers: {
          solutions: withWords(new Float32Array(32), { 1: word }),
          support: Uint32Array.of(0, 1, 2, 3),
          counts: Uint32Array.of(3),
          chosen: new Uint32Array(2),
          flags: 4,
          sums: 8,
          shift_sums: 8,
          shift: 4,
        },
      });
      assert.equal(integers("flags")[0], word === 0 ? 0 : 1, word.toString(16));
    }
  });

  Deno.test(`refit/factor_diagonal flags pivots that are not finite, ${path} path`, async () => {
    const systems = notFiniteWords.length + 1, quads = 32 * 8;
    const diagonals = new Float32Array(systems * 4 * quads);
    for (let s = 0; s < systems; s++) {
      for (let i = 0; i < 32; i++) diagonals[4 * (s * quads + 32 * (i >> 2) + i) + i % 4] = 2;
    }
    // Quad q of line i at 32 q + i.
    const place = (s: number, i: number) => 4 * (s * quads + 32 * (i >> 2) + i) + i % 4;
    const words = Object.fromEntries(notFiniteWords.map((word, s) => [place(s, 5 * s + 1), word]));
    const names = ["diagonals", "inverses", "damping", "chosen", "flags"];
    const { integers } = await runKernels({
      path,
      dispatches: [dispatchOver(systems, {
        kernel: "refit/factor_diagonal",
        label: "diagonal",
        bindings: inputs(...names),
        params: { systems, size: 32, lines: 40, shrink: 32, block: 0 },
      })],
      buffers: {
        diagonals: withWords(diagonals, words),
        inverses: systems * 192 * 4,
        damping: Float32Array.of(1),
        chosen: Uint32Array.from({ length: 2 * systems }, (_, i) => i % 2 === 0 ? i / 2 : 0x3f800000),
        flags: systems,
      },
    });
    const wanted = Array.from({ length: systems }, (_, s) => s < notFiniteWords.length ? 1 : 0);
    assertSame(integers("flags").subarray(0, systems), wanted, "flags");
  });
}
