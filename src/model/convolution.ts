/**
 * Dispatches of convolutions, shared by conv2d and linear (a 1 x 1 convolution over an image of 1 x batch).
 *
 * @module
 */
import { arenaRef, type BufferRef } from "../kernels/buffer_ref.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import { dispatchProduct, dispatchProductWithTransform } from "../kernels/gemm.ts";
import type { ProductChooser, ProductShape } from "../kernels/product.ts";
import { splitRows, sumColumns, sumSplits } from "../kernels/reduce.ts";
import { countQuads, type Pair, toPair } from "../shape.ts";
import type { FusedNorm } from "./layer.ts";
import { stepParams } from "./window.ts";

/** Sizes of a convolution. Channels are counted in numbers, unless the name says quads. */
export interface ConvolutionGeometry {
  readonly images: number;
  /** Quads per pixel of the input: those of its channels, or more if taps were flattened into it. */
  readonly inQuads: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly outChannels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: Pair;
  readonly padding: Pair;
  /** Pixels between two taps. Default: 1. */
  readonly dilation?: Pair | undefined;
}

/** What the three passes share: names, offsets and the chooser of cores. */
export interface ConvolutionContext {
  readonly name: string;
  readonly geometry: ConvolutionGeometry;
  readonly choose: ProductChooser;
  /** First quad of the weight in the value and gradient arenas. */
  readonly weight: number;
  /** First quad of the bias, or undefined without one. */
  readonly bias: number | undefined;
}

/** The parameters of strides, paddings and dilations along height and width. */
export function windowParams(g: Pick<ConvolutionGeometry, "stride" | "padding" | "dilation">) {
  const [dilationY, dilationX] = toPair(g.dilation ?? 1);
  return { ...stepParams(g), dilation_y: dilationY, dilation_x: dilationX };
}

function sizes(g: ConvolutionGeometry) {
  return {
    in_height: g.inHeight,
    in_width: g.inWidth,
    out_height: g.outHeight,
    out_width: g.outWidth,
    kernel_width: g.kernelWidth,
    ...windowParams(g),
  };
}

/** Quads of the input, the output and the weight. */
function operandQuads(g: ConvolutionGeometry) {
  return {
    x: g.images * g.inHeight * g.inWidth * g.inQuads,
    y: g.images * g.outHeight * g.outWidth * countQuads(g.outChannels),
    weight: g.outChannels * g.kernelHeight * g.kernelWidth * g.inQuads,
  };
}

/** The product of the forward pass. */
export function forwardShape(g: ConvolutionGeometry): ProductShape {
  const { x, y, weight } = operandQuads(g);
  return {
    operation: "gemm/conv2d_forward",
    rows: g.images * g.outHeight * g.outWidth,
    columns: g.outChannels,
    segments: g.kernelHeight * g.kernelWidth,
    inner: g.inQuads,
    splittable: false,
    sizes: sizes(g),
    trial: {
      operands: { x, values: weight, statistics: 1, residual: 1, y },
      constants: { HAS_BIAS: 1, HAS_NORM: 0, HAS_RESIDUAL: 0, RELU: 1 },
    },
  };
}

/** Input pixels along a side that lie a stride apart, and the taps of the filter that meet them. */
interface PixelClass {
  readonly first: number;
  readonly pixels: number;
  /** The first tap, and the taps from one to the next; there may be none. */
  readonly tap: number;
  readonly tapStep: number;
  readonly taps: number;
}

/** The classes of pixels along a side. */
function classifyPixels(
  length: number,
  { kernel, stride, padding, dilation }: Readonly<
    Record<"kernel" | "stride" | "padding" | "dilation", number>
  >,
): readonly PixelClass[] {
  return Array.from({ length: Math.min(stride, length) }, (_, first) => {
    const meets = (tap: number) => (first + padding - tap * dilation) % stride === 0;
    const taps = Array.from({ length: kernel }, (_, tap) => tap).filter(meets),
      [tap = 0, second = tap + 1] = taps;
    return {
      first,
      pixels: Math.ceil((length - first) / stride),
      tap,
      tapStep: second - tap,
      taps: taps.length,
    };
  });
}

