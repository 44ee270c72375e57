/**
 * Holds pooling against the f64 reference. Maxima are exact; sums have sumTolerance over the windows of a pixel or the
 * pixels of a window, and the average one division, of 5 roundings, besides.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { countQuads, toPair, type Windows } from "../../src/shape.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  maxPool2dBackward,
  maxPool2dForward,
  pooledShape,
} from "../reference/pool2d.ts";
import { assertClose, randomTensor, type RefTensor, sumTolerance } from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, assertSame, divisionRoundings, unwritten } from "./precision.ts";

const poolings: readonly Pooling[] = [
  { shape: [1, 1, 1, 1], kernel: 1, stride: 1, padding: 0 },
  { shape: [2, 3, 4, 6], kernel: 2, stride: 2, padding: 0 },
  { shape: [2, 5, 5, 7], kernel: 2, stride: 2, padding: 0 },
  { shape: [2, 6, 10, 8], kernel: 3, stride: 3, padding: 0 },
  { shape: [3, 6, 7, 8], kernel: 3, stride: 2, padding: 1 },
  { shape: [2, 17, 6, 5], kernel: 3, stride: 1, padding: 1 },
  { shape: [1, 2, 9, 8], kernel: 2, stride: 3, padding: 1 },
  { shape: [2, 4, 5, 3], kernel: 5, stride: 1, padding: 2 },
  { shape: [2, 5, 9, 7], kernel: [3, 2], stride: [3, 2], padding: 0 },
  { shape: [2, 3, 8, 11], kernel: [2, 5], stride: [1, 3], padding: [1, 2] },
  { shape: [1, 6, 9, 4], kernel: [4, 1], stride: [2, 1], padding: [0, 0] },
  // Windows that reach over the edges below and on the right only, and means over the pixels that there are.
  { shape: [2, 3, 6, 7], kernel: 3, stride: 2, padding: 0, paddingAfter: [1, 0] },
  { shape: [2, 5, 5, 7], kernel: 2, stride: 2, padding: 0, paddingAfter: 1, countsPadding: false },
  { shape: [1, 4, 7, 8], kernel: 3, stride: 3, padding: 0, paddingAfter: [2, 1], countsPadding: false },
  { shape: [2, 6, 7, 5], kernel: [3, 4], stride: [2, 1], padding: [1, 2], paddingAfter: [0, 1] },
  { shape: [3, 6, 7, 8], kernel: 3, stride: 2, padding: 1, countsPadding: false },
  { shape: [1, 9, 6, 5], kernel: 3, stride: 1, padding: 1, paddingAfter: 2, countsPadding: false },
  // Global average pooling.
  { shape: [3, 7, 6, 9], kernel: [6, 9], stride: 1, padding: 0 },
];
interface Pooling extends Windows {
  readonly shape: readonly number[];
  readonly countsPadding?: boolean;
}

/** Windows that do not overlap have a backward kernel of their own. */
function isDisjoint({ kernel, stride, padding }: Pooling): boolean {
  const steps = toPair(stride);
  return toPair(kernel).every((side, i) => side === steps[i]) && toPair(padding).every((side) => side === 0);
}

/** Values of three steps, so that most windows hold equal maxima, and zeros for the gate. */
function tiedTensor(shape: readonly number[]): RefTensor {
  const { values } = randomTensor(shape, 1);
  return { shape, values: values.map((value) => Math.round(value)) };
}

