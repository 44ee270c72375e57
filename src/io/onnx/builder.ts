/**
 * The graph that is made of an ONNX file: values, layers and their parameters.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import { maxLayers, type OutputFunction } from "../../model/graph.ts";
import { getLayerType, layerSchema, type LayerSpec } from "../../model/layers/index.ts";
import { describeRefusal } from "../../schema_words.ts";
import { type FeatureShape, shapeText } from "../../shape.ts";
import type { Folding } from "./folding.ts";
import { describeNode, type OnnxGraph, type OnnxNode } from "./graph.ts";
import { nameLayer } from "./names.ts";
import type { FusedOperator } from "./patterns.ts";
import type { OnnxTensor } from "./tensor.ts";

/** A feature map or vector that a layer computes. */
export interface FeatureValue {
  /** The layer's name, or that of the images. */
  readonly layer: string;
  /** Its shape on the device. */
  readonly shape: FeatureShape;
  /** Its sizes in the file without the batch: (C, H, W), or (F). */
  readonly sizes: readonly number[];
  /** What an operator before left to the one that reads it. */
  readonly pending?: PendingChange;
}

/**
 * Every `step`-th pixel along height and width; zeros around the map: above, left, below, right; channels in `groups`,
 * a dimension of their own, which may have changed places with the positions in a group; one channel without its
 * dimension; or channels in the last dimension, of a vector in the order that they had there.
 */
export type PendingChange =
  & { readonly node: OnnxNode }
  & (
    | { readonly step: readonly [number, number] }
    | { readonly zeros: readonly [number, number, number, number] }
    | { readonly groups: number; readonly isTurned: boolean }
    | { readonly isSqueezed: true }
    | { readonly isChannelsLast: true }
  );

/** A value of the graph: numbers, or what a layer computes. */
export type OnnxValue = OnnxTensor | FeatureValue;

/** The inputs of a node; undefined for one that is left out. */
export type NodeInputs = readonly (OnnxValue | undefined)[];

/** A layer as in a model file. */
export type NewLayer = { readonly kind: LayerSpec["kind"] } & Readonly<Record<string, unknown>>;

/** What operators make a graph with. */
export interface GraphBuilder extends Folding {
  readonly graph: OnnxGraph;
  /** The size of a batch; undefined if the file leaves it open. */
  readonly batch: number | undefined;
  /** The layers so far, each with its inputs. */
  readonly layers: LayerSpec[];
  /** The parameters so far, in PyTorch's order. */
  readonly parameters: Map<string, Float32Array>;
  /** The function that the file applies to the logits. */
  output: OutputFunction | undefined;
  /** How many nodes read a value. */
  readonly uses: ReadonlyMap<string, number>;
  /** The names of layers so far, and the last number behind a name that several would have. */
  readonly names: Map<string, number>;
  /** What the node computes together with nodes before it. */
  fused: FusedOperator | undefined;
}

/** True for numbers. */
export function isTensor(value: OnnxValue): value is OnnxTensor {
  return "values" in value;
}

/**
 * Adds a layer that a node describes.
 *
 * @param inputs What it reads.
 * @param own Its parameters by the last part of their names, and its sizes in the file; by default those of its shape.
 */
export function addLayer(
  builder: GraphBuilder,
  node: OnnxNode,
  { layer, inputs, parameters = {}, sizes }: {
    readonly layer: NewLayer;
    readonly inputs: readonly FeatureValue[];
    readonly parameters?: Readonly<Record<string, Float32Array>>;
    readonly sizes?: readonly number[];
  },
): FeatureValue {
  if (builder.output !== undefined) {
    refuseNode(
      builder,
      node,
      inputs,
      `it follows a ${builder.output}`,
      `${builder.output} as the last operator`,
    );
  }
  if (builder.layers.length === maxLayers) {
    refuseNode(builder, node, inputs, `more than ${maxLayers} layers`, "fewer");
  }
  const name = nameLayer(builder, node);
  const fields = { ...layer, name, inputs: inputs.map(({ layer }) => layer) };
  const { data: spec, error } = layerSchema.safeParse(fields);
  if (!spec) {
    const { at, current, wanted = `fields of a ${layer.kind}` } = describeRefusal(layerSchema, fields, error);
    return refuseNode(builder, node, inputs, `${at} of a ${layer.kind}: ${current}`, wanted);
  }
  const shape = getLayerType(spec).outputShape(spec, inputs.map(({ shape }) => shape), name);
  builder.layers.push(spec);
  for (const [key, values] of Object.entries(parameters)) builder.parameters.set(`${name}.${key}`, values);
  const { channels, height, width, taps } = shape;
  const isVector = inputs[0].sizes.length === 1 || taps > 1;
  return { layer: name, shape, sizes: sizes ?? (isVector ? [channels * taps] : [channels, height, width]) };
}

