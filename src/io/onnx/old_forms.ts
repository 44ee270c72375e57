/**
 * Forms that operators had in early versions, as those that later ones have: what became an input, and how shapes of
 * different ranks were aligned.
 *
 * @module
 */
import { type GraphBuilder, isTensor, type NodeInputs, type OnnxValue, refuseNode } from "./builder.ts";
import { type OnnxNode, readInt, readInts } from "./graph.ts";
import { integerVector } from "./tensor.ts";

/** Operators whose second operand was aligned by an axis before version 7. */
const aligned: readonly string[] = ["Add", "Div", "Mul", "Pow", "Sub"];

/** The inputs of a node as later versions have them. */
export function renewInputs(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): NodeInputs {
  const { opset } = builder.graph;
  if (opset < 5 && node.op === "Reshape") return appendList(inputs, readInts(node, "shape"));
  if (opset < 2 && node.op === "Pad") return appendList(inputs, readInts(node, "paddings"));
  if (opset >= 7) return inputs;
  const hasAxis = aligned.includes(node.op) && node.attributes.has("axis");
  if (hasAxis) return alignSecond(builder, node, inputs, readInt(node, "axis", 0));
  // One slope per channel.
  const [, slope] = inputs;
  const isVector = slope && isTensor(slope) && slope.shape.length === 1 && slope.values.length > 1;
  return node.op === "PRelu" && isVector ? alignSecond(builder, node, inputs, 1) : inputs;
}

/** Inputs with a list that was an attribute. */
function appendList(inputs: NodeInputs, list: readonly number[] | undefined): NodeInputs {
  return inputs.length === 1 && list ? [...inputs, integerVector(list)] : inputs;
}

/** The second operand with sizes of 1 behind its own, so that its first dimension is that of an axis. */
function alignSecond(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs, axis: number): NodeInputs {
  const [first, second] = inputs;
  if (!first || !second || !isTensor(second)) {
    return refuseNode(builder, node, inputs, `axis ${axis} of what is computed`, "numbers of the file");
  }
  const rank = rankOf(first), after = rank - (axis < 0 ? axis + rank : axis) - second.shape.length;
  if (after < 0) {
    return refuseNode(builder, node, inputs, `axis ${axis}`, "an axis at which its shapes align");
  }
  return [first, { ...second, shape: [...second.shape, ...Array<number>(after).fill(1)] }];
}

/** The number of dimensions of a value, with the batch. */
function rankOf(value: OnnxValue): number {
  return isTensor(value) ? value.shape.length : value.sizes.length + 1;
}
