/**
 * Activations without fields. Each is a line of `functions`, and a kernel of its name in kernels/activation/.
 *
 * @module
 */
import { z } from "zod";
import { activationLayer } from "../activation.ts";
import { type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** The kinds of activations without fields. */
export type PlainActivation = "hardswish" | "mish" | "sigmoid" | "silu" | "tanh";

/** An activation without fields in a model file. */
export interface PlainActivationSpec extends LayerFields {
  /** Which function this is. */
  readonly kind: PlainActivation;
}

/** What each makes of a number. */
const functions: Readonly<Record<PlainActivation, (value: number) => number>> = {
  hardswish: (value) => value * Math.min(Math.max(value / 6 + 0.5, 0), 1),
  mish: (value) => value * Math.tanh(Math.log1p(Math.exp(value))),
  sigmoid: (value) => 1 / (1 + Math.exp(-value)),
  silu: (value) => value / (1 + Math.exp(-value)),
  tanh: (value) => Math.tanh(value),
};

const kinds = Object.keys(functions) as readonly PlainActivation[];

/** Validates an activation without fields. */
export const plainActivationSchema = z.strictObject({ kind: z.literal(kinds), ...layerFields });

/** The activations without fields by kind, any shape. */
export const plainActivations = Object.fromEntries(
  kinds.map((kind) => {
    const activation = { stem: kind, isPadded: functions[kind](0) !== 0 };
    return [kind, activationLayer(() => activation, functions[kind])];
  }),
) as Readonly<Record<PlainActivation, LayerType<PlainActivationSpec>>>;
