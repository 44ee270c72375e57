/**
 * Two-dimensional convolution, in PyTorch's sense (cross-correlation).
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import {
  countQuads,
  type FeatureShape,
  mapShape,
  type Pair,
  shapeText,
  toPair,
  windowedSides,
} from "../../shape.ts";
import { getWeightForm, weightAndBias, weighted } from "../channels.ts";
import {
  convolutionBackwardBias,
  convolutionBackwardInput,
  convolutionBackwardWeight,
  type ConvolutionContext,
  convolutionForward,
} from "../convolution.ts";
import {
  groupedBackwardInput,
  groupedBackwardWeight,
  type GroupedConvolution,
  groupedForward,
} from "../grouped_convolution.ts";
import { backwardNorm, readNormed } from "../fused_norm.ts";
import { featureCount, type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";
import { pooledBackwardBias, pooledBackwardWeight, pooledForward } from "../pooled_convolution.ts";
import { isSquare, pairField } from "../window.ts";

/** A conv2d layer in a model file. */
export interface Conv2dSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "conv2d";
  /** Channels O of the output. */
  readonly outChannels: number;
  /** Sides of the window, in pixels. */
  readonly kernel: Pair;
  /** Pixels between two windows. */
  readonly stride: Pair;
  /** Zeros added on each side, in pixels; with `paddingAfter` above and on the left. */
  readonly padding: Pair;
  /** Zeros added below and on the right. Default: padding. */
  readonly paddingAfter?: Pair | undefined;
  /** Pixels between two taps of a window. Default: 1. */
  readonly dilation?: Pair | undefined;
  /** Groups of channels, each convolved on its own. It divides both channel counts. Default: 1. */
  readonly groups?: number | undefined;
  /** True for a number that is added to each output channel. */
  readonly bias: boolean;
}

/** Validates a conv2d layer. */
export const conv2dSchema = z.strictObject({
  kind: z.literal("conv2d"),
  ...layerFields,
  outChannels: featureCount,
  kernel: pairField(1),
  stride: pairField(1).default(1),
  padding: pairField(0).default(0),
  paddingAfter: pairField(0).optional(),
  dilation: pairField(1).optional(),
  groups: featureCount.optional(),
  bias: z.boolean().default(true),
});

function makeConvolutionContext(context: LayerContext<Conv2dSpec>): ConvolutionContext {
  const { spec, input, output } = context, [kernelHeight, kernelWidth] = toPair(spec.kernel);
  return {
    name: context.name,
    choose: context.choose,
    weight: context.offsetOf("weight"),
    bias: spec.bias ? context.offsetOf("bias") : undefined,
    geometry: {
      images: context.batch,
      inQuads: countQuads(input.channels),
      inHeight: input.height,
      inWidth: input.width,
      outChannels: spec.outChannels,
      outHeight: output.height,
      outWidth: output.width,
      kernelHeight,
      kernelWidth,
      stride: spec.stride,
      padding: spec.padding,
      dilation: spec.dilation,
    },
  };
}

/** The convolution in its groups, or undefined if there is one group only. */
function makeGroupedConvolution(context: LayerContext<Conv2dSpec>): GroupedConvolution | undefined {
  const { spec: { groups = 1 }, input: { channels } } = context;
  return groups === 1
    ? undefined
    : { convolution: makeConvolutionContext(context), inChannels: channels, groups };
}

