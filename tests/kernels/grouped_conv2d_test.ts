/**
 * Holds grouped and depthwise convolutions against the f64 reference: "layer/grouped_conv2d_forward",
 * "layer/grouped_conv2d_backward_input" and "layer/grouped_conv2d_backward_weight", as the conv2d layer dispatches them.
 * Tolerances: sumTolerance over the products of one result, the magnitude being the largest sum of absolute terms; what is
 * fused adds to that as in product_checks.ts.
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
import { countQuads } from "../../src/shape.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { absoluteOf, assertClose, dot, maxAbs, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";
import {
  biasOffset,
  type Convolution,
  normOf,
  normPlaces,
  operandsOf,
  outputSides,
  statisticsArena,
  valueArena,
  weightOffset,
} from "./products.ts";
import {
  forwardFusions,
  fuse,
  inputFusions,
  plainForward,
  plainInput,
  wholeForward,
  wholeInput,
} from "./product_checks.ts";

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
  { x: [2, 6, 8, 9], outputs: 6, kernel: [3, 3], stride: 2, padding: 0, paddingAfter: 1, groups: 6 },
  { x: [5, 4, 20, 21], outputs: 4, kernel: [3, 3], stride: 1, padding: 1, groups: 4 },
];
type Grouped = typeof convolutions[number];

function groupedOf(grouped: Grouped, hasBias = true): GroupedConvolution {
  const { x: [images, channels, height, width], outputs, kernel, stride, padding, dilation } = grouped;
  const [outHeight, outWidth] = outputSides(grouped), place = placeOf(grouped);
  const geometry = {
    images,
    inQuads: countQuads(channels),
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

/** Both values of all that is fused on every convolution; every combination on one depthwise and one in groups. */
function fusionsOf<Fusion>(grouped: Grouped, all: readonly Fusion[], ...contrary: readonly Fusion[]) {
  return [convolutions[1], convolutions[4]].includes(grouped) ? all : contrary;
}

async function checkForward(path: ReadPath, grouped: Grouped): Promise<void> {
  const { x, w, b, residual } = operands(grouped), place = placeOf(grouped);
  const fusions = fusionsOf(grouped, forwardFusions, plainForward, wholeForward);
  const { floats } = await runKernels({
    path,
    dispatches: fusions.map(({ HAS_BIAS, HAS_NORM, HAS_RESIDUAL, RELU }, i) =>
      groupedForward(groupedOf(grouped, HAS_BIAS === 1), {
        x: inputRef("x"),
        y: inputRef(`y${i}`),
        norm: HAS_NORM ? normPlaces(place) : undefined,
        residual: HAS_RESIDUAL ? inputRef("residual") : undefined,
        relu: RELU === 1,
      })
    ),
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(place, w, b),
      statistics: statisticsArena(place),
      residual: imagesToQuads(residual.values, residual.shape),
      ...Object.fromEntries(
        fusions.map((_, i) => [`y${i}`, imagesToQuads(residual.values, residual.shape).fill(NaN)]),
      ),
    },
  });
  const magnitude = maxAbs(conv2dForward(absoluteOf(x), absoluteOf(w), absoluteOf(b), grouped).values);
  const error = sumTolerance(w.values.length / w.shape[0] + 1, magnitude), norm = normOf(place);
  for (const [i, fusion] of fusions.entries()) {
    const name = `${path} ${JSON.stringify({ ...grouped, ...fusion })}`, got = floats(`y${i}`);
    const y = conv2dForward(x, w, fusion.HAS_BIAS ? b : undefined, grouped);
    const { want, tolerance } = fuse(y, fusion, { norm, residual, error });
    assertClose(imagesFromQuads(got, y.shape), want.values, { tolerance, name });
    assertPadding(got, grouped.outputs, { name });
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
  const values = valueArena(place, w, b), fusions = fusionsOf(grouped, inputFusions, plainInput, wholeInput);
  const { floats } = await runKernels({
    path,
    dispatches: [
      ...fusions.map(({ HAS_ADDEND, GATED }, i) =>
        groupedBackwardInput(groupedOf(grouped), {
          dy: inputRef("dy"),
          dx: inputRef(`dx${i}`),
          addend: HAS_ADDEND ? inputRef("addend") : undefined,
          gate: GATED ? inputRef("gate") : undefined,
        })
      ),
      ...weight,
    ],
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      dy: imagesToQuads(dy.values, dy.shape),
      gate: imagesToQuads(gate.values, gate.shape),
      addend: imagesToQuads(addend.values, addend.shape),
      values,
      gradients: unwritten(values.length),
      ...Object.fromEntries(
        fusions.map((_, i) => [`dx${i}`, imagesToQuads(x.values, x.shape).fill(NaN)]),
      ),
      ...scratch,
    },
  });
  const name = `${path} ${JSON.stringify(grouped)}`, want = conv2dBackward(x, w, dy, grouped);
  const sizes = conv2dBackward(absoluteOf(x), absoluteOf(w), absoluteOf(dy), grouped);
  const terms = grouped.outputs / grouped.groups * grouped.kernel[0] * grouped.kernel[1];
  const tolerance = sumTolerance(terms + 1, maxAbs(sizes.dx.values) + 1);
  for (const [i, { HAS_ADDEND, GATED }] of fusions.entries()) {
    const sums = want.dx.values.map((value, j) => value + (HAS_ADDEND ? addend.values[j] : 0));
    const wanted = GATED ? sums.map((value, j) => gate.values[j] > 0 ? value : 0) : sums;
    const own = `dx ${HAS_ADDEND} ${GATED} ${name}`, got = floats(`dx${i}`);
    assertClose(imagesFromQuads(got, x.shape), wanted, { tolerance, name: own });
    assertPadding(got, grouped.x[1], { name: own });
  }
  // The adjoint identity <dy, conv(x)> = <dx, x> of what is meant.
  const forward = dot(dy.values, conv2dForward(x, w, undefined, grouped).values);
  const backward = dot(want.dx.values, x.values);
  assertClose([backward], [forward], { tolerance: tolerance * x.values.length, name: `adjoint ${name}` });
  const gradients = floats("gradients"), first = 4 * weightOffset;
  const dw = gradients.subarray(
    first,
    first + 4 * w.shape[0] * w.shape[2] * w.shape[3] * countQuads(w.shape[1]),
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
