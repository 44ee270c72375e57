/**
 * Convolutions as the three matrix products that serve them, with the cores that are tested.
 *
 * @module
 */
import { type BufferRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { usableCores } from "../../src/kernels/cores.ts";
import type { ProductShape } from "../../src/kernels/product.ts";
import type { FusedNorm } from "../../src/model/layer.ts";
import { backwardInputShapes, windowParams } from "../../src/model/convolution.ts";
import { countQuads, type Pair, windowedSides } from "../../src/shape.ts";
import type { BatchNorm2dState } from "../reference/batchnorm2d.ts";
import { randomTensor, type RefTensor } from "../reference/tensor.ts";
import { imagesToQuads } from "./harness.ts";

/** The sizes of a convolution: x (batch, channels, height, width), w (outputs, channels, ...kernel). */
export interface Convolution {
  readonly x: readonly [number, number, number, number];
  readonly outputs: number;
  readonly kernel: readonly [number, number];
  readonly stride: Pair;
  readonly padding: Pair;
  readonly paddingAfter?: Pair;
  readonly dilation?: Pair;
}

/** Odd sizes, one, several workgroups of every core, strides, paddings and dilations 1 to 3, kernels of 1 to 5. */
export const convolutions: readonly Convolution[] = [
  { x: [1, 1, 1, 1], outputs: 1, kernel: [1, 1], stride: 1, padding: 0 },
  { x: [2, 3, 5, 7], outputs: 5, kernel: [3, 3], stride: 1, padding: 1 },
  { x: [3, 17, 9, 6], outputs: 33, kernel: [3, 3], stride: 2, padding: 1 },
  { x: [2, 5, 11, 8], outputs: 17, kernel: [5, 5], stride: 3, padding: 2 },
  { x: [2, 33, 6, 5], outputs: 3, kernel: [1, 1], stride: 2, padding: 0 },
  { x: [1, 2, 7, 9], outputs: 6, kernel: [5, 3], stride: 1, padding: 2 },
  { x: [2, 4, 12, 10], outputs: 70, kernel: [3, 3], stride: 1, padding: 2 },
  // Steps that differ along height and width.
  { x: [2, 6, 9, 11], outputs: 7, kernel: [3, 2], stride: [1, 2], padding: [2, 0], dilation: [2, 1] },
  { x: [1, 5, 8, 13], outputs: 9, kernel: [2, 5], stride: [3, 1], padding: [0, 3], dilation: [1, 3] },
  // Zeros on one side only.
  { x: [2, 5, 6, 8], outputs: 6, kernel: [3, 3], stride: 1, padding: 0, paddingAfter: 2 },
  { x: [1, 6, 8, 10], outputs: 9, kernel: [3, 2], stride: 2, padding: [0, 1], paddingAfter: [1, 0] },
  // Linear layers: a 1 x 1 convolution over one image of 1 x N, N the rows of the batch.
  { x: [1, 130, 1, 3], outputs: 10, kernel: [1, 1], stride: 1, padding: 0 },
  { x: [1, 7, 1, 130], outputs: 9, kernel: [1, 1], stride: 1, padding: 0 },
];

/** Those on which what is fused is tested: every variant costs software adapters a compilation. */
export const fusedConvolutions: readonly Convolution[] = convolutions.slice(1, 3);

/** The product of an operation, with the parameters that the kernel takes besides those of the product. */
export interface Product {
  readonly shape: ProductShape;
  readonly params: Readonly<Record<string, number>>;
  /** The bindings that a run need not use. */
  readonly spare: Readonly<Record<string, BufferRef>>;
}

/** Height and width of a convolution's output. */
export function outputSides(convolution: Convolution): readonly [number, number] {
  const { x: [, , height, width] } = convolution;
  const sides = windowedSides({ height, width }, convolution);
  return [sides.height, sides.width];
}

/** Quads of the value arena before the weight. */
export const weightOffset = 3;

/** The first quad of the bias in the value arena: one quad behind the weight. */
export function biasOffset({ x, outputs, kernel }: Convolution): number {
  return weightOffset + outputs * kernel[0] * kernel[1] * countQuads(x[1]) + 1;
}

/** The epsilon of the batch norm that convolutions apply, as f32 holds it. */
export const normEpsilon = Math.fround(1e-3);

/** First quads of a batch norm's arrays: gamma and beta behind the bias, mean and variance in the statistics. */
export function normPlaces(convolution: Convolution): FusedNorm {
  const quads = countQuads(convolution.outputs), gamma = biasOffset(convolution) + quads + 1;
  return { mean: 1, variance: quads + 2, gamma, beta: gamma + quads + 1, epsilon: normEpsilon };
}

/** Puts vectors of channels into an arena that is NaN elsewhere, so that a read beside them is seen. */
function arenaOf(vectors: readonly { readonly place: number; readonly vector: RefTensor }[]): Float32Array {
  const quads = countQuads(vectors[0].vector.values.length);
  const arena = new Float32Array(4 * (Math.max(...vectors.map(({ place }) => place)) + quads + 1)).fill(NaN);
  for (const { place, vector } of vectors) {
    arena.fill(0, 4 * place, 4 * (place + quads));
    arena.set(Float32Array.from(vector.values), 4 * place);
  }
  return arena;
}

/** The value arena with weight, bias, gamma and beta. */
export function valueArena(convolution: Convolution, w: RefTensor, b: RefTensor): Float32Array {
  const { gamma, beta } = normOf(convolution), places = normPlaces(convolution);
  const arena = arenaOf([
    { place: biasOffset(convolution), vector: b },
    { place: places.gamma, vector: gamma },
    { place: places.beta, vector: beta },
  ]);
  arena.set(imagesToQuads(w.values, w.shape), 4 * weightOffset);
  return arena;
}

/** The arena of running statistics with mean and variance. */
export function statisticsArena(convolution: Convolution): Float32Array {
  const { runningMean, runningVar } = normOf(convolution), places = normPlaces(convolution);
  return arenaOf([
    { place: places.mean, vector: runningMean },
    { place: places.variance, vector: runningVar },
  ]);
}

/** The batch norm behind a convolution at random, its variances in [0.5, 1.5]. */
export function normOf({ outputs }: Convolution): BatchNorm2dState {
  const variance = randomTensor([outputs], 9, .5);
  return {
    gamma: randomTensor([outputs], 6),
    beta: randomTensor([outputs], 7),
    runningMean: randomTensor([outputs], 8),
    runningVar: { shape: [outputs], values: variance.values.map((value) => Math.fround(value + 1)) },
  };
}

/** The random operands of a convolution. */
export function operandsOf(convolution: Convolution): {
  readonly x: RefTensor;
  readonly w: RefTensor;
  readonly b: RefTensor;
  readonly dy: RefTensor;
  readonly residual: RefTensor;
} {
  const { x, outputs, kernel } = convolution, sides = outputSides(convolution);
  return {
    x: randomTensor(x, 1),
    w: randomTensor([outputs, x[1], ...kernel], 2),
    b: randomTensor([outputs], 3),
    dy: randomTensor([x[0], outputs, ...sides], 4),
    residual: randomTensor([x[0], outputs, ...sides], 10),
  };
}

function geometry(convolution: Convolution): Record<string, number> {
  const { x: [, , height, width], kernel, stride, padding, dilation } = convolution;
  const [outHeight, outWidth] = outputSides(convolution);
  return {
    in_height: height,
    in_width: width,
    out_height: outHeight,
    out_width: outWidth,
    kernel_width: kernel[1],
    ...windowParams({ stride, padding, dilation }),
  };
}

/** y (N, OH, OW, O) from x and the weight. */
export function forwardProduct(convolution: Convolution): Product {
  const { x: [batch, channels], outputs, kernel } = convolution;
  const [outHeight, outWidth] = outputSides(convolution);
  const shape = {
    operation: "gemm/conv2d_forward",
    rows: batch * outHeight * outWidth,
    columns: outputs,
    segments: kernel[0] * kernel[1],
    inner: countQuads(channels),
    splittable: false,
    sizes: geometry(convolution),
  };
  return {
    shape,
    params: {
      weight: weightOffset,
      bias: biasOffset(convolution),
      ...normPlaces(convolution),
    },
    spare: inputRefs({ statistics: "values", residual: "x" }),
  };
}

/** dx (N, H, W, I) from dy and the weight: the products of all its pixels. */
export function inputProducts(convolution: Convolution): readonly Product[] {
  const { x: [images, channels, inHeight, inWidth], outputs, kernel, stride, padding, dilation } =
    convolution;
  const [outHeight, outWidth] = outputSides(convolution);
  const sides = { inHeight, inWidth, outHeight, outWidth, kernelHeight: kernel[0], kernelWidth: kernel[1] };
  const widths = { images, inQuads: countQuads(channels), outChannels: outputs };
  return backwardInputShapes({ ...widths, ...sides, stride, padding, dilation }).map((shape) => ({
    shape: { ...shape, columns: channels },
    params: { weight: weightOffset },
    spare: inputRefs({ gate: "dy", addend: "dy" }),
  }));
}

/** dw (splits, O, KH, KW, I) from dy and x. */
export function weightProduct(convolution: Convolution): Product {
  const { x: [batch, channels], outputs, kernel } = convolution;
  const [outHeight, outWidth] = outputSides(convolution);
  const shape = {
    operation: "gemm/conv2d_backward_weight",
    rows: outputs,
    columns: kernel[0] * kernel[1] * countQuads(channels) * 4,
    segments: batch * outHeight,
    inner: Math.ceil(outWidth / 4),
    splittable: true,
  };
  return { shape, params: { ...geometry(convolution), in_quads: countQuads(channels) }, spare: {} };
}

/** The cores for any product that a path is tested with: those it uses, and every one that keeps its block in registers. */
export function coresOf(path: ReadPath): readonly string[] {
  return [...new Set([...usableCores(path, undefined), ...usableCores("texture", undefined)])];
}
