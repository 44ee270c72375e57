/**
 * Holds the prior precision against the f64 reference. Tolerances are relative, as all terms are positive: the two sums
 * by sumTolerance over the weights, a term of the effective number by 3 roundings and a division, and the quotient by a
 * division. An update by evidence is no more sensitive to the precision before it than 1, so errors add up by round.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { evidencePrior, matchedPrior } from "../reference/confidence.ts";
import { F32_ROUNDOFF, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertRoundings, divisionRoundings } from "./precision.ts";

const exampleCount = 500, quadsPerChunk = 3, floor = Math.fround(.01);

/** Layers of a value arena in quads; the third has one quad, the fourth is all removed, the fifth all zeros. */
const layerQuads = [25, 250, 1, 4, 2];

/** Where a layer's quads and chunks lie. */
const layers = layerQuads.map((quads, i) => {
  const before = layerQuads.slice(0, i);
  const chunksIn = (count: number) => Math.ceil(count / quadsPerChunk);
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  return {
    quads,
    offset: 2 + sum(before),
    chunkOffset: 1 + sum(before.map(chunksIn)),
    chunks: chunksIn(quads),
  };
});

/** Arenas of means, Fisher diagonals over six orders of magnitude, and masks. */
function arenasOf() {
  const words = 4 * (layers.at(-1)!.offset + layers.at(-1)!.quads);
  const mean = Float32Array.from(randomTensor([words], 1, .1).values);
  const fisher = Float32Array.from(randomTensor([words], 2, 3).values, (power) => 10 ** power);
  const mask = Float32Array.from(randomTensor([words], 3).values, (value) => value > -.5 ? 1 : 0);
  const of = (arena: Float32Array, i: number) =>
    arena.subarray(4 * layers[i].offset, 4 * (layers[i].offset + layers[i].quads));
  of(mask, 2)[0] = 1;
  of(mask, 3).fill(0);
  of(mean, 4).fill(0);
  // The second layer has seen next to nothing, so that its evidence falls below the floor.
  of(fisher, 1).forEach((value, i, own) => own[i] = value * 1e-9);
  const kept = (arena: Float32Array, i: number) => [...of(arena, i)].filter((_, j) => of(mask, i)[j] > 0);
  return { mean, fisher, mask, kept };
}

function sumsDispatch(layer: number, EFFECTIVE: number): Dispatch {
  const { quads, offset, chunkOffset, chunks } = layers[layer];
  return dispatchOver(chunks, {
    kernel: "score/prior_sums",
    label: "sums",
    bindings: {
      mean: inputRef("mean"),
      fisher: inputRef("fisher"),
      mask: inputRef("mask"),
      prior_precision: inputRef("prior_precision"),
      sums: inputRef("sums"),
    },
    params: {
      quads,
      quads_per_chunk: quadsPerChunk,
      offset,
      chunk_offset: chunkOffset,
      layer,
      examples: exampleCount,
    },
    constants: { EFFECTIVE },
  });
}

function updateDispatch(
  { chunkOffset, chunks, layer, count, EVIDENCE }: {
    readonly chunkOffset: number;
    readonly chunks: number;
    readonly layer: number;
    readonly count: number;
    readonly EVIDENCE: number;
  },
): Dispatch {
  return {
    kernel: "score/prior_update",
    label: "update",
    bindings: { sums: inputRef("sums"), prior_precision: inputRef("prior_precision") },
    params: { chunk_offset: chunkOffset, chunks, layer, layers: count, floor },
    constants: { EVIDENCE },
    workgroups: [1, 1, 1],
  };
}

async function runPrior(path: ReadPath, dispatches: readonly Dispatch[]): Promise<Float32Array> {
  const { mean, fisher, mask } = arenasOf();
  const chunks = layers.at(-1)!.chunkOffset + layers.at(-1)!.chunks;
  const { floats } = await runKernels({
    path,
    dispatches,
    buffers: {
      mean,
      fisher,
      mask,
      sums: new Float32Array(4 * chunks).fill(7),
      prior_precision: new Float32Array(8).fill(9),
    },
  });
  return floats("prior_precision");
}

/** Roundings of one update, for a layer of so many quads. */
function updateRoundings(quads: number): number {
  const sums = 2 * sumTolerance(4 * quads, 1) / F32_ROUNDOFF;
  return sums + 4 + 2 * divisionRoundings;
}

const layerUpdate = (layer: number, EVIDENCE: number) =>
  updateDispatch({ ...layers[layer], layer, count: 1, EVIDENCE });

for (const path of readPaths) {
  Deno.test(`prior_sums() and prior_update() match all layers together, ${path} path`, async () => {
    const { chunkOffset } = layers[0], last = layers.at(-1)!;
    const chunks = last.chunkOffset + last.chunks - chunkOffset;
    const got = await runPrior(path, [
      ...layers.map((_, layer) => sumsDispatch(layer, 0)),
      updateDispatch({ chunkOffset, chunks, layer: 1, count: layers.length, EVIDENCE: 0 }),
    ]);
    const { mean, kept } = arenasOf();
    const want = matchedPrior(layers.map((_, i) => kept(mean, i)));
    const roundings = updateRoundings(282);
    const name = `${path} matched`;
    assertRoundings(got, [9, want, want, want, want, want, 9, 9], { roundings, name });
  });

  Deno.test(`prior_update() writes more layers than a workgroup has lanes, ${path} path`, async () => {
    const { floats } = await runKernels({
      path,
      dispatches: [updateDispatch({ chunkOffset: 0, chunks: 130, layer: 1, count: 99, EVIDENCE: 0 })],
      buffers: {
        sums: Float32Array.from({ length: 4 * 130 }, (_, i) => [.5, 0, 2, 0][i % 4]),
        prior_precision: new Float32Array(104).fill(9),
      },
    });
    const want = Array.from({ length: 104 }, (_, i) => i >= 1 && i < 100 ? 4 : 9);
    assertRoundings(floats("prior_precision"), want, {
      roundings: divisionRoundings,
      name: `${path} 99 layers`,
    });
  });

  Deno.test(`prior_update() with EVIDENCE follows the reference over rounds, with its floor, ${path} path`, async () => {
    for (const rounds of [1, 2, 7]) {
      const got = await runPrior(path, [
        ...layers.flatMap((_, layer) => [sumsDispatch(layer, 0), layerUpdate(layer, 0)]),
        ...Array.from(
          { length: rounds },
          () => layers.flatMap((_, layer) => [sumsDispatch(layer, 1), layerUpdate(layer, 1)]),
        ).flat(),
      ]);
      const { mean, fisher, kept } = arenasOf();
      for (const layer of [0, 1, 2]) {
        const own = kept(mean, layer);
        const lowest = floor * matchedPrior([own]);
        const want = evidencePrior(own, kept(fisher, layer), { exampleCount, rounds, lowest });
        const roundings = (rounds + 1) * updateRoundings(layers[layer].quads);
        const name = `${path} layer ${layer}, ${rounds} rounds`;
        assertRoundings([got[layer]], [want], { roundings, name });
        if ((layer === 1) !== (want === lowest)) throw new Error(`${name}: the floor serves layer 1 alone`);
      }
      assertRoundings(got.subarray(3), [1, 1, 9, 9, 9], {
        roundings: 0,
        name: `${path} nothing kept, zeros`,
      });
    }
  });
}
