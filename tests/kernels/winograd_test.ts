/**
 * Holds Winograd's kernels against the f64 reference, where subgroups work.
 *
 * Tolerance: a transformed input is a sum of at most 4 inputs, a transformed filter at most 9/4 of the largest weight, so
 * that a product summed over C channels is at most 9 C max|d| max|w|, and an output adds 9 of them. Each term meets the
 * roundings of 2 + 4 + 8 additions of the transforms beside those of the sum over C channels: sumTolerance over C + 14
 * terms and 81 C max|d| max|w|. In winograd/backward_weight a product is at most 2 max|d| max|g|, and a result adds 3 of
 * their sums over the pairs of pixels.
 */
import assert from "node:assert/strict";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { coreSubgroupSize } from "../../src/gpu/subgroups.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { usableCores } from "../../src/kernels/cores.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { kernelSource } from "../../src/kernels/source.ts";
import {
  transformFilters,
  winogradCores,
  winogradMap,
  winogradProductCores,
  winogradWeightCore,
} from "../../src/kernels/winograd.ts";
import {
  backwardInputShape,
  backwardWeightShape,
  convolutionBackwardInput,
  convolutionBackwardWeight,
  type ConvolutionContext,
  convolutionForward,
  type ConvolutionGeometry,
  forwardShape,
} from "../../src/model/convolution.ts";
import { countQuads } from "../../src/shape.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { assertClose, dot, maxAbs, randomTensor, type RefTensor, sumTolerance } from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";
import {
  biasOffset,
  type Convolution,
  normPlaces,
  operandsOf,
  outputSides,
  statisticsArena,
  valueArena,
  weightOffset,
} from "./products.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";
import { plainForward, wantedForward, wholeForward } from "./product_checks.ts";
import { contraryFusions, pooledPasses } from "./places.ts";

/** One pixel; odd sides; one line of tiles; more than a workgroup and a block of columns; no padding, and the most. */
const sizes: readonly Convolution[] = [
  { x: [1, 1, 1, 1], outputs: 1, kernel: [3, 3], stride: 1, padding: 1 },
  { x: [2, 3, 5, 7], outputs: 5, kernel: [3, 3], stride: 1, padding: 1 },
  { x: [3, 6, 9, 21], outputs: 37, kernel: [3, 3], stride: 1, padding: 0 },
  { x: [1, 34, 3, 18], outputs: 9, kernel: [3, 3], stride: 1, padding: 2 },
  { x: [2, 7, 4, 6], outputs: 6, kernel: [3, 3], stride: 1, padding: [2, 0] },
  { x: [2, 7, 4, 6], outputs: 6, kernel: [3, 3], stride: 1, padding: [0, 2], paddingAfter: [2, 0] },
];

/** Besides, weights with lines of other counts than three, and more strips than a block has. */
const weightSizes: readonly Convolution[] = [
  ...sizes,
  { x: [2, 5, 7, 16], outputs: 3, kernel: [1, 3], stride: 1, padding: 1 },
  { x: [1, 2, 6, 9], outputs: 6, kernel: [5, 3], stride: 1, padding: 2 },
];

const { gpu, ignore } = await openWithSubgroups();

function geometryOf(convolution: Convolution): ConvolutionGeometry {
  const { x: [images, channels, inHeight, inWidth], outputs, kernel, stride, padding } = convolution;
  const [outHeight, outWidth] = outputSides(convolution);
  const sides = { inHeight, inWidth, outHeight, outWidth, kernelHeight: kernel[0], kernelWidth: kernel[1] };
  return { images, inQuads: countQuads(channels), outChannels: outputs, ...sides, stride, padding };
}

/** The context of a convolution that always takes one of Winograd's cores, and the sizes of its scratch tensors in words. */
function contextOf(convolution: Convolution, core: string, splits = 1) {
  const words: Record<string, number> = {};
  const scratch = (purpose: string, quads: number) => {
    words[purpose] = 4 * quads;
    return inputRef(purpose);
  };
  const context: ConvolutionContext = {
    name: "case",
    geometry: geometryOf(convolution),
    choose: (shape) => ({ core, splits: shape.splittable ? splits : 1 }),
    weight: weightOffset,
    bias: biasOffset(convolution),
  };
  return { context, words, scratch };
}