/** The products of the input's gradient: one with stride 1, otherwise one for each class of pixels. */
export function backwardInputShapes(g: ConvolutionGeometry): readonly ProductShape[] {
  const [strideY, strideX] = toPair(g.stride), whole = backwardInputShape(g);
  if (strideY === 1 && strideX === 1) return [whole];
  const [paddingY, paddingX] = toPair(g.padding), [dilationY, dilationX] = toPair(g.dilation ?? 1);
  const vertical = { kernel: g.kernelHeight, stride: strideY, padding: paddingY, dilation: dilationY };
  const horizontal = { kernel: g.kernelWidth, stride: strideX, padding: paddingX, dilation: dilationX };
  return classifyPixels(g.inHeight, vertical).flatMap((y) =>
    classifyPixels(g.inWidth, horizontal).map((x): ProductShape => ({
      ...whole,
      operation: "gemm/conv2d_backward_input_strided",
      rows: g.images * y.pixels * x.pixels,
      segments: y.taps * x.taps,
      sizes: {
        ...whole.sizes,
        kernel_height: g.kernelHeight,
        ...{ first_y: y.first, first_x: x.first, tap_y: y.tap, tap_x: x.tap },
        ...{ tap_step_y: y.tapStep, tap_step_x: x.tapStep, taps_x: Math.max(1, x.taps) },
      },
    }))
  );
}

/** The product of the gradient of the input of a convolution with stride 1. */
export function backwardInputShape(g: ConvolutionGeometry): ProductShape {
  const { x, y, weight } = operandQuads(g);
  return {
    operation: "gemm/conv2d_backward_input",
    rows: g.images * g.inHeight * g.inWidth,
    columns: 4 * g.inQuads,
    segments: g.kernelHeight * g.kernelWidth,
    inner: countQuads(g.outChannels),
    splittable: false,
    sizes: { ...sizes(g), out_channels: g.outChannels },
    trial: {
      operands: { dy: y, values: weight, gate: x, addend: 1, dx: x },
      constants: { HAS_ADDEND: 0, GATED: 0 },
    },
  };
}

/** The product of the weight's gradient. */
export function backwardWeightShape(g: ConvolutionGeometry): ProductShape {
  const { x, y, weight } = operandQuads(g);
  return {
    operation: "gemm/conv2d_backward_weight",
    rows: g.outChannels,
    columns: 4 * g.kernelHeight * g.kernelWidth * g.inQuads,
    segments: g.images * g.outHeight,
    inner: Math.ceil(g.outWidth / 4),
    splittable: true,
    sizes: { ...sizes(g), in_quads: g.inQuads },
    trial: { operands: { dy: y, x, sums: weight }, constants: {} },
  };
}

/** The tensors of a forward pass, and the layers that are fused into it. */
export interface ForwardTensors {
  readonly x: BufferRef;
  readonly y: BufferRef;
  readonly norm?: FusedNorm | undefined;
  readonly residual?: BufferRef | undefined;
  readonly relu: boolean;
}

/** The tensors of an input gradient. */
export interface InputGradientTensors {
  /** The buffer with the weight. Default: the value arena. */
  readonly values?: BufferRef | undefined;
  readonly dy: BufferRef;
  readonly dx: BufferRef;
  readonly addend?: BufferRef | undefined;
  readonly gate: BufferRef | undefined;
}

/** Declares tensors for intermediate results. */
export interface Scratch {
  readonly scratch: (purpose: string, quads: number) => BufferRef;
}

/**
 * The offsets of a batch norm's statistics and parameters, as the kernels' params; all zero without a batch norm.
 */
export function normParams(norm: FusedNorm | undefined) {
  return norm ?? { mean: 0, variance: 0, gamma: 0, beta: 0, epsilon: 0 };
}

/**
 * y = act(norm(conv(x) + bias) + residual): one dispatch, or two if the core transforms the weight into `scratch`.
 */
