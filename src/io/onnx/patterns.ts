/**
 * Functions that a file spells out in several nodes, such as a GELU by the error function, as the one operator that ONNX
 * has for them in some version. Each pattern is one function of the node that gives the result.
 *
 * @module
 */
import { type OnnxGraph, type OnnxNode, readFloat, readTensorAttribute, shortestDecimal } from "./graph.ts";
import { countElements, type ExternalData, readTensor } from "./tensor.ts";

/** The graph, and the numbers beside it. */
export interface PatternContext {
  readonly graph: OnnxGraph;
  readonly external: ExternalData;
}

/** An operator of one input that several nodes compute, with the numbers that it has as attributes. */
export interface FusedOperator {
  readonly op: "Gelu" | "Mish" | "Swish" | "HardSwish" | "HardSigmoid";
  readonly input: string;
  /** Of a Gelu. */
  readonly approximate?: "none" | "tanh";
  /** Of a HardSigmoid: max(0, min(1, alpha x + beta)). */
  readonly alpha?: number;
  readonly beta?: number;
}

/** Finds the function that a node ends; undefined if it is none that is known. */
export function fuseOperator(context: PatternContext, node: OnnxNode): FusedOperator | undefined {
  if (node.op !== "Mul" && node.op !== "Div") return undefined;
  const product = readProduct(context, node.outputs[0]);
  for (const match of [matchGelu, matchTanhGelu, matchSwish, matchMish, matchHardSwish, matchHardSigmoid]) {
    const fused = match(context, product);
    if (fused) return fused;
  }
  return undefined;
}

/** A product or sum: one number and the values that are no numbers, in the order of their nodes. */
interface Combination {
  readonly number: number;
  readonly values: readonly string[];
}

/** How many nodes a product or sum is followed into: no function that is known has more. */
const maxDepth = 4;

/** A value as a product. */
function readProduct(context: PatternContext, value: string, depth = 0): Combination {
  const number = readScalar(context, value);
  if (number !== undefined) return { number, values: [] };
  const node = context.graph.producers.get(value);
  if (depth === maxDepth || !node || (node.op !== "Mul" && node.op !== "Div")) {
    return { number: 1, values: [value] };
  }
  const [a, b] = node.inputs.slice(0, 2).map((input) => readProduct(context, input, depth + 1));
  if (!a || !b) return { number: 1, values: [value] };
  if (node.op === "Mul") return { number: a.number * b.number, values: [...a.values, ...b.values] };
  return b.values.length === 0 ? { ...a, number: a.number / b.number } : { number: 1, values: [value] };
}

/** A value as a sum. */
function readSum(context: PatternContext, value: string): Combination {
  const node = context.graph.producers.get(value);
  if (node?.op !== "Add") return { number: 0, values: [value] };
  const numbers = node.inputs.map((input) => readScalar(context, input));
  return {
    number: numbers.reduce<number>((sum, number) => sum + (number ?? 0), 0),
    values: node.inputs.filter((_, i) => numbers[i] === undefined),
  };
}

/** A value that is one number of the file; undefined for others. */
function readScalar({ graph, external }: PatternContext, value: string): number | undefined {
  const node = graph.producers.get(value);
  const tensor = node?.op === "Constant" ? readTensorAttribute(node, "value") : graph.initializers.get(value);
  if (tensor && countElements(tensor.dims.map(Number)) === 1) {
    return readTensor(tensor, { thing: `${graph.file}, ${value}`, external }).values[0];
  }
  const attribute = node?.op === "Constant" ? node.attributes.get("value_float") : undefined;
  return attribute?.f;
}

/** The node of an operator that gives a value. */
function findProducer(
  { graph }: PatternContext,
  value: string | undefined,
  op: string,
): OnnxNode | undefined {
  const node = value === undefined ? undefined : graph.producers.get(value);
  return node?.op === op ? node : undefined;
}

/** True for numbers that files of 16-bit floats too may mean as the same. */
function isNear(number: number, wanted: number): boolean {
  return Math.abs(number - wanted) <= 1e-3 * Math.abs(wanted);
}

/** The other one of two values, if one of them is known to be x. */
function findPartner(
  values: readonly string[],
  accept: (value: string, other: string) => boolean,
): string | undefined {
  if (values.length !== 2) return undefined;
  const [a, b] = values;
  return accept(a, b) ? a : accept(b, a) ? b : undefined;
}

