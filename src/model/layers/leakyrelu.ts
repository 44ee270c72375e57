/**
 * Leaky ReLU: y = x if x > 0, otherwise negativeSlope * x.
 *
 * @module
 */
import { z } from "zod";
import { activationLayer } from "../activation.ts";
import { type LayerFields, layerFields, type LayerType, maxNumber } from "../layer.ts";

/** A leaky ReLU in a model file. */
export interface LeakyreluSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "leakyrelu";
  /** Slope for negative numbers. */
  readonly negativeSlope: number;
}

/** Validates a leaky ReLU. */
export const leakyreluSchema = z.strictObject({
  kind: z.literal("leakyrelu"),
  ...layerFields,
  negativeSlope: z.number().min(-maxNumber).max(maxNumber).default(0.01),
});

/** The leaky ReLU, any shape. */
export const leakyrelu: LayerType<LeakyreluSpec> = activationLayer(
  ({ negativeSlope }) => ({ stem: "leakyrelu", params: { "negative_slope": negativeSlope } }),
  (value, { negativeSlope }) => value > 0 ? value : negativeSlope * value,
);
