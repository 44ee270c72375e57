/**
 * Channel shuffle: mixes the channels of groups, so that each group of a convolution after it reads from all of them
 * (Zhang et al. 2017, "ShuffleNet", arXiv 1707.01083).
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import type { BufferRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import { quadsPerExample, shapeText } from "../../shape.ts";
import { featureCount, type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A channel shuffle in a model file. */
export interface ShuffleSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "shuffle";
  /** Groups of neighbouring channels; they divide the channels. */
  readonly groups: number;
}

/** Validates a channel shuffle. */
export const shuffleSchema = z.strictObject({
  kind: z.literal("shuffle"),
  ...layerFields,
  groups: featureCount,
});

/** The channel that output channel c comes from: one of each group in turn. */
function findSource(c: number, groups: number, channels: number): number {
  return (c % groups) * (channels / groups) + Math.floor(c / groups);
}

/** A shuffle; that by channels / groups is the inverse of that by groups. */
function shuffleChannels(
  { name, batch, output }: Pick<LayerContext<ShuffleSpec>, "name" | "batch" | "output">,
  { pass, groups, ...bindings }: {
    readonly pass: string;
    readonly groups: number;
    readonly x: BufferRef;
    readonly y: BufferRef;
  },
): Dispatch {
  const quads = batch * quadsPerExample(output);
  return dispatchOver(quads, {
    kernel: "layer/shuffle_channels",
    label: `${name} ${pass}`,
    bindings,
    params: { quads_total: quads, channels: output.channels, groups },
  });
}

/** The shuffle: x (N, C, H, W) -> y of the same shape. */
export const shuffle: LayerType<ShuffleSpec> = {
  channels: {
    sign: "kept",
    onlyRearranges: true,

    labels({ spec: { groups }, output: { channels } }, [input], labels) {
      // Groups keep as many channels as each other, or what is left is no shuffle.
      const positions = channels / groups;
      for (let c = positions; c < channels; c++) labels.unite(input[c % positions], input[c]);
      return input.map((_, c) => input[findSource(c, groups, channels)]);
    },

    constants: ({ spec: { groups }, output: { channels } }, [input]) =>
      input.map((_, c) => input[findSource(c, groups, channels)]),
    narrow: ({ spec }) => spec,
  },

  outputShape({ groups }, [input], name) {
    if (input.taps === 1 && input.channels % groups === 0) return input;
    const flattened = input.taps === 1 ? "" : " that was flattened";
    const current = `input ${shapeText(input)}${flattened}`;
    const wanted = `a feature map whose channels are a multiple of its ${groups} groups`;
    throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
  },

  parameters: () => [],

  forward(context) {
    const { spec: { groups }, x, y, emit } = context;
    emit(shuffleChannels(context, { pass: "forward", groups, x, y }));
  },

  backward(context) {
    const { spec: { groups }, output: { channels }, dy, dx, emit } = context;
    if (dx) emit(shuffleChannels(context, { pass: "backward", groups: channels / groups, x: dy, y: dx }));
  },
};