/** The bound of the header, for a sum over so many channels. */
function toleranceOf(channels: number, ...[d, w]: readonly RefTensor[]): number {
  return sumTolerance(channels + 14, 81 * channels * maxAbs(d.values) * maxAbs(w.values) + 2);
}

const wordsOf = ([n, c, h, w]: readonly number[]) => 4 * n * h * w * countQuads(c);

async function checkForward(path: ReadPath, convolution: Convolution, core: string): Promise<void> {
  const { x, w, b, residual } = operandsOf(convolution),
    { context, words, scratch } = contextOf(convolution, core);
  const fusions = [plainForward, wholeForward], tensors = { x: inputRef("x"), scratch };
  const dispatches = fusions.flatMap(({ HAS_BIAS, HAS_NORM, HAS_RESIDUAL, RELU }, i) =>
    convolutionForward({ ...context, bias: HAS_BIAS ? context.bias : undefined }, {
      ...tensors,
      y: inputRef(`y${i}`),
      norm: HAS_NORM ? normPlaces(convolution) : undefined,
      residual: HAS_RESIDUAL ? inputRef("residual") : undefined,
      relu: RELU === 1,
    })
  );
  const { floats } = await runKernels({
    gpu,
    path,
    dispatches,
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(convolution, w, b),
      statistics: statisticsArena(convolution),
      residual: imagesToQuads(residual.values, residual.shape),
      ...Object.fromEntries(fusions.map((_, i) => [`y${i}`, unwritten(wordsOf(residual.shape))])),
      ...words,
    },
  });
  const exact = toleranceOf(convolution.x[1], x, w);
  for (const [i, fusion] of fusions.entries()) {
    const name = `${path} forward ${JSON.stringify({ ...convolution, ...fusion })}`;
    const { want, tolerance } = wantedForward(convolution, fusion, exact), got = floats(`y${i}`);
    assertClose(imagesFromQuads(got, want.shape), want.values, { tolerance, name });
    assertPadding(got, convolution.outputs, { name });
  }
}

async function checkPooled(path: ReadPath, convolution: Convolution, core: string): Promise<void> {
  const { x, w, b } = operandsOf(convolution), { context, words, scratch } = contextOf(convolution, core);
  const convolve = (hasBias: boolean) => conv2dForward(x, w, hasBias ? b : undefined, convolution);
  const passes = pooledPasses(context, contraryFusions, { convolve, scratch });
  const { floats } = await runKernels({
    gpu,
    path,
    dispatches: passes.dispatches,
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(convolution, w, b),
      ...passes.buffers,
      ...words,
    },
  });
  const name = `${path} pooled ${JSON.stringify(convolution)}`;
  passes.check(floats, { tolerance: toleranceOf(convolution.x[1], x, w), name });
}

async function checkInput(path: ReadPath, convolution: Convolution, core: string): Promise<void> {
  const { x, w, b, dy } = operandsOf(convolution), { context, words, scratch } = contextOf(convolution, core);
  const gate = randomTensor(convolution.x, 5), addend = randomTensor(convolution.x, 6);
  const fused = {
    dy: inputRef("dy"),
    dx: inputRef("fused"),
    addend: inputRef("addend"),
    gate: inputRef("gate"),
    scratch,
  };
  const result = await runKernels({
    gpu,
    path,
    dispatches: [
      ...convolutionBackwardInput(context, {
        dy: inputRef("dy"),
        dx: inputRef("dx"),
        gate: undefined,
        scratch,
      }),
      ...convolutionBackwardInput(context, fused),
    ],
    buffers: {
      dy: imagesToQuads(dy.values, dy.shape),
      values: valueArena(convolution, w, b),
      gate: imagesToQuads(gate.values, gate.shape),
      addend: imagesToQuads(addend.values, addend.shape),
      dx: unwritten(wordsOf(convolution.x)),
      fused: unwritten(wordsOf(convolution.x)),
      ...words,
    },
  });
  const { dx } = conv2dBackward(x, w, dy, convolution);
  const name = `${path} input ${JSON.stringify(convolution)}`;
  const tolerance = toleranceOf(convolution.outputs, dy, w);
  const got = imagesFromQuads(result.floats("dx"), dx.shape);
  assertClose(got, dx.values, { tolerance, name });
  assertPadding(result.floats("dx"), convolution.x[1], { name });
  const gated = dx.values.map((value, i) => gate.values[i] > 0 ? value + addend.values[i] : 0);
  assertClose(imagesFromQuads(result.floats("fused"), dx.shape), gated, { tolerance, name });
  assertPadding(result.floats("fused"), convolution.x[1], { name });
  // The adjoint identity <dy, conv(x)> = <dx, x>; every dx is off by at most the tolerance, and |x| <= 1.
  const forward = dot(dy.values, conv2dForward(x, w, undefined, convolution).values);
  assertClose([dot(got, x.values)], [forward], { tolerance: tolerance * x.values.length, name });
}

