/**
 * Operators that are activations, and functions behind the logits.
 *
 * @module
 */
import {
  addLayer,
  checkSpread,
  type FeatureValue,
  type GraphBuilder,
  isTensor,
  type NewLayer,
  type NodeInputs,
  readFeatures,
  readNumbers,
  refuseNode,
} from "./builder.ts";
import { type OnnxGraph, type OnnxNode, readFloat, readInt, readText, shortestDecimal } from "./graph.ts";
import { readClipBounds } from "./patterns.ts";
import { maxNumber } from "../../model/layer.ts";

/** The layer of each operator. */
const layers: Readonly<Record<string, (builder: GraphBuilder, node: OnnxNode) => NewLayer>> = {
  Elu: (_builder, node) => ({ kind: "elu", alpha: readFloat(node, "alpha", 1) }),
  Gelu: ({ fused }, node) => {
    const approximate = fused?.approximate ?? readText(node, "approximate", "none");
    return { kind: "gelu", approximate };
  },
  HardSigmoid({ fused }, node) {
    const alpha = fused?.alpha ?? readFloat(node, "alpha", 0.2),
      beta = fused?.beta ?? readFloat(node, "beta", 0.5);
    // PyTorch's slope, whose nearest float the file holds.
    return { kind: "hardsigmoid", alpha: Math.fround(alpha) === Math.fround(1 / 6) ? 1 / 6 : alpha, beta };
  },
  HardSwish: () => ({ kind: "hardswish" }),
  LeakyRelu: (_builder, node) => ({ kind: "leakyrelu", negativeSlope: readFloat(node, "alpha", 0.01) }),
  Mish: () => ({ kind: "mish" }),
  Relu: () => ({ kind: "relu" }),
  Sigmoid: () => ({ kind: "sigmoid" }),
  Swish(builder, node) {
    const alpha = builder.fused ? 1 : readFloat(node, "alpha", 1);
    return alpha === 1 ? { kind: "silu" } : refuseNode(builder, node, [], `alpha ${alpha}`, "alpha 1");
  },
  Tanh: () => ({ kind: "tanh" }),
};

/** An activation, of one node or of several that compute it together -> its layer. */
export function readActivation(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const layer = layers[builder.fused?.op ?? node.op](builder, node);
  return addLayer(builder, node, { layer, inputs: [readFeatures(builder, node, inputs)] });
}

/** Clip -> clip; relu from 0 without an upper bound; nothing without bounds. */
export function readClip(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const value = readFeatures(builder, node, inputs);
  return clipFeatures(builder, node, inputs, { value, ...readClipBounds(builder, node) });
}

/** Min and Max of features and numbers -> clip or relu. */
export function readBound(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const at = Math.max(0, inputs.findIndex((input) => input && !isTensor(input))),
    value = readFeatures(builder, node, inputs, at);
  const numbers = inputs.flatMap((_, i) => i === at ? [] : [readNumbers(builder, node, inputs, i).values]);
  const isWhole = numbers.every((values) => values.every((number) => number === values[0]));
  const all = numbers.map(([number]) => isWhole ? shortestDecimal(number) : NaN);
  const bounds = node.op === "Max"
    ? { min: Math.max(...all), max: Infinity }
    : { min: -Infinity, max: Math.min(...all) };
  return clipFeatures(builder, node, inputs, { value, ...bounds });
}

/** The default bound of a Clip before version 11. */
const largestFloat = (2 - 2 ** -23) * 2 ** 127;

/** Features within bounds, of which one may be infinite. */
function clipFeatures(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { value, min, max }: { readonly value: FeatureValue; readonly min: number; readonly max: number },
): FeatureValue {
  // The largest float is no bound, as version 6 has it by default.
  const isOpen = max >= largestFloat;
  if (min <= -largestFloat && isOpen) return value;
  if (!(min < max)) {
    refuseNode(
      builder,
      node,
      inputs,
      `bounds ${min} and ${max}`,
      "numbers of the file, the first one smaller",
    );
  }
  const layer: NewLayer = min === 0 && isOpen
    ? { kind: "relu" }
    : { kind: "clip", min: Math.max(min, -maxNumber), max: Math.min(max, maxNumber) };
  return addLayer(builder, node, { layer, inputs: [value] });
}

/** PRelu -> prelu, with one slope per channel or one for all. */
export function readPrelu(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const value = readFeatures(builder, node, inputs), tensor = readNumbers(builder, node, inputs, 1);
  const weight = Float32Array.from(tensor.values), shared = weight.length === 1;
  if (!shared) checkSpread(builder, node, inputs, { tensor, value });
  return addLayer(builder, node, {
    layer: { kind: "prelu", shared },
    inputs: [value],
    parameters: { weight },
  });
}

/** Sigmoid of the logits -> the model's output; of other features -> sigmoid. */
export function readSigmoid(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const { height, width } = readFeatures(builder, node, inputs).shape;
  return isLast(builder.graph, node) && height === 1 && width === 1
    ? readOutputFunction(builder, node, inputs)
    : readActivation(builder, node, inputs);
}

/** Operators that leave the numbers as they are. */
const views = ["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];

/** The last node of a graph that computes something; sought once, as a file may have many views of it. */
const lastNodes = new WeakMap<OnnxGraph, OnnxNode>();

/** True if nothing is computed from what a node gives. */
function isLast(graph: OnnxGraph, node: OnnxNode): boolean {
  let last = lastNodes.get(graph) ?? graph.producers.get(graph.output);
  while (last && views.includes(last.op)) last = graph.producers.get(last.inputs[0]);
  if (last) lastNodes.set(graph, last);
  return last === node;
}

/** Softmax, LogSoftmax or Sigmoid at the end: winnow's logits are their input. */
export function readOutputFunction(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const value = readFeatures(builder, node, inputs), op = node.op.toLowerCase();
  const isVector = value.shape.height === 1 && value.shape.width === 1;
  const axis = readInt(node, "axis", builder.graph.opset < 13 ? 1 : -1), rank = value.sizes.length + 1;
  const isOverFeatures = op === "sigmoid" || (axis < 0 ? axis + rank : axis) === 1;
  if (!isVector || !isOverFeatures || builder.output !== undefined) {
    return refuseNode(
      builder,
      node,
      inputs,
      `a ${op} inside the network`,
      "one over the logits, as the last operator",
    );
  }
  builder.output = op as "softmax" | "logsoftmax" | "sigmoid";
  return value;
}
