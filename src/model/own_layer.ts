/**
 * Layers that a graph brings along, by value.
 *
 * @module
 */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { layerFields, type LayerType } from "./layer.ts";
import type { LayerSpec, OwnLayerSpec } from "./layers/index.ts";

/** Validates one field of a layer in a model file: a schema of zod, such as `z.int().min(1)`. */
export interface FieldSchema<Value> {
  /** Returns the parsed field. */
  parse(value: unknown): Value;
}

/** A layer of your own in a model file: its kind, name and inputs, and its own fields. */
export type OwnSpec<Fields> = OwnLayerSpec & Readonly<Fields>;

/** A layer of your own, for `parseGraph`. */
export interface LayerDefinition {
  /** Its `kind` in model files. */
  readonly kind: string;
  /** Validates it in a model file: a schema of zod. */
  readonly schema: object;
  /** Its implementation. */
  readonly type: LayerType<LayerSpec>;
}

/**
 * Defines a layer for `parseGraph`. docs/extending.md has an example.
 *
 * @param layer Its `kind`, with a prefix of your own, such as `acme/shuffle`; the zod schemas of its own `fields`,
 *   besides `name` and `inputs`, which every layer has; and all members of `LayerType`, channel rules included.
 * @throws {ConfigError} If the kind has no prefix, or a field is one that every layer has.
 */
export function defineLayer<Fields extends object>(
  { kind, fields, ...type }:
    & {
      readonly kind: OwnLayerSpec["kind"];
      readonly fields: { readonly [Key in keyof Fields]: FieldSchema<Fields[Key]> };
    }
    & LayerType<OwnSpec<Fields>>,
): LayerDefinition {
  const refuse = (current: string, wanted: string): never => {
    throw new ConfigError({ act: "define layer", thing: kind, current, wanted });
  };
  if (!/^[^/]+\/.+$/.test(kind)) refuse("a kind without a prefix", `one of your own, such as acme/${kind}`);
  const taken = Object.keys(fields).find((field) => field === "kind" || Object.hasOwn(layerFields, field));
  if (taken !== undefined) refuse(`a field "${taken}"`, "another name: every layer has that field");
  const schema = z.strictObject({
    kind: z.literal(kind),
    ...layerFields,
    ...fields as unknown as z.ZodRawShape,
  });
  // It only ever gets layers that its own schema parsed.
  return { kind, schema, type: type as unknown as LayerType<LayerSpec> };
}
