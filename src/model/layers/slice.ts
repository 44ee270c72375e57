/**
 * Some neighbouring channels of a feature map, such as one half of a ShuffleNet block's (Ma et al. 2018, arXiv
 * 1807.11164).
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import type { BufferRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import { type FeatureShape, mapShape, quadsPerExample, shapeText } from "../../shape.ts";
import { featureCount, type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A slice of channels in a model file. */
export interface SliceSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "slice";
  /** The first channel that is taken. */
  readonly first: number;
  /** How many are taken. */
  readonly outChannels: number;
}

/** Validates a slice of channels. */
export const sliceSchema = z.strictObject({
  kind: z.literal("slice"),
  ...layerFields,
  first: z.int().min(0).max(2 ** 24).default(0),
  outChannels: featureCount,
});

/** y[c] = x[c + shift], 0 where x has no such channel. */
function shiftChannels(
  { name, batch }: Pick<LayerContext<SliceSpec>, "name" | "batch">,
  { pass, from, to, shift, ...bindings }: {
    readonly pass: string;
    readonly from: FeatureShape;
    readonly to: FeatureShape;
    readonly shift: number;
    readonly x: BufferRef;
    readonly y: BufferRef;
  },
): Dispatch {
  const quads = batch * quadsPerExample(to);
  return dispatchOver(quads, {
    kernel: "layer/slice_channels",
    label: `${name} ${pass}`,
    bindings,
    params: {
      quads_total: quads,
      in_channels: from.channels,
      channels: to.channels,
      in_height: from.height,
      in_width: from.width,
      out_height: to.height,
      out_width: to.width,
      stride: 1,
      shift,
    },
  });
}

/** The slice: x (N, C, H, W) -> y (N, outChannels, H, W). */
export const slice: LayerType<SliceSpec> = {
  channels: {
    sign: "kept",
    onlyRearranges: true,
    labels: ({ spec: { first, outChannels } }, [input]) => input.slice(first, first + outChannels),
    constants: ({ spec: { first, outChannels } }, [input]) => input.slice(first, first + outChannels),
    narrow: ({ spec }, { inputs: [inputs], outputs }) => ({
      ...spec,
      first: inputs.filter((channel) => channel < spec.first).length,
      outChannels: outputs.length,
    }),
  },

  outputShape({ first, outChannels }, [input], name) {
    if (input.taps === 1 && first + outChannels <= input.channels) {
      return mapShape(outChannels, input.height, input.width);
    }
    const flattened = input.taps === 1 ? "" : " that was flattened";
    const current = `channels ${first} to ${first + outChannels - 1} of input ${
      shapeText(input)
    }${flattened}`;
    throw new ShapeError({ act: "apply layer", thing: name, current, wanted: "channels of a feature map" });
  },

  parameters: () => [],

  forward(context) {
    const { spec: { first }, input: from, output: to, x, y, emit } = context;
    emit(shiftChannels(context, { pass: "forward", from, to, shift: first, x, y }));
  },

  backward(context) {
    const { spec: { first }, input: to, output: from, dy, dx, emit } = context;
    // Not -0, which integer fields refuse.
    if (dx) emit(shiftChannels(context, { pass: "backward", from, to, shift: 0 - first, x: dy, y: dx }));
  },
};
