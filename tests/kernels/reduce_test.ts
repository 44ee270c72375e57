/**
 * Holds column sums against sums in f64. Tolerance: sumTolerance over the rows and the scale's two roundings (its own
 * to f32 and its product), the magnitude being the largest sum of absolute terms times the scale.
 */
import assert from "node:assert/strict";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { columnMoments, splitRows, sumColumns, sumSplits } from "../../src/kernels/reduce.ts";
import { countQuads } from "../../src/shape.ts";
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
      const [rows, channels, scale] of [[1, 1, 1], [16, 4, .5], [17, 3, 1], [163, 33, .1], [20011, 5, 1], [
        3001,
        261,
        1,
      ]]
    ) {
      const dy = randomTensor([rows, channels], rows);
      const quads = countQuads(channels), offset = 2;
      const run = () =>
        runKernels({
          path,
          dispatches: sumColumns({
            label: "bias",
            term: "reduce/bias_backward",
            bindings: { dy: inputRef("dy") },
            rows,
            quads,
            scratch: inputRef("scratch"),
            out: inputRef("out"),
            offset,
            scale,
          }),
          buffers: {
            dy: toQuads(dy.values, rows, channels),
            scratch: unwritten(4 * quads * splitRows(rows, quads).chunks),
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

  Deno.test(`moments() and their merge do not cancel far from zero, ${path} path`, async () => {
    for (const [rows, channels] of [[1, 1], [2, 5], [16, 4], [17, 3], [163, 33], [20011, 5], [3001, 261]]) {
      const { shape, values } = randomTensor([rows, channels], rows), quads = countQuads(channels);
      const x = { shape, values: values.map((value) => Math.fround(value + 50)) };
      const columns = {
        rows,
        quads,
        scratch: inputRef("s"),
        mean: inputRef("mean"),
        variance: inputRef("variance"),
      };
      const update = {
        kernel: "reduce/running_statistics",
        bindings: inputRefs({ running: "running", tally: "tally" }),
        params: { running_mean: 0, running_variance: quads, momentum: 1, correction: 1 },
      };
      const dispatches = columnMoments({ label: "x", x: inputRef("x"), ...columns, update });
      const { floats } = await runKernels({
        path,
        dispatches,
        buffers: {
          x: toQuads(x.values, rows, channels),
          s: unwritten(8 * quads * splitRows(rows, quads).chunks),
          mean: unwritten(4 * quads),
          variance: unwritten(4 * quads),
          running: unwritten(8 * quads),
          tally: Uint32Array.of(0, 0, 0, 0xffffffff),
        },
        step: { index: 0 },
      });
      const mean = columnSums(x, 1 / rows);
      const squares = { shape, values: x.values.map((value, i) => (value - mean[i % channels]) ** 2) };
      const name = `${path} ${rows} rows, ${channels} channels`;
      const meanError = sumTolerance(splitRows(rows, quads).rowsPerChunk, 51);
      const got = (buffer: string) => fromQuads(floats(buffer), 1, channels);
      assertClose(got("mean"), mean, { tolerance: meanError, name: `${name}, mean` });
      // |x - mean| <= 2 is off by the mean's own error.
      const tolerance = sumTolerance(rows, 1) + 4 * meanError;
      assertClose(got("variance"), columnSums(squares, 1 / rows), { tolerance, name: `${name}, variance` });
      assertSame(floats("running"), [...floats("mean"), ...floats("variance")], `${name}, running`);
      for (const buffer of ["mean", "variance"]) {
        assertPadding(floats(buffer), channels, { name: `${name} ${buffer}` });
      }
    }
  });

  Deno.test(`splits() overwrites, or adds to what is there with ACCUMULATE, ${path} path`, async () => {
    for (const [quads, splits] of [[1, 1], [3, 7], [130, 5], [130, 20], [3, 601]]) {
      const sums = randomTensor([splits, 4 * quads], 1), before = randomTensor([1, 4 * quads], 2);
      const offset = 1, scale = .25;
      const dispatch = sumSplits({
        label: "splits",
        scratch: inputRef("sums"),
        out: inputRef("out"),
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
          {
            ...dispatch,
            bindings: { sums: inputRef("sums"), out: inputRef("added") },
            constants: { ...dispatch.constants, ACCUMULATE: 1 },
          },
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
