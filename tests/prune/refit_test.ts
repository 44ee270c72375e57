/**
 * Holds the refit of a layer against f64 normal equations. Tolerances: refitTolerance. Weights are held by their residual
 * A w - c, from which their error follows; signals and shifts by what f64 makes of the device's weights.
 */
import assert from "node:assert/strict";
import { ConfigError, NumericError, ShapeError } from "../../src/errors.ts";
import { batchSystems } from "../../src/prune/refit/solve.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { RefitLayer } from "../../src/prune/refit/refit_layer.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { wholeBuffer } from "../../src/gpu/bind.ts";
import { deviceOf } from "../helpers/devices.ts";
import { imagesToQuads, readPaths } from "../kernels/harness.ts";
import { assertPadding, assertSame } from "../kernels/precision.ts";
import { meansOf } from "../reference/refit.ts";
import { assertClose } from "../reference/tensor.ts";
import {
  refitByReference,
  type RefitCase,
  refitCases,
  refitOnDevice,
  type RefitResult,
  refitTensors,
  refitTolerance,
} from "./refit_cases.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";

/** Holds a device's results of a case against the reference's. */
function assertRefit(each: RefitCase, got: RefitResult, name: string): void {
  const factors = new Map(got.report.raised.map(({ row, factor }) => [row, factor]));
  const rowFactors = Array.from({ length: each.outputs }, (_, row) => factors.get(row) ?? 1);
  const { rows, u, t } = refitByReference(each, rowFactors);
  const columns = u.shape[1], inputMeans = meansOf(u), targetMeans = meansOf(t);
  assertPadding(got.quads, each.x[1], { name });
  for (const [r, row] of rows.entries()) {
    const size = row.support.length, own = `${name} row ${r}`;
    const place = (a: number) => r * columns + row.support[a];
    const weights = Float64Array.from(row.support, (_, a) => got.weights[place(a)]);
    const tolerance = refitTolerance(row, { u, t, samples: each.samples, weights });
    const residual = row.right.map((value, a) =>
      weights.reduce((sum, w, b) => sum + row.matrix.values[a * size + b] * w, -value)
    );
    assertClose(residual, new Float64Array(size), { tolerance: tolerance.residual, name: `${own} residual` });
    for (const [a, w] of weights.entries()) {
      const signal = Math.abs(w) / Math.sqrt(row.inverse.values[a * size + a]);
      const options = { tolerance: tolerance.signals[a], name: `${own} signal ${a}` };
      assertClose([got.signals[place(a)]], [signal], options);
    }
    const shift = weights.reduce((rest, w, a) => rest - w * inputMeans[row.support[a]], targetMeans[r]);
    assertClose([got.shift[r]], [shift], { tolerance: tolerance.shift, name: `${own} shift` });
    const isRemoved = (value: number, column: number) => row.support.includes(column) || value === 0;
    const ofRow = (values: Float64Array) => values.subarray(r * columns, (r + 1) * columns);
    assert(ofRow(got.weights).every(isRemoved), `${own}: a removed weight is not 0`);
    assert(ofRow(got.signals).every(isRemoved), `${own}: a removed weight has a signal`);
  }
  assert.deepEqual(got.report.kept, rows.map(({ support }) => support.length), `${name} kept`);
}

/** Holds all cases on a device, which is to be left as it was. */
async function checkCases(gpu: Gpu, name: string): Promise<void> {
  const before = gpu.allocatedBytes;
  for (const [i, each] of refitCases.entries()) {
    const got = await refitOnDevice(gpu, each);
    assertRefit(each, got, `${name} case ${i}`);
    assert.deepEqual(got.report.raised, [], `case ${i} needs no more damping`);
  }
  assert.equal(gpu.allocatedBytes, before);
}

for (const path of readPaths) {
  Deno.test(`RefitLayer() solves the normal equations of every row, ${path} path`, async () => {
    await checkCases(await deviceOf(path), path);
  });
}

