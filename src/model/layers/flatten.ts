/**
 * Flatten: (C, H, W) -> (C * H * W). The bytes stay as they are; src/io converts the weights that follow from and to
 * PyTorch's order.
 *
 * @module
 */
import { z } from "zod";
import { channelwise } from "../channels.ts";
import { type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A flatten in a model file. */
export interface FlattenSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "flatten";
}

/** Validates a flatten. */
export const flattenSchema = z.strictObject({ kind: z.literal("flatten"), ...layerFields });

/** The flatten layer. */
export const flatten: LayerType<FlattenSpec> = {
  channels: channelwise({ ofConstant: (value) => value, sign: "kept", onlyRearranges: true }),
  isView: () => true,
  outputShape: (_spec, [{ channels, height, width, taps }]) => {
    return { channels, height: 1, width: 1, taps: taps * height * width };
  },
  parameters: () => [],
  forward: () => {},
  backward: () => {},
};