async function runPools(path: ReadPath, pooling: Pooling, x: RefTensor) {
  const { shape: [batch, channels, height, width] } = pooling,
    [kernelHeight, kernelWidth] = toPair(pooling.kernel);
  const [strideY, strideX] = toPair(pooling.stride), [paddingY, paddingX] = toPair(pooling.padding);
  const [, , outHeight, outWidth] = pooledShape(pooling.shape, pooling);
  const quads = countQuads(channels);
  const dy = randomTensor([batch, channels, outHeight, outWidth], 2);
  const params = {
    quads,
    "in_height": height,
    "in_width": width,
    "out_height": outHeight,
    "out_width": outWidth,
    "kernel_height": kernelHeight,
    "kernel_width": kernelWidth,
    "stride_y": strideY,
    "stride_x": strideX,
    "padding_y": paddingY,
    "padding_x": paddingX,
  };
  const inQuads = batch * height * width * quads, outQuads = batch * outHeight * outWidth * quads;
  const counts: Record<string, number> = pooling.countsPadding === false ? { COUNTS_PADDING: 0 } : {};
  const forward = (kernel: string, y: string, constants = {}) =>
    dispatchOver(outQuads, {
      kernel,
      label: y,
      bindings: { x: inputRef("x"), y: inputRef(y) },
      params: { ...params, quads_total: outQuads },
      constants,
    });
  const backwardParams = { ...params, "quads_total": inQuads };
  const backwardMax = (GATED: number) =>
    dispatchOver(inQuads, {
      kernel: "layer/maxpool2d_backward",
      label: "max backward",
      bindings: {
        x: inputRef("x"),
        y: inputRef("y_max"),
        dy: inputRef("dy"),
        dx: GATED ? inputRef("dx_gated") : inputRef("dx_max"),
      },
      params: backwardParams,
      constants: { GATED },
    });
  const cells = {
    "cells_high": Math.ceil(height / kernelHeight),
    "cells_wide": Math.ceil(width / kernelWidth),
  };
  const cellQuads = batch * cells.cells_high * cells.cells_wide * quads;
  const backwardDisjoint = (GATED: number) =>
    dispatchOver(cellQuads, {
      kernel: "layer/maxpool2d_backward_disjoint",
      label: "max backward, disjoint",
      bindings: {
        x: inputRef("x"),
        y: inputRef("y_max"),
        dy: inputRef("dy"),
        dx: GATED ? inputRef("dx_disjoint_gated") : inputRef("dx_disjoint"),
      },
      params: {
        cells: cellQuads,
        ...cells,
        quads,
        "in_height": height,
        "in_width": width,
        "out_height": outHeight,
        "out_width": outWidth,
        "kernel_height": kernelHeight,
        "kernel_width": kernelWidth,
      },
      constants: { GATED },
    });
  const result = await runKernels({
    path,
    dispatches: [
      forward("layer/maxpool2d_forward", "y_max"),
      forward("layer/avgpool2d_forward", "y_average", counts),
      backwardMax(0),
      backwardMax(1),
      ...(isDisjoint(pooling) ? [backwardDisjoint(0), backwardDisjoint(1)] : []),
      ...[0, 1].map((GATED) =>
        dispatchOver(inQuads, {
          kernel: "layer/avgpool2d_backward",
          label: "average backward",
          bindings: {
            dy: inputRef("dy"),
            gate: inputRef("x"),
            dx: GATED ? inputRef("dx_average_gated") : inputRef("dx_average"),
          },
          params: backwardParams,
          constants: { GATED, ...counts },
        })
      ),
    ],
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      dy: imagesToQuads(dy.values, dy.shape),
      y_max: unwritten(4 * outQuads),
      y_average: unwritten(4 * outQuads),
      dx_max: unwritten(4 * inQuads),
      dx_gated: unwritten(4 * inQuads),
      dx_average: unwritten(4 * inQuads),
      dx_average_gated: unwritten(4 * inQuads),
      dx_disjoint: unwritten(4 * inQuads),
      dx_disjoint_gated: unwritten(4 * inQuads),
    },
  });
  return { dy, floats: result.floats };
}

async function checkPools(path: ReadPath, pooling: Pooling): Promise<void> {
  const { shape: [, channels] } = pooling, [kernelHeight, kernelWidth] = toPair(pooling.kernel);
  for (const x of [randomTensor(pooling.shape, 1), tiedTensor(pooling.shape)]) {
    const { dy, floats } = await runPools(path, pooling, x);
    const name = `${path} ${JSON.stringify(pooling)}`;
    assertSame(
      imagesFromQuads(floats("y_max"), dy.shape),
      maxPool2dForward(x, pooling).values,
      `max y, ${name}`,
    );
    // At most a window's places of terms of at most 1 in every sum; the average's magnitude is 1 after its division.
    const area = kernelHeight * kernelWidth;
    const sums = { tolerance: sumTolerance(area, area) };
    const averages = { tolerance: sumTolerance(area + divisionRoundings, 1) };
    const dx = maxPool2dBackward(x, dy, pooling).values;
    const gate = (values: Float64Array) => values.map((value, i) => x.values[i] > 0 ? value : 0);
    const gated = gate(dx), average = averagePool2dBackward(x, dy, pooling).values;
    const checks = [
      ["dx_max", dx, x.shape, sums],
      ["dx_gated", gated, x.shape, sums],
      ["y_average", averagePool2dForward(x, pooling).values, dy.shape, averages],
      ["dx_average", average, x.shape, averages],
      ["dx_average_gated", gate(average), x.shape, averages],
      ...(isDisjoint(pooling)
        ? [["dx_disjoint", dx, x.shape, sums], ["dx_disjoint_gated", gated, x.shape, sums]] as const
        : []),
    ] as const;
    for (const [buffer, want, shape, options] of checks) {
      const got = imagesFromQuads(floats(buffer), shape);
      assertClose(got, want, { ...options, name: `${buffer}, ${name}` });
      assertPadding(floats(buffer), channels, { name: `${buffer}, ${name}` });
    }
    assertPadding(floats("y_max"), channels, { name: `y_max, ${name}` });
  }
}

for (const path of readPaths) {
  Deno.test(`maxpool2d and avgpool2d agree with the reference, with ties and a gate, ${path} path`, async () => {
    for (const pooling of poolings) await checkPools(path, pooling);
  });

  Deno.test(`maxpool2d_forward() takes the largest of negative values only, ${path} path`, async () => {
    const x = randomTensor([1, 3, 3, 3], 3);
    const negative = { shape: x.shape, values: x.values.map((value) => Math.fround(-1 - Math.abs(value))) };
    const pooling = { shape: [1, 3, 3, 3], kernel: 3, stride: 2, padding: 1 };
    const { floats } = await runPools(path, pooling, negative);
    const want = maxPool2dForward(negative, pooling);
    assertSame(imagesFromQuads(floats("y_max"), want.shape), want.values, "padding counts as -infinity");
  });
}
