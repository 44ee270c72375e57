/**
 * SiLU, or swish: y = x / (1 + exp(-x)).
 *
 * @module
 */
import { z } from "zod";
import { activationLayer } from "../activation.ts";
import { type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A SiLU in a model file. */
export interface SiluSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "silu";
}

/** Validates a SiLU. */
export const siluSchema = z.strictObject({ kind: z.literal("silu"), ...layerFields });

/** The SiLU, any shape. */
export const silu: LayerType<SiluSpec> = activationLayer(
  () => ({ stem: "silu" }),
  (value) => value / (1 + Math.exp(-value)),
);
