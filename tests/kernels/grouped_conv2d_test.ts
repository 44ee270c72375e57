/**
 * Holds grouped and depthwise convolutions against the f64 reference: "layer/grouped_conv2d_forward",
 * "layer/grouped_conv2d_backward_input" and "layer/grouped_conv2d_backward_weight", as the conv2d layer dispatches them.
 * Tolerances: sumTolerance over the products of one result, the magnitude being the largest sum of absolute terms; a batch
 * norm scales that error and adds the roundings of its formula by precision.ts.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import {
  groupedBackwardInput,
  groupedBackwardWeight,
  type GroupedConvolution,
  groupedForward,
} from "../../src/model/grouped_convolution.ts";
import { quadsOf } from "../../src/shape.ts";
import { batchNorm2dEval } from "../reference/batchnorm2d.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { reluForward } from "../reference/relu.ts";
import {
  absoluteOf,
  assertClose,
  dot,
  F32_ROUNDOFF,
  maxAbs,
  randomTensor,
  sumTolerance,
} from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, divisionRoundings, sqrtRoundings, unwritten } from "./precision.ts";
import {
  biasOffset,
  type Convolution,
  normEpsilon,
  normOf,
  normPlaces,
  operandsOf,
  outputSides,
  statisticsArena,
  valueArena,
  weightOffset,
} from "./products.ts";

/** Groups within a quad and across quads, whole quads, depthwise with and without a multiplier, several workgroups. */
const convolutions: readonly (Convolution & { readonly groups: number })[] = [
  { x: [1, 2, 1, 1], outputs: 2, kernel: [1, 1], stride: 1, padding: 0, groups: 2 },
  { x: [2, 7, 9, 6], outputs: 7, kernel: [3, 3], stride: 1, padding: 1, groups: 7 },
  { x: [2, 32, 8, 9], outputs: 32, kernel: [3, 5], stride: [2, 1], padding: [1, 2], groups: 32 },
  { x: [3, 5, 7, 8], outputs: 15, kernel: [3, 2], stride: 2, padding: 1, groups: 5 },
  { x: [2, 6, 5, 7], outputs: 9, kernel: [3, 3], stride: 1, padding: 2, dilation: 2, groups: 3 },
  { x: [1, 10, 9, 11], outputs: 4, kernel: [2, 3], stride: [1, 3], padding: 0, dilation: [3, 1], groups: 2 },
  { x: [2, 24, 6, 6], outputs: 16, kernel: [3, 3], stride: 1, padding: 1, groups: 2 },
  { x: [2, 16, 12, 10], outputs: 32, kernel: [3, 3], stride: 2, padding: 1, groups: 4 },
  { x: [1, 14, 4, 5], outputs: 22, kernel: [1, 1], stride: 1, padding: 0, groups: 2 },
  { x: [5, 4, 20, 21], outputs: 4, kernel: [3, 3], stride: 1, padding: 1, groups: 4 },
];
type Grouped = typeof convolutions[number];

function groupedOf(grouped: Grouped, hasBias = true): GroupedConvolution {
  const { x: [images, channels, height, width], outputs, kernel, stride, padding, dilation } = grouped;
  const [outHeight, outWidth] = outputSides(grouped), place = placeOf(grouped);
  const geometry = {
    images,
    inQuads: quadsOf(channels),
    inHeight: height,
    inWidth: width,
    outChannels: outputs,
    outHeight,
    outWidth,
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    stride,
    padding,
    dilation,
  };
  const bias = hasBias ? biasOffset(place) : undefined;
  return {
    convolution: { name: "case", geometry, weight: weightOffset, bias },
    inChannels: channels,
    groups: grouped.groups,
  };
}

/** The convolution of one group's channels, whose weight has the same shape. */
function placeOf({ groups, ...convolution }: Grouped): Convolution {
  const [batch, channels, height, width] = convolution.x;
  return { ...convolution, x: [batch, channels / groups, height, width] };
}

function operands(grouped: Grouped) {
  const { w, b, dy, residual } = operandsOf(placeOf(grouped));
  return { x: randomTensor(grouped.x, 1), w, b, dy, residual };
}