/** x / 2 (1 + erf(x / sqrt 2)). */
function matchGelu(context: PatternContext, { number, values }: Combination): FusedOperator | undefined {
  if (!isNear(number, 0.5)) return undefined;
  const input = findPartner(values, (x, other) => {
    const sum = readSum(context, other), erf = findProducer(context, sum.values[0], "Erf");
    if (!erf || sum.number !== 1 || sum.values.length !== 1) return false;
    const inside = readProduct(context, erf.inputs[0]);
    return isNear(inside.number, Math.SQRT1_2) && inside.values.length === 1 && inside.values[0] === x;
  });
  return input === undefined ? undefined : { op: "Gelu", input, approximate: "none" };
}

/** x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
function matchTanhGelu(context: PatternContext, { number, values }: Combination): FusedOperator | undefined {
  if (!isNear(number, 0.5)) return undefined;
  const input = findPartner(values, (x, other) => {
    const sum = readSum(context, other), tanh = findProducer(context, sum.values[0], "Tanh");
    if (!tanh || sum.number !== 1 || sum.values.length !== 1) return false;
    const inside = readProduct(context, tanh.inputs[0]);
    if (!isNear(inside.number, Math.sqrt(2 / Math.PI)) || inside.values.length !== 1) return false;
    const cubic = readSum(context, inside.values[0]);
    const cube = cubic.values.find((value) => value !== x);
    return cubic.number === 0 && cubic.values.length === 2 && cubic.values.includes(x) &&
      cube !== undefined &&
      isCube(context, cube, x);
  });
  return input === undefined ? undefined : { op: "Gelu", input, approximate: "tanh" };
}

/** True for 0.044715 x^3. */
function isCube(context: PatternContext, value: string, x: string): boolean {
  const { number, values } = readProduct(context, value);
  if (!isNear(number, 0.044715)) return false;
  if (values.length === 3) return values.every((factor) => factor === x);
  const power = findProducer(context, values[0], "Pow");
  return values.length === 1 && power?.inputs[0] === x && readScalar(context, power.inputs[1]) === 3;
}

/** x sigmoid(x). */
function matchSwish(context: PatternContext, { number, values }: Combination): FusedOperator | undefined {
  if (number !== 1) return undefined;
  const input = findPartner(values, (x, other) => findProducer(context, other, "Sigmoid")?.inputs[0] === x);
  return input === undefined ? undefined : { op: "Swish", input };
}

/** x tanh(log(1 + exp(x))). */
function matchMish(context: PatternContext, { number, values }: Combination): FusedOperator | undefined {
  if (number !== 1) return undefined;
  const input = findPartner(values, (x, other) => {
    const tanh = findProducer(context, other, "Tanh");
    return findProducer(context, tanh?.inputs[0], "Softplus")?.inputs[0] === x;
  });
  return input === undefined ? undefined : { op: "Mish", input };
}

/** x max(0, min(1, x / 6 + 1 / 2)), by HardSigmoid or as x clip(x + 3, 0, 6) / 6. */
function matchHardSwish(context: PatternContext, { number, values }: Combination): FusedOperator | undefined {
  const input = findPartner(values, (x, other) => {
    const gate = findProducer(context, other, "HardSigmoid");
    if (gate) {
      const isUsual = isNear(readFloat(gate, "alpha", 0.2), 1 / 6) &&
        isNear(readFloat(gate, "beta", 0.5), 0.5);
      return number === 1 && isUsual && gate.inputs[0] === x;
    }
    return isNear(number, 1 / 6) && findClippedSum(context, other) === x;
  });
  return input === undefined ? undefined : { op: "HardSwish", input };
}

/** clip(x + 3, 0, 6) / 6. */
function matchHardSigmoid(
  context: PatternContext,
  { number, values }: Combination,
): FusedOperator | undefined {
  if (values.length !== 1 || !isNear(number, 1 / 6)) return undefined;
  const input = findClippedSum(context, values[0]);
  return input === undefined ? undefined : { op: "HardSigmoid", input, alpha: 1 / 6, beta: 0.5 };
}

/** The x of clip(x + 3, 0, 6). */
function findClippedSum(context: PatternContext, value: string): string | undefined {
  const clip = findProducer(context, value, "Clip");
  if (!clip) return undefined;
  const { min, max } = readClipBounds(context, clip), sum = readSum(context, clip.inputs[0]);
  return min === 0 && max === 6 && sum.number === 3 && sum.values.length === 1 ? sum.values[0] : undefined;
}

/** The bounds of a Clip: attributes, since version 11 inputs; infinite if they are left out. */
export function readClipBounds(
  context: PatternContext,
  clip: OnnxNode,
): { readonly min: number; readonly max: number } {
  const bound = (i: number, name: string, otherwise: number) =>
    clip.inputs[i]
      ? shortestDecimal(readScalar(context, clip.inputs[i]) ?? NaN)
      : readFloat(clip, name, otherwise);
  return { min: bound(1, "min", -Infinity), max: bound(2, "max", Infinity) };
}
