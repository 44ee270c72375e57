/**
 * Layers that a graph brings along, by value: no module of the library knows them.
 *
 * @module
 */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { type LayerFields, layerFields, type LayerType } from "./layer.ts";
import type { LayerSpec } from "./layers/index.ts";

/** What a layer of one's own says in a model file: its kind, name and inputs, and fields of its own. */
export type OwnSpec<Kind extends `${string}/${string}`, Fields extends z.ZodRawShape> =
  & LayerFields
  & { readonly kind: Kind }
  & Readonly<z.output<z.ZodObject<Fields>>>;

/** A layer of one's own, for `parseGraph`. */
export interface LayerDefinition {
  /** The `kind` by which model files name it. */
  readonly kind: string;
  /** Validates what a model file says of it. */
  readonly schema: z.ZodObject;
  /** What it computes. */
  readonly type: LayerType<LayerSpec>;
}

/**
 * Defines a layer that `parseGraph` takes beside the library's.
 *
 * @param layer Its `kind`, with a prefix of your own, such as `acme/shuffle`, so that no layer of the library has it; the schemas of its own `fields` (zod), beside `name` and `inputs`, which every layer has; and
 *   all that `LayerType` asks for, what it does with channels included.
 * @throws {ConfigError} Where the kind has no prefix, or a field is one that every layer has.
 */
export function defineLayer<Kind extends `${string}/${string}`, Fields extends z.ZodRawShape>(
  { kind, fields, ...type }:
    & { readonly kind: Kind; readonly fields: Fields }
    & LayerType<OwnSpec<Kind, Fields>>,
): LayerDefinition {
  const refuse = (current: string, wanted: string): never => {
    throw new ConfigError({ act: "define layer", thing: kind, current, wanted });
  };
  if (!/^[^/]+\/.+$/.test(kind)) refuse("a kind without a prefix", `one of your own, such as acme/${kind}`);
  const taken = Object.keys(fields).find((field) => field === "kind" || Object.hasOwn(layerFields, field));
  if (taken !== undefined) refuse(`a field "${taken}"`, "another name: every layer has that field");
  const schema = z.strictObject({ kind: z.literal(kind), ...layerFields, ...fields });
  // Only layers that its own schema made are handed to it.
  return { kind, schema, type: type as unknown as LayerType<LayerSpec> };
}
