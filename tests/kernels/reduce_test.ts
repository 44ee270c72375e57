/**
 * Holds column sums against sums in f64. Tolerance: sumTolerance over the rows and the scale's two roundings (its own
 * to f32 and its product), the magnitude being the largest sum of absolute terms times the scale.
 */
import assert from "node:assert/strict";
import { chunksOf, sumColumns, sumSplits } from "../../src/kernels/reduce.ts";
import { quadsOf } from "../../src/shape.ts";
import {
  absoluteOf,
  assertClose,
  maxAbs,
  randomTensor,
  type RefTensor,
  sumTolerance,
} from "../reference/tensor.ts";
import { fromQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, assertSame, unwritten } from "./precision.ts";

/** Sums the rows of (rows, channels), scaled. */
function columnSums({ shape: [rows, channels], values }: RefTensor, scale: number): Float64Array {
  const sums = new Float64Array(channels);
  for (let i = 0; i < rows * channels; i++) sums[i % channels] += scale * values[i];
  return sums;
}

for (const path of readPaths) {
  Deno.test(`columns() adds bias_backward's rows, ${path} path`, async () => {
    for (
      const [rows, channels, scale] of [[1, 1, 1], [16, 4, .5], [17, 3, 1], [163, 33, .1], [20011, 5, 1]]
    ) {
      const dy = randomTensor([rows, channels], rows);
      const quads = quadsOf(channels), offset = 2;
      const run = () =>
        runKernels({
          path,
          dispatches: sumColumns({
            label: "bias",
            term: "reduce/bias_backward",
            bindings: { dy: "dy" },
            rows,
            quads,
            scratch: "scratch",
            out: "out",
            offset,
            scale,
          }),
          buffers: {
            dy: toQuads(dy.values, rows, channels),
            scratch: unwritten(4 * quads * chunksOf(rows).chunks),
            out: unwritten(4 * (offset + quads + 1)),
          },
        });
      const out = (await run()).floats("out");
      const got = out.subarray(4 * offset, 4 * (offset + quads));
      const magnitude = maxAbs(columnSums(absoluteOf(dy), scale));
      const tolerance = sumTolerance(rows + 2, magnitude);
      const name = `${path} ${rows} rows, ${channels} channels`;
      assertClose(fromQuads(got, 1, channels), columnSums(dy, scale), { tolerance, name });
      assertPadding(got, channels, { name });
      assert(out.subarray(0, 4 * offset).every(Number.isNaN), `${name}: writes before its offset`);
      assert(out.subarray(4 * (offset + quads)).every(Number.isNaN), `${name}: writes past its end`);
      assertSame(
        (await run()).floats("out").subarray(4 * offset, 4 * (offset + quads)),
        got,
        "twice the same bits",
      );
    }
  });

  Deno.test(`splits() overwrites, or adds to what is there with ACCUMULATE, ${path} path`, async () => {
    for (const [quads, splits] of [[1, 1], [3, 7], [130, 5]]) {
      const sums = randomTensor([splits, 4 * quads], 1), before = randomTensor([1, 4 * quads], 2);
      const offset = 1, scale = .25;
      const dispatch = sumSplits({
        label: "splits",
        scratch: "sums",
        out: "out",
        offset,
        quads,
        splits,
        scale,
      });
      const start = Float32Array.from([0, 0, 0, 0, ...before.values]);
      const { floats } = await runKernels({
        path,
        dispatches: [
          dispatch,
          { ...dispatch, bindings: { sums: "sums", out: "added" }, constants: { ACCUMULATE: 1 } },
        ],
        buffers: { sums: Float32Array.from(sums.values), out: start, added: start },
      });
      const want = columnSums(sums, scale);
      const tolerance = sumTolerance(splits + 2, 1 + maxAbs(columnSums(absoluteOf(sums), scale)));
      const name = `${path} ${quads} quads, ${splits} splits`;
      assertClose(floats("out").subarray(4), want, { tolerance, name });
      const added = want.map((sum, i) => sum + before.values[i]);
      assertClose(floats("added").subarray(4), added, { tolerance, name: `${name}, added` });
    }
  });
}