async function checkWeight(path: ReadPath, convolution: Convolution): Promise<void> {
  const { x, w, dy } = operandsOf(convolution);
  const { dw } = conv2dBackward(x, w, dy, convolution);
  const pairs = 4 * convolution.x[0] * dy.shape[2] * Math.ceil(dy.shape[3] / 8);
  const tolerance = sumTolerance(pairs + 8, 6 * pairs * maxAbs(x.values) * maxAbs(dy.values));
  for (const splits of [1, 3]) {
    const { context, words, scratch } = contextOf(convolution, winogradWeightCore, splits);
    const place = { ...inputRefs({ x: "x", dy: "dy" }), scratch };
    const result = await runKernels({
      gpu,
      path,
      dispatches: convolutionBackwardWeight({ ...context, weight: 0 }, place),
      buffers: {
        x: imagesToQuads(x.values, x.shape),
        dy: imagesToQuads(dy.values, dy.shape),
        gradients: unwritten(wordsOf(w.shape)),
        ...words,
      },
    });
    const name = `${path} weight ${splits} ${JSON.stringify(convolution)}`, got = result.floats("gradients");
    assertClose(imagesFromQuads(got, dw.shape), dw.values, { tolerance, name });
    assertPadding(got, convolution.x[1], { name });
  }
}

const checks = [
  ["winograd/forward", checkForward, sizes, winogradProductCores],
  // A window of 2 x 2 at least; pooling knows one padding for both sides only.
  ["winograd/forward_pooled", checkPooled, sizes.slice(1, 4), winogradProductCores],
  ["winograd/backward_input", checkInput, sizes, winogradProductCores],
  ["winograd/backward_weight", checkWeight, weightSizes, [winogradWeightCore]],
] as const;

for (const path of readPaths) {
  for (const [kernel, check, all, cores] of checks) {
    for (const core of cores) {
      Deno.test(`${core}() agrees with the reference on ${kernel}, ${path} path`, { ignore }, async () => {
        // A kernel compiles anew for textures of other shapes, for seconds on llvmpipe: one size that has all there is.
        for (const convolution of path === "texture" ? [sizes[2]] : all) {
          await check(path, convolution, core);
        }
      });
    }
  }
}

Deno.test("winograd/weight() is G w G^T", async () => {
  for (const convolution of sizes) {
    const { w, b } = operandsOf(convolution), { outputs, x: [, channels] } = convolution;
    const shape = forwardShape(geometryOf(convolution));
    let words = 0;
    const transformed = (quads: number) => {
      words = 4 * quads;
      return inputRef("transformed");
    };
    const place = { label: "case", values: inputRef("values"), weight: weightOffset, transformed };
    const dispatches = [transformFilters(shape, place)];
    const buffers = { values: valueArena(convolution, w, b), transformed: unwritten(words) };
    const { floats } = await runKernels({ path: "storage", dispatches, buffers });
    const factors = [[1, 0, 0], [.5, .5, .5], [.5, -.5, .5], [0, 0, 1]];
    const got = imagesFromQuads(floats("transformed"), [16 * outputs, channels, 1, 1]);
    const want = Array.from({ length: 16 * outputs * channels }, (_, i) => {
      const c = i % channels, o = Math.floor(i / channels) % outputs;
      const position = Math.floor(i / (channels * outputs));
      const left = factors[Math.floor(position / 4)], right = factors[position % 4];
      let sum = 0;
      for (let y = 0; y < 3; y++) {
        for (let x = 0; x < 3; x++) {
          sum += left[y] * right[x] * w.values[((o * channels + c) * 3 + y) * 3 + x];
        }
      }
      return sum;
    });
    // 9 terms of at most 1, none larger than the largest weight.
    assertClose(got, want, { tolerance: sumTolerance(9, 9 / 4), name: JSON.stringify(convolution) });
    assertPadding(floats("transformed"), channels, { name: "transformed" });
  }
});

