/**
 * Global average pooling: the mean of each channel over its map.
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { type FeatureShape, shapeText, vectorShape, type Windows } from "../../shape.ts";
import { channelwise } from "../channels.ts";
import { type LayerFields, layerFields, type LayerType } from "../layer.ts";
import { averageBackward, poolForward } from "./pool2d.ts";

/** A global average pooling in a model file: PyTorch's AdaptiveAvgPool2d(1) and the flatten after it. */
export interface Globalavgpool2dSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "globalavgpool2d";
}

/** Validates a global average pooling. */
export const globalavgpool2dSchema = z.strictObject({ kind: z.literal("globalavgpool2d"), ...layerFields });

/** One window, the whole map. */
function makeWindow({ height, width }: FeatureShape): Windows {
  return { kernel: [height, width], stride: 1, padding: 0 };
}

/** Global average pooling: x (N, C, H, W) -> y (N, C). */
export const globalavgpool2d: LayerType<Globalavgpool2dSpec> = {
  channels: channelwise({ ofConstant: (value) => value, sign: "kept", onlyRearranges: true }),
  gatesInput: () => true,

  outputShape(_spec, [input], name) {
    if (input.taps !== 1) {
      const current = `input ${shapeText(input)} that was flattened`;
      throw new ShapeError({ act: "apply layer", thing: name, current, wanted: "a feature map" });
    }
    return vectorShape(input.channels);
  },

  parameters: () => [],
  forward: (context) => poolForward(context, makeWindow(context.input), "avgpool2d"),
  backward(context) {
    if (context.dx) averageBackward(context, makeWindow(context.input), context.dx);
  },
};
