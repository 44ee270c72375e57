/**
 * Two-dimensional convolution with square windows, in PyTorch's sense (cross-correlation).
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { type FeatureShape, mapShape, quadsOf, shapeText, windowedLength } from "../../shape.ts";
import {
  convolutionBackwardBias,
  convolutionBackwardInput,
  convolutionBackwardWeight,
  type ConvolutionContext,
  convolutionForward,
} from "../convolution.ts";
import { type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";
import { pooledBackwardBias, pooledBackwardWeight, pooledForward } from "../pooled_convolution.ts";

/** A conv2d layer in a model file. */
export interface Conv2dSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "conv2d";
  /** Channels O of the output. */
  readonly outChannels: number;
  /** Side of the square window, in pixels. */
  readonly kernel: number;
  /** Pixels between two windows, along both sides. */
  readonly stride: number;
  /** Zeros added on each side, in pixels. */
  readonly padding: number;
  /** True adds a number to each output channel. */
  readonly bias: boolean;
}

/** Validates a conv2d layer. */
export const conv2dSchema = z.strictObject({
  kind: z.literal("conv2d"),
  ...layerFields,
  outChannels: z.int().min(1),
  kernel: z.int().min(1),
  stride: z.int().min(1).default(1),
  padding: z.int().min(0).default(0),
  bias: z.boolean().default(true),
});

function contextOf(context: LayerContext<Conv2dSpec>): ConvolutionContext {
  const { spec, input, output } = context;
  return {
    name: context.name,
    choose: context.choose,
    weight: context.offsetOf("weight"),
    bias: spec.bias ? context.offsetOf("bias") : undefined,
    geometry: {
      images: context.batch,
      inQuads: quadsOf(input.channels),
      inHeight: input.height,
      inWidth: input.width,
      outChannels: spec.outChannels,
      outHeight: output.height,
      outWidth: output.width,
      kernelHeight: spec.kernel,
      kernelWidth: spec.kernel,
      stride: spec.stride,
      padding: spec.padding,
    },
  };
}

/** The conv2d layer: x (N, C, H, W) -> y (N, O, OH, OW). */
export const conv2d: LayerType<Conv2dSpec> = {
  coupling: "dense",
  fusesNorm: () => true,
  fusesAdd: () => true,
  fusesRelu: true,
  fusesPool: () => true,
  addsToInput: () => true,
  gatesInput: () => true,

  outputShape(spec, [input], name): FeatureShape {
    const height = windowedLength(input.height, spec), width = windowedLength(input.width, spec);
    if (height < 1 || width < 1 || input.taps !== 1) {
      const wanted = `a feature map of at least ${spec.kernel} x ${spec.kernel} with its padding`;
      throw new ShapeError({ act: "apply layer", thing: name, current: `input ${shapeText(input)}`, wanted });
    }
    return mapShape(spec.outChannels, height, width);
  },

  parameters(spec, input) {
    const taps = spec.kernel * spec.kernel, { channels } = input, rows = spec.outChannels;
    // PyTorch's default for convolutions and linear layers: uniform within 1 / sqrt(fan in).
    const initial = { bound: 1 / Math.sqrt(channels * taps) };
    const shape = [rows, channels, spec.kernel, spec.kernel];
    const weight = { name: "weight", role: "weight", rows, taps, channels, shape, initial } as const;
    const bias = {
      name: "bias",
      role: "bias",
      rows: 1,
      taps: 1,
      channels: rows,
      shape: [rows],
      initial,
    } as const;
    return spec.bias ? [weight, bias] : [weight];
  },

  forward(context) {
    const convolution = contextOf(context), { x, pool, mode } = context;
    if (pool) context.emit(pooledForward(convolution, { x, pool, keepsPlaces: mode !== "evaluate" }));
    else context.emit(convolutionForward(convolution, context));
  },

  backward(context) {
    const convolution = contextOf(context);
    const { dy, dx, gated, addend, x, pool, scratch } = context, { bias } = convolution;
    if (pool) {
      // Where the input's gradient is wanted, the output's has been made, and is read more often than it costs to make.
      if (dx) context.emit(...convolutionBackwardWeight(convolution, context));
      else context.emit(...pooledBackwardWeight(convolution, { x, pool, scratch }));
      if (bias !== undefined) context.emit(...pooledBackwardBias(convolution, { pool, bias, scratch }));
    } else {
      const weight = convolutionBackwardWeight(convolution, context);
      context.emit(...weight, ...convolutionBackwardBias(convolution, context));
    }
    if (dx) {
      context.emit(convolutionBackwardInput(convolution, { dy, dx, addend, gate: gated ? x : undefined }));
    }
  },
};