export function convolutionForward(
  { name, geometry, choose, weight, bias }: ConvolutionContext,
  { x, y, norm, residual, relu, scratch }: ForwardTensors & Scratch,
): readonly Dispatch[] {
  const shape = forwardShape(geometry);
  return dispatchProductWithTransform(shape, choose(shape), {
    scratch,
    label: `${name} forward`,
    // Every binding needs a buffer, so unused ones share one that is used.
    bindings: {
      x,
      values: arenaRef("values"),
      statistics: norm ? arenaRef("statistics") : arenaRef("values"),
      residual: residual ?? x,
      y,
    },
    params: { weight, bias: bias ?? 0, ...normParams(norm) },
    constants: {
      HAS_BIAS: bias === undefined ? 0 : 1,
      HAS_NORM: norm ? 1 : 0,
      HAS_RESIDUAL: residual === undefined ? 0 : 1,
      RELU: relu ? 1 : 0,
    },
  });
}

/**
 * dx from dy: one dispatch, or two if the core transforms the weight into `scratch`; with strides one for each class of
 * pixels. `addend` is added to dx; then dx is zero where `gate` <= 0.
 */
export function convolutionBackwardInput(
  { name, geometry, choose, weight }: ConvolutionContext,
  { values = arenaRef("values"), dy, dx, addend, gate, scratch }: InputGradientTensors & Scratch,
): readonly Dispatch[] {
  return backwardInputShapes(geometry).flatMap((shape) =>
    dispatchProductWithTransform(shape, choose(shape), {
      scratch,
      label: `${name} backward input`,
      bindings: { dy, values, gate: gate ?? dy, addend: addend ?? dy, dx },
      params: { weight },
      constants: { HAS_ADDEND: addend === undefined ? 0 : 1, GATED: gate === undefined ? 0 : 1 },
    })
  );
}

/**
 * The product of a weight's gradient, bound as `sums`; it overwrites the arena. If its sum is split, the partial sums lie
 * in a scratch tensor, and a second dispatch adds them.
 */
export function dispatchWeightGradient(
  shape: ProductShape,
  { choose, weight }: Pick<ConvolutionContext, "choose" | "weight">,
  { label, bindings, scratch }: Pick<Dispatch, "label" | "bindings"> & Scratch,
): readonly Dispatch[] {
  const choice = choose(shape), { splits } = choice, gradients = arenaRef("gradients");
  if (splits === 1) {
    const whole = { ...bindings, sums: gradients };
    return [dispatchProduct(shape, choice, { label, bindings: whole, params: { offset: weight } })];
  }
  const quads = shape.rows * shape.columns / 4, sums = scratch("weight sums", splits * quads);
  return [
    dispatchProduct(shape, choice, { label, bindings: { ...bindings, sums }, params: { offset: 0 } }),
    sumSplits({ label, scratch: sums, out: gradients, offset: weight, quads, splits, scale: 1 }),
  ];
}

/** The weight's gradient; it overwrites the arena. */
export function convolutionBackwardWeight(
  context: ConvolutionContext,
  { x, dy, scratch }: Scratch & { readonly x: BufferRef; readonly dy: BufferRef },
): readonly Dispatch[] {
  const label = `${context.name} backward weight`;
  return dispatchWeightGradient(backwardWeightShape(context.geometry), context, {
    label,
    bindings: { dy, x },
    scratch,
  });
}

/** The bias's gradient; it overwrites the arena. */
export function convolutionBackwardBias(
  { name, geometry, bias }: ConvolutionContext,
  { dy, scratch }: Scratch & { readonly dy: BufferRef },
): readonly Dispatch[] {
  if (bias === undefined) return [];
  const rows = geometry.images * geometry.outHeight * geometry.outWidth;
  const quads = countQuads(geometry.outChannels);
  return sumColumns({
    label: `${name} backward bias`,
    term: "reduce/bias_backward",
    bindings: { dy },
    rows,
    quads,
    scratch: scratch("bias sums", splitRows(rows, quads).chunks * quads),
    out: arenaRef("gradients"),
    offset: bias,
    scale: 1,
  });
}