async function checkForward(path: ReadPath, grouped: Grouped): Promise<void> {
  const { x, w, b, residual } = operands(grouped), place = placeOf(grouped);
  const plain = { x: inputRef("x"), relu: false };
  const { floats } = await runKernels({
    path,
    dispatches: [
      groupedForward(groupedOf(grouped), { ...plain, y: inputRef("y") }),
      groupedForward(groupedOf(grouped, false), { ...plain, y: inputRef("y_relu"), relu: true }),
      groupedForward(groupedOf(grouped), {
        x: inputRef("x"),
        y: inputRef("y_whole"),
        norm: normPlaces(place),
        residual: inputRef("residual"),
        relu: true,
      }),
    ],
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(place, w, b),
      statistics: statisticsArena(place),
      residual: imagesToQuads(residual.values, residual.shape),
      ...Object.fromEntries(
        ["y", "y_relu", "y_whole"].map((
          name,
        ) => [name, imagesToQuads(residual.values, residual.shape).fill(NaN)]),
      ),
    },
  });
  const name = `${path} ${JSON.stringify(grouped)}`;
  const magnitude = maxAbs(conv2dForward(absoluteOf(x), absoluteOf(w), absoluteOf(b), grouped).values);
  const tolerance = sumTolerance(w.values.length / w.shape[0] + 1, magnitude);
  const y = conv2dForward(x, w, b, grouped);
  const open = reluForward(conv2dForward(x, w, undefined, grouped));
  const norm = normOf(place), gamma = maxAbs(norm.gamma.values);
  const deviation = Math.sqrt(Math.min(...norm.runningVar.values));
  const normed = batchNorm2dEval(y, norm, { eps: normEpsilon }).values;
  const whole = normed.map((value, i) => Math.max(0, value + residual.values[i]));
  const size = gamma * (maxAbs(y.values) + maxAbs(norm.runningMean.values)) / deviation +
    maxAbs(norm.beta.values);
  // As for conv2d_forward: the norm's roundings, and one of the residual's sum.
  const roundings = 4 + sqrtRoundings + divisionRoundings;
  const wholeTolerance = tolerance * gamma / deviation + (roundings * size + size + 1) * F32_ROUNDOFF;
  const checks = [["y", y.values, tolerance], ["y_relu", open.values, tolerance], [
    "y_whole",
    whole,
    wholeTolerance,
  ]];
  for (const [buffer, want, allowed] of checks as [string, Float64Array, number][]) {
    const got = floats(buffer);
    assertClose(imagesFromQuads(got, y.shape), want, { tolerance: allowed, name: `${buffer} ${name}` });
    assertPadding(got, grouped.outputs, { name: `${buffer} ${name}` });
  }
}

async function checkBackward(path: ReadPath, grouped: Grouped): Promise<void> {
  const { x, w, b, dy } = operands(grouped), place = placeOf(grouped);
  const gate = randomTensor(grouped.x, 11), addend = randomTensor(grouped.x, 12);
  gate.values[0] = 0;
  const scratch: Record<string, Float32Array> = {};
  const weight = groupedBackwardWeight(groupedOf(grouped), {
    x: inputRef("x"),
    dy: inputRef("dy"),
    scratch(purpose, quads) {
      scratch[purpose] = unwritten(4 * quads);
      return inputRef(purpose);
    },
  });
  assert.equal(weight[0].kernel, "layer/grouped_conv2d_backward_weight");
  const values = valueArena(place, w, b), dx = () => imagesToQuads(x.values, x.shape).fill(NaN);
  const { floats } = await runKernels({
    path,
    dispatches: [
      groupedBackwardInput(groupedOf(grouped), { dy: inputRef("dy"), dx: inputRef("dx"), gate: undefined }),
      groupedBackwardInput(groupedOf(grouped), {
        dy: inputRef("dy"),
        dx: inputRef("dx_gated"),
        addend: inputRef("addend"),
        gate: inputRef("gate"),
      }),
      ...weight,
    ],
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      dy: imagesToQuads(dy.values, dy.shape),
      gate: imagesToQuads(gate.values, gate.shape),
      addend: imagesToQuads(addend.values, addend.shape),
      values,
      gradients: unwritten(values.length),
      dx: dx(),
      dx_gated: dx(),
      ...scratch,
    },
  });
  const name = `${path} ${JSON.stringify(grouped)}`, want = conv2dBackward(x, w, dy, grouped);
  const sizes = conv2dBackward(absoluteOf(x), absoluteOf(w), absoluteOf(dy), grouped);
  const terms = grouped.outputs / grouped.groups * grouped.kernel[0] * grouped.kernel[1];
  const tolerance = sumTolerance(terms + 1, maxAbs(sizes.dx.values) + 1);
  const gated = want.dx.values.map((value, i) => gate.values[i] > 0 ? value + addend.values[i] : 0);
  for (const [buffer, wanted] of [["dx", want.dx.values], ["dx_gated", gated]] as const) {
    const got = floats(buffer);
    assertClose(imagesFromQuads(got, x.shape), wanted, { tolerance, name: `${buffer} ${name}` });
    assertPadding(got, grouped.x[1], { name: `${buffer} ${name}` });
  }
  // The adjoint identity <dy, conv(x)> = <dx, x>; every dx is off by at most the tolerance, and |x| <= 1.
  const forward = dot(dy.values, conv2dForward(x, w, undefined, grouped).values);
  const backward = dot(imagesFromQuads(floats("dx"), x.shape), x.values);
  assertClose([backward], [forward], { tolerance: tolerance * x.values.length, name: `adjoint ${name}` });
  const gradients = floats("gradients"), first = 4 * weightOffset;
  const dw = gradients.subarray(
    first,
    first + 4 * w.shape[0] * w.shape[2] * w.shape[3] * quadsOf(w.shape[1]),
  );
  const pixels = dy.values.length / grouped.outputs;
  const sums = { tolerance: sumTolerance(pixels + 2, maxAbs(sizes.dw.values)) };
  assertClose(imagesFromQuads(dw, w.shape), want.dw.values, { ...sums, name: `dw ${name}` });
  assertPadding(dw, w.shape[1], { name: `dw ${name}` });
  assert(
    Number.isNaN(gradients[first - 1]) && Number.isNaN(gradients[first + dw.length]),
    `beside dw ${name}`,
  );
}

for (const path of readPaths) {
  Deno.test(`grouped_conv2d_forward() agrees with the reference, ${path} path`, async () => {
    for (const convolution of convolutions) await checkForward(path, convolution);
  });

  Deno.test(`grouped_conv2d_backward_input() and backward_weight() agree with the reference, ${path} path`, async () => {
    for (const convolution of convolutions) await checkBackward(path, convolution);
  });
}
