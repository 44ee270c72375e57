/**
 * Layers that a graph brings along, by value: no module of the library knows them.
 *
 * @module
 */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { layerFields, type LayerType } from "./layer.ts";
import type { LayerSpec, OwnLayerSpec } from "./layers/index.ts";

/** Validates one field of a layer in a model file: a schema of zod, such as `z.int().min(1)`. */
export interface FieldSchema<Value> {
  /** Returns the field as it is used. */
  parse(value: unknown): Value;
}

/** What a layer of one's own says in a model file: its kind, name and inputs, and fields of its own. */
export type OwnSpec<Fields> = OwnLayerSpec & Readonly<Fields>;

/** A layer of one's own, for `parseGraph`. */
export interface LayerDefinition {
  /** The `kind` by which model files name it. */
  readonly kind: string;
  /** Validates what a model file says of it: a schema of zod. */
  readonly schema: object;
  /** What it computes. */
  readonly type: LayerType<LayerSpec>;
}

/**
 * Defines a layer that `parseGraph` takes beside the library's. docs/extending.md, has an example.
 *
 * @param layer Its `kind`, with a prefix of your own, such as `acme/shuffle`, so that no layer of the library has it; the
 *   schemas of its own `fields` (zod), beside `name` and `inputs`, which every layer has; and all that `LayerType` asks
 *   for, what it does with channels included.
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
  // Only layers that its own schema made are handed to it.
  return { kind, schema, type: type as unknown as LayerType<LayerSpec> };
}
