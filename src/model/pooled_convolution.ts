/**
 * Dispatches of a convolution with fused ReLU and max pooling 2 x 2. The convolution's output never leaves the
 * registers, and the gradient of that output is computed while it is read.
 *
 * @module
 */
import { arenaRef, type BufferRef } from "../kernels/buffer_ref.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import { dispatchProductWithTransform } from "../kernels/gemm.ts";
import type { ProductShape } from "../kernels/product.ts";
import { splitRows, sumColumns } from "../kernels/reduce.ts";
import { countQuads, toPair } from "../shape.ts";
import {
  type ConvolutionContext,
  type ConvolutionGeometry,
  dispatchWeightGradient,
  type Scratch,
} from "./convolution.ts";
import type { FusedPool } from "./layer.ts";

function sizes(g: ConvolutionGeometry, { output }: FusedPool) {
  return {
    in_height: g.inHeight,
    in_width: g.inWidth,
    in_quads: g.inQuads,
    pooled_height: output.height,
    pooled_width: output.width,
    kernel_width: g.kernelWidth,
    // The kernels only support windows with equal steps along both sides (fusesPool in layers/conv2d.ts).
    stride: toPair(g.stride)[0],
    padding: toPair(g.padding)[0],
  };
}

/** The operands that both products share, in quads. */
function operandQuads(g: ConvolutionGeometry, { output }: FusedPool) {
  return {
    x: g.images * g.inHeight * g.inWidth * g.inQuads,
    pooled: g.images * output.height * output.width * countQuads(g.outChannels),
    weight: g.outChannels * g.kernelHeight * g.kernelWidth * g.inQuads,
  };
}

/** The product of the forward pass: four rows per window; a segment is a line of the filter. */
export function pooledForwardShape(g: ConvolutionGeometry, pool: FusedPool): ProductShape {
  const { x, pooled, weight } = operandQuads(g, pool);
  return {
    operation: "gemm/conv2d_forward_pooled",
    rows: 4 * g.images * pool.output.height * pool.output.width,
    columns: g.outChannels,
    segments: g.kernelHeight,
    inner: g.kernelWidth * g.inQuads,
    splittable: false,
    sizes: sizes(g, pool),
    trial: {
      operands: { x, values: weight, y: pooled, argmax: pooled },
      constants: { HAS_BIAS: 1, ARGMAX: 1 },
    },
  };
}

/** The product of the weight's gradient: a segment is a line of pixels that windows cover. */
function pooledBackwardWeightShape(g: ConvolutionGeometry, pool: FusedPool): ProductShape {
  const { x, pooled, weight } = operandQuads(g, pool);
  return {
    operation: "gemm/conv2d_backward_weight_pooled",
    rows: g.outChannels,
    columns: 4 * g.kernelHeight * g.kernelWidth * g.inQuads,
    segments: 2 * g.images * pool.output.height,
    inner: Math.ceil(pool.output.width / 2),
    splittable: true,
    sizes: sizes(g, pool),
    trial: { operands: { dy: pooled, argmax: pooled, x, sums: weight }, constants: {} },
  };
}

/** The pooled output, and its argmax if a backward pass follows: one dispatch, or two. */
export function pooledForward(
  { name, geometry, choose, weight, bias }: ConvolutionContext,
  { x, pool, keepsArgmax, scratch }: Scratch & {
    readonly x: BufferRef;
    readonly pool: FusedPool;
    readonly keepsArgmax: boolean;
  },
): readonly Dispatch[] {
  const shape = pooledForwardShape(geometry, pool);
  return dispatchProductWithTransform(shape, choose(shape), {
    scratch,
    label: `${name} forward, pooled`,
    bindings: { x, values: arenaRef("values"), y: pool.y, argmax: pool.argmax },
    params: { weight, bias: bias ?? 0 },
    constants: { HAS_BIAS: bias === undefined ? 0 : 1, ARGMAX: keepsArgmax ? 1 : 0 },
  });
}

/** The weight's gradient from the pooled output's; it overwrites the arena. */
export function pooledBackwardWeight(
  context: ConvolutionContext,
  { x, pool, scratch }: Scratch & { readonly x: BufferRef; readonly pool: FusedPool },
): readonly Dispatch[] {
  return dispatchWeightGradient(pooledBackwardWeightShape(context.geometry, pool), context, {
    label: `${context.name} backward weight, pooled`,
    bindings: { dy: pool.dy, argmax: pool.argmax, x },
    scratch,
  });
}

/** The bias's gradient from the pooled output's: a quarter of the rows that the convolution's output has. */
export function pooledBackwardBias(
  { name, geometry }: ConvolutionContext,
  { pool, bias, scratch }: Scratch & { readonly pool: FusedPool; readonly bias: number },
): readonly Dispatch[] {
  const rows = geometry.images * pool.output.height * pool.output.width;
  const quads = countQuads(geometry.outChannels);
  return sumColumns({
    label: `${name} backward bias, pooled`,
    term: "reduce/bias_backward_pooled",
    bindings: { dy: pool.dy, argmax: pool.argmax },
    rows,
    quads,
    scratch: scratch("bias sums", splitRows(rows, quads).chunks * quads),
    out: arenaRef("gradients"),
    offset: bias,
    scale: 1,
  });
}
