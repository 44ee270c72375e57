/**
 * GELU: y = x P(X <= x), X standard normal (Hendrycks and Gimpel 2016, arXiv 1606.08415).
 *
 * @module
 */
import { z } from "zod";
import { activationLayer } from "../activation.ts";
import { keepZero } from "../channels.ts";
import { type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A GELU in a model file. */
export interface GeluSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "gelu";
  /** Whether the probability is computed by erf, or approximated by tanh. */
  readonly approximate: "none" | "tanh";
}

/** Validates a GELU. */
export const geluSchema = z.strictObject({
  kind: z.literal("gelu"),
  ...layerFields,
  approximate: z.enum(["none", "tanh"]).default("none"),
});

const stems = { none: "gelu", tanh: "gelu_tanh" } as const;

/** The GELU, any shape. */
export const gelu: LayerType<GeluSpec> = activationLayer(
  ({ approximate }) => ({ stem: stems[approximate] }),
  keepZero,
);