const { gpu: withSubgroups, ignore } = await openWithSubgroups();

Deno.test({
  name: "RefitLayer() solves the normal equations of every row, through subgroups",
  ignore,
  fn: () => checkCases(withSubgroups, "subgroups"),
});

/** A case of several blocks, with targets that can be spoilt. */
const usual = refitCases[1];

Deno.test("RefitLayer() gives the same bits however rows are batched", async () => {
  const gpu = await deviceOf();
  const whole = await refitOnDevice(gpu, usual);
  const one = await refitOnDevice(gpu, { ...usual, scratchBytes: 1 });
  for (const key of ["weights", "signals", "shift"] as const) assertSame(one[key], whole[key], key);
});

Deno.test("RefitLayer() raises the damping of rows that are singular in f32, and reports it", async () => {
  const gpu = await deviceOf();
  const each: RefitCase = { ...usual, x: [40, 16, 3, 3], kernel: [1, 1], padding: [0, 0], damping: 1e-12 };
  const tensors = refitTensors(each);
  // Every channel is the first, so that all but one pivot of a row are rounding.
  const [images, channels, height, width] = each.x;
  for (let i = 0; i < images * channels * height * width; i++) {
    const image = Math.floor(i / (channels * height * width));
    tensors.x.values[i] = tensors.x.values[image * channels * height * width + i % (height * width)];
  }
  const { report, weights, shift, signals } = await refitOnDevice(gpu, each, tensors);
  assert(report.raised.some(({ row }) => row === 0), "the row that keeps all channels");
  assert(report.raised.every(({ factor }) => factor >= 10 && factor <= 1e8));
  for (const values of [weights, shift, signals]) assert(values.every(Number.isFinite));
  // The kept channels share what one of them has to give: the sum of a row's weights is the regression on one channel.
  const { rows } = refitByReference({ ...each, damping: 1e-6 }, [], tensors);
  const sums = rows.map((_, r) =>
    weights.subarray(r * channels, (r + 1) * channels).reduce((a, b) => a + b, 0)
  );
  const wanted = rows.map((row) => row.weights.reduce((a, b) => a + b, 0));
  // What is left of the damping, raised 1e8 times at most, against a kept channel's variance: 1e-4 and rounding.
  assertClose(sums, wanted, { tolerance: 1e-2, name: "sums of weights" });
});

Deno.test("RefitLayer() solves again with other masks, and writes over the dense weights where asked to", async () => {
  const gpu = await deviceOf();
  const { x, y, positions, geometry } = refitTensors(usual);
  const bufferOf = (values: Float32Array) => {
    const buffer = gpu.createBuffer("buffer", values.byteLength);
    buffer.write(values);
    return buffer;
  };
  const words = 4 * 7 * 9 * 2;
  const buffers = [
    bufferOf(imagesToQuads(x.values, x.shape)),
    bufferOf(imagesToQuads(y.values, y.shape)),
    bufferOf(new Float32Array(words).fill(1)),
    bufferOf(new Float32Array(words)),
    bufferOf(new Float32Array(8)),
  ];
  const [input, targets, ones, values, shift] = buffers;
  const place = (buffer: typeof ones) => ({ buffer, offset: 0 });
  using refit = new RefitLayer(gpu, geometry, { samples: 100 });
  await refit.accumulate({ x: wholeBuffer(input), targets: wholeBuffer(targets), positions });
  assert.equal(refit.count, positions.length);
  const solve = async (mask: typeof ones, dense: typeof ones) => {
    const solved = await refit.solve({
      mask: place(mask),
      dense: place(dense),
      values: place(values),
      shift: place(shift),
    });
    return { kept: solved.kept, values: await readFloats(gpu, values) };
  };
  const first = await solve(ones, values);
  assert.deepEqual(first.kept, Array(7).fill(45));
  const zeros = bufferOf(new Float32Array(words));
  const none = await solve(zeros, zeros);
  assertSame(none.values, new Float32Array(words), "nothing is kept");
  assertSame((await solve(ones, zeros)).values, first.values, "the first solution again");
  for (const buffer of [...buffers, zeros]) buffer[Symbol.dispose]();
});

