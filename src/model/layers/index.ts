/**
 * All layers by kind; a new one adds a line to the union and one to the table.
 *
 * @module
 */
import { z } from "zod";
import type { LayerType } from "../layer.ts";
import { add, addSchema, type AddSpec } from "./add.ts";
import { batchnorm2d, batchnorm2dSchema, type Batchnorm2dSpec } from "./batchnorm2d.ts";
import { concat, concatSchema, type ConcatSpec } from "./concat.ts";
import { conv2d, conv2dSchema, type Conv2dSpec } from "./conv2d.ts";
import { dropout, dropoutSchema, type DropoutSpec } from "./dropout.ts";
import { flatten, flattenSchema, type FlattenSpec } from "./flatten.ts";
import { gelu, geluSchema, type GeluSpec } from "./gelu.ts";
import { globalavgpool2d, globalavgpool2dSchema, type Globalavgpool2dSpec } from "./globalavgpool2d.ts";
import { leakyrelu, leakyreluSchema, type LeakyreluSpec } from "./leakyrelu.ts";
import { linear, linearSchema, type LinearSpec } from "./linear.ts";
import { avgpool2d, avgpool2dSchema, maxpool2d, maxpool2dSchema, type Pool2dSpec } from "./pool2d.ts";
import { relu, reluSchema, type ReluSpec } from "./relu.ts";
import { silu, siluSchema, type SiluSpec } from "./silu.ts";
import { subsample, subsampleSchema, type SubsampleSpec } from "./subsample.ts";

/** Any layer of a model file. */
export type LayerSpec =
  | AddSpec
  | Batchnorm2dSpec
  | ConcatSpec
  | Conv2dSpec
  | DropoutSpec
  | FlattenSpec
  | GeluSpec
  | Globalavgpool2dSpec
  | LeakyreluSpec
  | LinearSpec
  | Pool2dSpec
  | ReluSpec
  | SiluSpec
  | SubsampleSpec;

/** Validates any layer. */
export const layerSchema = z.discriminatedUnion("kind", [
  addSchema,
  avgpool2dSchema,
  batchnorm2dSchema,
  concatSchema,
  conv2dSchema,
  dropoutSchema,
  flattenSchema,
  geluSchema,
  globalavgpool2dSchema,
  leakyreluSchema,
  linearSchema,
  maxpool2dSchema,
  reluSchema,
  siluSchema,
  subsampleSchema,
]);

const layerTypes = {
  add,
  avgpool2d,
  batchnorm2d,
  concat,
  conv2d,
  dropout,
  flatten,
  gelu,
  globalavgpool2d,
  leakyrelu,
  linear,
  maxpool2d,
  relu,
  silu,
  subsample,
};

/** Returns the type of a layer. */
export function layerTypeOf(spec: LayerSpec): LayerType<LayerSpec> {
  return layerTypes[spec.kind] as LayerType<LayerSpec>;
}
