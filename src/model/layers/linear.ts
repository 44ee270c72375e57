/**
 * Fully connected layer: y = x W^T + b.
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { quadsPerPixel, shapeText, vectorShape } from "../../shape.ts";
import { weightAndBias, weighted } from "../channels.ts";
import {
  convolutionBackwardBias,
  convolutionBackwardInput,
  convolutionBackwardWeight,
  type ConvolutionContext,
  convolutionForward,
} from "../convolution.ts";
import { backwardNorm, readNormed } from "../fused_norm.ts";
import { featureCount, type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A linear layer in a model file. */
export interface LinearSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "linear";
  /** Features O of the output. */
  readonly outFeatures: number;
  /** True for a number that is added to each output feature. */
  readonly bias: boolean;
}

/** Validates a linear layer. */
export const linearSchema = z.strictObject({
  kind: z.literal("linear"),
  ...layerFields,
  outFeatures: featureCount,
  bias: z.boolean().default(true),
});

/** The batch lies along the width of one image of height 1, so that the weight's gradient sums over it in quads. */
function makeConvolutionContext(context: LayerContext<LinearSpec>): ConvolutionContext {
  const { spec, batch } = context;
  return {
    name: context.name,
    choose: context.choose,
    weight: context.offsetOf("weight"),
    bias: spec.bias ? context.offsetOf("bias") : undefined,
    geometry: {
      images: 1,
      inQuads: quadsPerPixel(context.input),
      inHeight: 1,
      inWidth: batch,
      outChannels: spec.outFeatures,
      outHeight: 1,
      outWidth: batch,
      kernelHeight: 1,
      kernelWidth: 1,
      stride: 1,
      padding: 0,
    },
  };
}

/** The linear layer: x (N, F) -> y (N, O). After a flatten of (C, H, W), F = C * H * W in PyTorch's order. */
export const linear: LayerType<LinearSpec> = {
  channels: {
    ...weighted,
    narrow: ({ spec }, { outputs }) => ({ ...spec, outFeatures: outputs.length }),
  },
  stream: "fc",
  classifies: true,
  withOutputs: (spec, outFeatures) => ({ ...spec, outFeatures }),

  productForm: ({ spec, input: { taps, channels } }) => ({
    groups: 1,
    inChannels: channels,
    inSize: [1, taps],
    outChannels: spec.outFeatures,
    outSize: [1, 1],
    kernel: [1, taps],
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
  }),

  fusesNorm: () => true,
  fusesAdd: () => true,
  fusesRelu: true,
  addsToInput: () => true,
  gatesInput: () => true,

  outputShape(spec, [input], name) {
    if (input.height !== 1 || input.width !== 1) {
      const current = `input ${shapeText(input)}`;
      throw new ShapeError({
        act: "apply layer",
        thing: name,
        current,
        wanted: "a vector (flatten the map first)",
      });
    }
    return vectorShape(spec.outFeatures);
  },

  parameters(spec, { channels, taps }) {
    const rows = spec.outFeatures, shape = [rows, channels * taps];
    return weightAndBias({ rows, taps, channels, shape, bias: spec.bias });
  },

  forward(context) {
    context.emit(...convolutionForward(makeConvolutionContext(context), context));
  },

  backward(context) {
    const convolution = makeConvolutionContext(context);
    const { dy, dx, gated, addend, x, scratch, norm, spec } = context;
    const rowQuads = convolution.geometry.inQuads;
    const normed = norm && { ...convolution, norm, rows: spec.outFeatures, rowQuads };
    const summed = norm ? { ...convolution, bias: norm.beta } : convolution;
    context.emit(
      ...convolutionBackwardWeight(convolution, context),
      ...convolutionBackwardBias(summed, context),
    );
    if (normed) context.emit(backwardNorm(normed));
    if (!dx) return;
    const gate = gated ? x : undefined;
    const read = normed ? readNormed(normed, context) : { values: undefined, weight: convolution.weight };
    const { values, weight } = read, own = { ...convolution, weight };
    context.emit(...convolutionBackwardInput(own, { values, dy, dx, addend, gate, scratch }));
  },
};