Deno.test("RefitLayer() never writes what is not finite", async () => {
  const gpu = await deviceOf();
  const tensors = refitTensors(usual);
  tensors.x.values[100] = NaN;
  await assert.rejects(() => refitOnDevice(gpu, usual, tensors), NumericError);
  const others = refitTensors(usual);
  others.y.values[others.positions[3] % 42] = Infinity;
  await assert.rejects(() => refitOnDevice(gpu, usual, others), NumericError);
});

Deno.test("RefitLayer() rejects what does not fit", async () => {
  const gpu = await deviceOf();
  const { geometry } = refitTensors(usual);
  const open = (change: object, samples = 64) => new RefitLayer(gpu, { ...geometry, ...change }, { samples });
  assert.throws(() => open({ outSize: [7, 7] }), {
    name: "ShapeError",
    message: 'Cannot refit layer "layer": an output of 7 along axis 1, expected 6',
  });
  assert.throws(() => open({ inChannels: 0 }), ShapeError);
  assert.throws(() => open({ padding: [-1, 0] }), ShapeError);
  assert.throws(() => open({}, 0), ShapeError);
  const before = gpu.allocatedBytes;
  assert.throws(() => open({ inChannels: 12000 }), ShapeError);
  assert.equal(gpu.allocatedBytes, before);
  using refit = open({});
  const buffer = gpu.createBuffer("ones", 4 * 5 * 42 * 8),
    bound = wholeBuffer(buffer),
    place = { buffer, offset: 0 };
  const examples = { x: bound, targets: bound, positions: Uint32Array.of(0) };
  const targets = { mask: place, dense: place, values: place, shift: place };
  await assert.rejects(() => refit.solve(targets), {
    name: "ConfigError",
    message: 'Cannot refit layer "layer": no samples, expected a call of accumulate() before',
  });
  await assert.rejects(() => refit.accumulate({ ...examples, positions: Uint32Array.of(210) }), {
    name: "ShapeError",
    message: 'Cannot refit layer "layer": a sample at 210, expected places below 210, of targets below 210',
  });
  await assert.rejects(
    () => refit.accumulate({ ...examples, targetLines: Uint32Array.of(0, 1) }),
    ShapeError,
  );
  await refit.accumulate(examples);
  await assert.rejects(() => refit.solve({ ...targets, damping: 0 }), ConfigError);
  buffer[Symbol.dispose]();
});

Deno.test("batchSystems() puts rows of like size together, within a budget", () => {
  const counts = [0, 33, 32, 1, 200, 190];
  const all = { counts, scratchQuads: 1e9, withIdentity: false };
  assert.deepEqual(batchSystems([0, 1, 2, 3, 4, 5], all), [{
    rows: [4, 5, 1, 2, 3, 0],
    size: 224,
    lines: 232,
    shrink: 32,
  }]);
  // Seven block columns of 8 quads, each of 32 lines fewer than the one before.
  const tight = { ...all, scratchQuads: 2 * 8 * (7 * 232 - 32 * 21) };
  assert.deepEqual(batchSystems([0, 1, 2, 3, 4, 5], tight).map(({ rows, size }) => [rows, size]), [
    [[4, 5], 224],
    [[1, 2, 3, 0], 64],
  ]);
  assert.deepEqual(batchSystems([3], { ...all, scratchQuads: 1, withIdentity: true }), [
    { rows: [3], size: 32, lines: 72, shrink: 0 },
  ]);
  const many = Array.from({ length: 10 }, (_, i) => i < 8 ? 100 : 50);
  assert.deepEqual(
    batchSystems([...many.keys()], { ...all, counts: many }).map(({ rows, size }) => [rows.length, size]),
    [[8, 128], [2, 64]],
  );
});