/** The conv2d layer: x (N, C, H, W) -> y (N, O, OH, OW). */
export const conv2d: LayerType<Conv2dSpec> = {
  channels: {
    ...weighted,
    narrow(layer, { inputs: [inputs], outputs }) {
      const { spec } = layer;
      // Depthwise groups are removed with their channels; other groups stay, each with fewer channels.
      const groups = getWeightForm(layer)!.isDepthwise ? inputs.length : spec.groups;
      return { ...spec, outChannels: outputs.length, ...(groups === undefined ? {} : { groups }) };
    },
  },
  stream: "conv",

  withOutputs: (spec, outChannels) => (spec.groups ?? 1) === 1 ? { ...spec, outChannels } : undefined,

  productForm({ spec, input, output }) {
    const { groups = 1 } = spec;
    return {
      groups,
      inChannels: input.channels / groups,
      inSize: [input.height, input.width],
      outChannels: spec.outChannels / groups,
      outSize: [output.height, output.width],
      kernel: toPair(spec.kernel),
      stride: toPair(spec.stride),
      padding: toPair(spec.padding),
      paddingAfter: toPair(spec.paddingAfter ?? spec.padding),
      dilation: toPair(spec.dilation ?? 1),
    };
  },

  fusesNorm: () => true,
  fusesAdd: () => true,
  fusesRelu: true,
  fusesPool: ({ stride, padding, dilation = 1, groups = 1 }) =>
    groups === 1 && isSquare(stride) && isSquare(padding) && isSquare(dilation, 1),
  addsToInput: () => true,
  gatesInput: () => true,

  outputShape(spec, [input], name): FeatureShape {
    const { groups = 1, outChannels } = spec, { height, width } = windowedSides(input, spec);
    if (input.channels % groups !== 0 || outChannels % groups !== 0) {
      const current = `${input.channels} input and ${outChannels} output channels`;
      const wanted = `multiples of its ${groups} groups`;
      throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
    }
    if (height < 1 || width < 1 || input.taps !== 1) {
      const dilation = toPair(spec.dilation ?? 1);
      const minSides = toPair(spec.kernel).map((side, i) => dilation[i] * (side - 1) + 1).join(" x ");
      const wanted = `a feature map of at least ${minSides} with its padding`;
      throw new ShapeError({ act: "apply layer", thing: name, current: `input ${shapeText(input)}`, wanted });
    }
    return mapShape(outChannels, height, width);
  },

  parameters(spec, input) {
    const [kernelHeight, kernelWidth] = toPair(spec.kernel), taps = kernelHeight * kernelWidth;
    const channels = input.channels / (spec.groups ?? 1), rows = spec.outChannels;
    return weightAndBias({
      rows,
      taps,
      channels,
      shape: [rows, channels, kernelHeight, kernelWidth],
      bias: spec.bias,
    });
  },

  forward(context) {
    const convolution = makeConvolutionContext(context),
      grouped = makeGroupedConvolution(context),
      { x, pool, mode, scratch } = context;
    const keepsArgmax = mode !== "evaluate";
    if (grouped) context.emit(groupedForward(grouped, context));
    else if (pool) context.emit(...pooledForward(convolution, { x, pool, keepsArgmax, scratch }));
    else context.emit(...convolutionForward(convolution, context));
  },

  backward(context) {
    const convolution = makeConvolutionContext(context), grouped = makeGroupedConvolution(context);
    const { dy, dx, gated, addend, x, pool, scratch, norm, spec, input } = context, { bias } = convolution;
    const normed = norm && {
      ...convolution,
      norm,
      rows: spec.outChannels,
      rowQuads: toPair(spec.kernel).reduce((a, b) => a * b) * countQuads(input.channels / (spec.groups ?? 1)),
    };
    if (pool) {
      // For the input's gradient, the output's gradient was computed already; reading it is cheaper than computing it
      // again.
      if (dx) context.emit(...convolutionBackwardWeight(convolution, context));
      else context.emit(...pooledBackwardWeight(convolution, { x, pool, scratch }));
      if (bias !== undefined) context.emit(...pooledBackwardBias(convolution, { pool, bias, scratch }));
    } else {
      const weight = grouped
        ? groupedBackwardWeight(grouped, context)
        : convolutionBackwardWeight(convolution, context);
      const summed = norm ? { ...convolution, bias: norm.beta } : convolution;
      context.emit(...weight, ...convolutionBackwardBias(summed, context));
    }
    if (normed) context.emit(backwardNorm(normed));
    if (!dx) return;
    const tensors = { dy, dx, addend, gate: gated ? x : undefined, scratch };
    const read = normed ? readNormed(normed, context) : { values: undefined, weight: convolution.weight };
    const { values, weight } = read, own = { ...convolution, weight };
    if (grouped) context.emit(groupedBackwardInput({ ...grouped, convolution: own }, { ...tensors, values }));
    else context.emit(...convolutionBackwardInput(own, { ...tensors, values }));
  },
};
