/**
 * The layers of the library, by kind. A new one adds a line to the union, to the schemas and to the table
 * (docs/extending.md). src/model/own_layer.ts defines layers that a graph brings along.
 *
 * @module
 */
import { z } from "zod";
import { ConfigError } from "../../errors.ts";
import type { LayerFields, LayerType } from "../layer.ts";
import { add, addSchema, type AddSpec } from "./add.ts";
import { batchnorm2d, batchnorm2dSchema, type Batchnorm2dSpec } from "./batchnorm2d.ts";
import { clip, clipSchema, type ClipSpec } from "./clip.ts";
import { concat, concatSchema, type ConcatSpec } from "./concat.ts";
import { conv2d, conv2dSchema, type Conv2dSpec } from "./conv2d.ts";
import { dropout, dropoutSchema, type DropoutSpec } from "./dropout.ts";
import { elu, eluSchema, type EluSpec } from "./elu.ts";
import { flatten, flattenSchema, type FlattenSpec } from "./flatten.ts";
import { gelu, geluSchema, type GeluSpec } from "./gelu.ts";
import { globalavgpool2d, globalavgpool2dSchema, type Globalavgpool2dSpec } from "./globalavgpool2d.ts";
import { hardsigmoid, hardsigmoidSchema, type HardsigmoidSpec } from "./hardsigmoid.ts";
import { leakyrelu, leakyreluSchema, type LeakyreluSpec } from "./leakyrelu.ts";
import { linear, linearSchema, type LinearSpec } from "./linear.ts";
import { multiply, multiplySchema, type MultiplySpec } from "./multiply.ts";
import { plainActivations, plainActivationSchema, type PlainActivationSpec } from "./plain_activations.ts";
import { avgpool2d, avgpool2dSchema, maxpool2d, maxpool2dSchema, type Pool2dSpec } from "./pool2d.ts";
import { prelu, preluSchema, type PreluSpec } from "./prelu.ts";
import { relu, reluSchema, type ReluSpec } from "./relu.ts";
import { shuffle, shuffleSchema, type ShuffleSpec } from "./shuffle.ts";
import { slice, sliceSchema, type SliceSpec } from "./slice.ts";
import { subsample, subsampleSchema, type SubsampleSpec } from "./subsample.ts";

/**
 * A layer of a kind that its graph brings along, by a `LayerDefinition` passed to `parseGraph`. Its kind has a slash,
 * such as `acme/shuffle`, so it never clashes with a layer of the library.
 */
export interface OwnLayerSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: `${string}/${string}`;
}

/** Any layer of a model file. */
export type LayerSpec =
  | AddSpec
  | Batchnorm2dSpec
  | ClipSpec
  | ConcatSpec
  | Conv2dSpec
  | DropoutSpec
  | EluSpec
  | FlattenSpec
  | GeluSpec
  | Globalavgpool2dSpec
  | HardsigmoidSpec
  | LeakyreluSpec
  | LinearSpec
  | OwnLayerSpec
  | MultiplySpec
  | PlainActivationSpec
  | Pool2dSpec
  | PreluSpec
  | ReluSpec
  | ShuffleSpec
  | SliceSpec
  | SubsampleSpec;

/** The schemas of the library's layers. */
export const layerSchemas = [
  addSchema,
  avgpool2dSchema,
  batchnorm2dSchema,
  clipSchema,
  concatSchema,
  conv2dSchema,
  dropoutSchema,
  eluSchema,
  flattenSchema,
  geluSchema,
  globalavgpool2dSchema,
  hardsigmoidSchema,
  leakyreluSchema,
  linearSchema,
  maxpool2dSchema,
  multiplySchema,
  plainActivationSchema,
  preluSchema,
  reluSchema,
  shuffleSchema,
  sliceSchema,
  subsampleSchema,
] as const;

/** Validates a layer of the library. */
export const layerSchema = z.discriminatedUnion("kind", layerSchemas);

const layerTypes = {
  ...plainActivations,
  add,
  avgpool2d,
  batchnorm2d,
  clip,
  concat,
  conv2d,
  dropout,
  elu,
  flatten,
  gelu,
  globalavgpool2d,
  hardsigmoid,
  leakyrelu,
  linear,
  maxpool2d,
  multiply,
  prelu,
  relu,
  shuffle,
  slice,
  subsample,
};

/**
 * Returns the type of one of the library's layers.
 *
 * @throws {ConfigError} If the layer is of another kind.
 */
export function getLayerType({ kind, name }: LayerSpec): LayerType<LayerSpec> {
  const types: Readonly<Record<string, unknown>> = layerTypes;
  if (Object.hasOwn(types, kind)) return types[kind] as LayerType<LayerSpec>;
  const current = `a layer of kind "${kind}"`;
  const wanted = `${Object.keys(layerTypes).join(", ")}, or the kind of a layer passed to parseGraph`;
  throw new ConfigError({ act: "use layer", thing: name, current, wanted });
}
