/**
 * Hard sigmoid: y = min(max(alpha x + beta, 0), 1). PyTorch's alpha is 1/6, Keras' 1/5.
 *
 * @module
 */
import { z } from "zod";
import { activationLayer } from "../activation.ts";
import { type LayerFields, layerFields, type LayerType, maxNumber } from "../layer.ts";

/** A hard sigmoid in a model file. */
export interface HardsigmoidSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "hardsigmoid";
  /** The slope between 0 and 1. */
  readonly alpha: number;
  /** What it gives for 0. */
  readonly beta: number;
}

const field = z.number().min(-maxNumber).max(maxNumber);

/** Validates a hard sigmoid. */
export const hardsigmoidSchema = z.strictObject({
  kind: z.literal("hardsigmoid"),
  ...layerFields,
  alpha: field.default(1 / 6),
  beta: field.default(0.5),
});

/** The hard sigmoid, any shape. */
export const hardsigmoid: LayerType<HardsigmoidSpec> = activationLayer(
  ({ alpha, beta }) => ({ stem: "hardsigmoid", isPadded: true, params: { alpha, beta } }),
  (value, { alpha, beta }) => Math.min(Math.max(alpha * value + beta, 0), 1),
);