Deno.test("winograd/product() gives the same bits twice", { ignore }, async () => {
  const { x, w, b } = operandsOf(sizes[2]);
  const { context, words, scratch } = contextOf(sizes[2], winogradProductCores[0]);
  const dispatches = ["y", "again"].flatMap((y) =>
    convolutionForward(context, { x: inputRef("x"), y: inputRef(y), relu: false, scratch })
  );
  const length = wordsOf(conv2dForward(x, w, b, sizes[2]).shape);
  const buffers = { x: imagesToQuads(x.values, x.shape), values: valueArena(sizes[2], w, b) };
  const { integers } = await runKernels({
    gpu,
    path: "texture",
    dispatches,
    buffers: { ...buffers, y: length, again: length, ...words },
  });
  assert.deepEqual(integers("y"), integers("again"));
});

Deno.test("winograd/tiles() is part of the kernels that include it", () => {
  for (const operation of ["winograd/forward", "winograd/forward_pooled", "winograd/backward_input"]) {
    assert(kernelSource(operation).includes("fn load_tile_column("));
  }
});

Deno.test("winogradMap() takes 3 x 3 filters at stride 1, and usableCores() follows", () => {
  const geometry = geometryOf(sizes[1]);
  const shapes = [forwardShape, backwardInputShape];
  const map = { images: 2, height: 5, width: 7, filters: 5, quads: 1 };
  for (const shapeOf of shapes) {
    assert.deepEqual(winogradMap(shapeOf(geometry)), map);
    const offers = (changes: Partial<ConvolutionGeometry>) =>
      usableCores("texture", coreSubgroupSize, shapeOf({ ...geometry, ...changes }))
        .filter((core) => winogradProductCores.includes(core));
    assert.deepEqual(offers({}), winogradProductCores);
    for (
      const changes of [{ stride: 2 }, { stride: [1, 2] as const }, { dilation: 2 }, { kernelHeight: 1 }, {
        kernelWidth: 5,
      }]
    ) assert.deepEqual(offers(changes), []);
    const without = new Set(usableCores("texture", undefined, shapeOf(geometry)));
    assert(without.isDisjointFrom(new Set(winogradProductCores)));
  }
  assert.deepEqual(winogradCores(backwardWeightShape(geometry)), [winogradWeightCore]);
  assert.deepEqual(winogradCores(backwardWeightShape({ ...geometry, stride: 2 })), []);
  // 2,048 filters of 1,024 channels take 128 MiB once they are transformed.
  const wide = { ...geometry, inQuads: 256, outChannels: 2048 };
  assert.deepEqual(winogradCores(forwardShape(wide)), winogradProductCores);
  assert.deepEqual(winogradCores(forwardShape({ ...wide, outChannels: 2049 })), []);
});

Deno.test("defaultChooser() takes Winograd's core for many channels, not for few", () => {
  const geometry = {
    ...geometryOf(sizes[1]),
    images: 64,
    inHeight: 16,
    inWidth: 16,
    outHeight: 16,
    outWidth: 16,
  };
  const weight = backwardWeightShape({ ...geometry, inQuads: 8, outChannels: 64 });
  assert.equal(defaultChooser("texture", coreSubgroupSize)(weight).core, winogradWeightCore);
  const core = (inQuads: number, outChannels = 32) =>
    defaultChooser("texture", coreSubgroupSize)(forwardShape({ ...geometry, inQuads, outChannels })).core;
  assert.equal(core(8), "winograd/product");
  for (const narrow of [9, 16]) assert.equal(core(8, narrow), "winograd/product_16");
  assert(!winogradProductCores.includes(core(1)));
});
