/**
 * ELU: y = x if x > 0, otherwise alpha (exp(x) - 1).
 *
 * @module
 */
import { z } from "zod";
import { activationLayer } from "../activation.ts";
import { type LayerFields, layerFields, type LayerType, maxNumber } from "../layer.ts";

/** An ELU in a model file. */
export interface EluSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "elu";
  /** What it comes down to far below 0, with its sign turned. */
  readonly alpha: number;
}

/** Validates an ELU. */
export const eluSchema = z.strictObject({
  kind: z.literal("elu"),
  ...layerFields,
  alpha: z.number().min(-maxNumber).max(maxNumber).default(1),
});

/** The ELU, any shape. */
export const elu: LayerType<EluSpec> = activationLayer(
  ({ alpha }) => ({ stem: "elu", params: { alpha } }),
  (value, { alpha }) => value > 0 ? value : alpha * Math.expm1(value),
);