/** An input that a layer computes. Steps of pixels before it become a subsample; anything else that is pending is refused. */
export function readFeatures(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  i = 0,
): FeatureValue {
  const value = inputs[i];
  if (!value || isTensor(value)) {
    const current = value ? `input ${i} is a tensor of the file` : `it has no input ${i}`;
    return refuseNode(builder, node, inputs, current, "a feature map");
  }
  const { pending, ...map } = value;
  if (!pending) return value;
  if ("step" in pending && pending.step[0] === pending.step[1]) {
    const layer = { kind: "subsample", outChannels: map.shape.channels, stride: pending.step[0] } as const;
    return addLayer(builder, pending.node, { layer, inputs: [map] });
  }
  if ("groups" in pending) {
    return refuseNode(builder, pending.node, [map], "channels in two dimensions", "a shuffle of channels");
  }
  if ("isSqueezed" in pending) {
    return refuseNode(
      builder,
      pending.node,
      [map],
      "one channel without its dimension",
      "an Unsqueeze after it",
    );
  }
  if ("isChannelsLast" in pending) {
    const wanted =
      "a Transpose to (N, C, H, W), a mean over the pixels, or a flattened map before a linear layer";
    return refuseNode(builder, node, inputs, "channels in the last dimension", wanted);
  }
  const current = "step" in pending ? `every ${pending.step.join(" x ")} pixels` : `zeros around a map`;
  return refuseNode(
    builder,
    pending.node,
    [map],
    current,
    "the same step along both sides, or a convolution after it",
  );
}

/** An input that stands in the file. */
export function readNumbers(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  i: number,
): OnnxTensor {
  const value = inputs[i];
  if (value && isTensor(value)) return value;
  const current = value ? `input ${i} is computed` : `it has no input ${i}`;
  return refuseNode(builder, node, inputs, current, "a tensor of the file");
}

/** Refuses numbers of a file that are not one per channel of features, repeated over a map. */
export function checkSpread(
  builder: Pick<GraphBuilder, "file">,
  node: OnnxNode,
  inputs: NodeInputs,
  { tensor: { shape }, value }: { readonly tensor: OnnxTensor; readonly value: FeatureValue },
): void {
  // Aligned at the last dimension: (C, 1, 1) for a map, (F) for a vector.
  const wanted = [value.shape.channels, ...value.sizes.slice(1).map(() => 1)],
    own = shape.slice(-wanted.length);
  // No dimension before the batch.
  const isFitting = own.join() === wanted.join() && shape.length <= wanted.length + 1 &&
    shape.slice(0, -wanted.length).every((size) => size === 1);
  if (!isFitting) {
    refuseNode(builder, node, inputs, "numbers of other sizes", "one number per channel, or one for all");
  }
}

/** Refuses a node, by its place, name, operator and the shapes of its inputs. */
export function refuseNode(
  { file }: Pick<GraphBuilder, "file">,
  node: OnnxNode,
  inputs: NodeInputs,
  current: string,
  wanted: string,
): never {
  const shapes = inputs.map((input, i) =>
    `${node.inputs[i] || "none"} ${input ? describeValue(input) : ""}`.trim()
  );
  const taken = shapes.length === 0 ? "no input" : `input ${shapes.slice(0, 4).join(", ")}`;
  throw new FormatError({
    act: "read",
    thing: `${file}, ${describeNode(node)}`,
    current: `${current}; ${taken}`,
    wanted,
  });
}

/** The shape of a value, such as (N, 3, 32, 32). */
function describeValue(value: OnnxValue): string {
  if (isTensor(value)) return `(${value.shape.join(", ")}) of the file`;
  return `(${["N", ...value.sizes].join(", ")})${
    value.shape.taps > 1 ? ` flattened from ${shapeText(value.shape)}` : ""
  }`;
}
