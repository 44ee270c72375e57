/**
 * Clip: y = min(max(x, min), max). It is ReLU6 by default, and PyTorch's Hardtanh.
 *
 * @module
 */
import { z } from "zod";
import { activationLayer } from "../activation.ts";
import { type LayerFields, layerFields, type LayerType, maxNumber } from "../layer.ts";

/** A clip in a model file. */
export interface ClipSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "clip";
  /** The smallest number that it gives. */
  readonly min: number;
  /** The largest. */
  readonly max: number;
}

const bound = z.number().min(-maxNumber).max(maxNumber);

/** Validates a clip. */
export const clipSchema = z.strictObject({
  kind: z.literal("clip"),
  ...layerFields,
  min: bound.default(0),
  max: bound.default(6),
}).refine(({ min, max }) => min < max, { path: ["max"], error: "expected a number above min" });

/** The clip, any shape. */
export const clip: LayerType<ClipSpec> = activationLayer(
  ({ min, max }) => ({ stem: "clip", isPadded: true, params: { low: min, high: max } }),
  (value, { min, max }) => Math.min(Math.max(value, min), max),
);
