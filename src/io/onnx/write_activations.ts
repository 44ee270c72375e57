/**
 * Each activation as the nodes of an ONNX file: one, if version 17 has an operator for it. The last node has the layer's
 * name.
 *
 * @module
 */
import type { LayerToWrite, SpecOf, WriteLayer } from "./written_layer.ts";
import type { OnnxWriter, WrittenNode, WrittenValue } from "./writer.ts";

/** The kinds of activations. */
type ActivationKind =
  | "clip"
  | "elu"
  | "gelu"
  | "hardsigmoid"
  | "hardswish"
  | "leakyrelu"
  | "mish"
  | "prelu"
  | "relu"
  | "sigmoid"
  | "silu"
  | "tanh";

/** How each is written. */
export const activations: { readonly [Kind in ActivationKind]: WriteLayer<SpecOf<Kind>> } = {
  clip: writeClip,
  elu: (writer, layer) => writeOne(writer, layer, "Elu", { alpha: { float: layer.node.spec.alpha } }),
  gelu: writeGelu,
  hardsigmoid(writer, layer) {
    const { alpha, beta } = layer.node.spec;
    return writeOne(writer, layer, "HardSigmoid", { alpha: { float: alpha }, beta: { float: beta } });
  },
  hardswish: (writer, layer) => writeOne(writer, layer, "HardSwish"),
  leakyrelu: (writer, layer) =>
    writeOne(writer, layer, "LeakyRelu", { alpha: { float: layer.node.spec.negativeSlope } }),
  mish: (writer, layer) =>
    writeGated(writer, layer, (part, x) => part("Tanh", "tanh", part("Softplus", "softplus", x))),
  prelu: writePrelu,
  relu: (writer, layer) => writeOne(writer, layer, "Relu"),
  sigmoid: (writer, layer) => writeOne(writer, layer, "Sigmoid"),
  silu: (writer, layer) => writeGated(writer, layer, (part, x) => part("Sigmoid", "sigmoid", x)),
  tanh: (writer, layer) => writeOne(writer, layer, "Tanh"),
};

/** A layer whose fields do not matter. */
type AnyLayer = LayerToWrite<{ readonly name: string }>;

/** One node, of a map or a vector. */
function writeOne(
  writer: OnnxWriter,
  { node: { spec: { name } }, sources: [{ name: x, isMap }] }: AnyLayer,
  op: string,
  attributes: WrittenNode["attributes"] = {},
): WrittenValue {
  return { name: writer.add({ op, name, inputs: [x], attributes }), isMap };
}

/** Adds a node that is a part of a layer. */
type AddPart = (op: string, part: string, ...inputs: readonly string[]) => string;

/** x gate(x). */
function writeGated(
  writer: OnnxWriter,
  { node: { spec: { name } }, sources: [{ name: x, isMap }] }: AnyLayer,
  gate: (part: AddPart, x: string) => string,
): WrittenValue {
  const add: AddPart = (op, part, ...inputs) => writer.add({ op, name: `${name}/${part}`, inputs });
  return { name: writer.add({ op: "Mul", name, inputs: [x, gate(add, x)] }), isMap };
}

/** The name of a tensor that is one number. */
function addNumber(writer: OnnxWriter, value: number): string {
  return writer.tensor(`number ${value}`, { shape: [], values: Float32Array.of(value) });
}

function writeClip(
  writer: OnnxWriter,
  { node: { spec: { name, min, max } }, sources: [{ name: x, isMap }] }: LayerToWrite<SpecOf<"clip">>,
): WrittenValue {
  const inputs = [x, addNumber(writer, min), addNumber(writer, max)];
  return { name: writer.add({ op: "Clip", name, inputs }), isMap };
}

/** The slopes of a map's channels are repeated over height and width. */
function writePrelu(
  writer: OnnxWriter,
  { node: { spec: { name, shared } }, sources: [{ name: x, isMap }] }: LayerToWrite<SpecOf<"prelu">>,
): WrittenValue {
  const weight = `${name}.weight`, values = writer.tensors.get(weight)!.values;
  if (isMap && !shared) writer.tensor(weight, { shape: [values.length, 1, 1], values });
  return { name: writer.add({ op: "PRelu", name, inputs: [x, weight] }), isMap };
}

/** x / 2 (1 + erf(x / sqrt 2)), or x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
function writeGelu(
  writer: OnnxWriter,
  { node: { spec: { name, approximate } }, sources: [{ name: x, isMap }] }: LayerToWrite<SpecOf<"gelu">>,
): WrittenValue {
  const number = (value: number) => addNumber(writer, value);
  const add: AddPart = (op, part, ...inputs) => writer.add({ op, name: `${name}/${part}`, inputs });
  const curve = () => {
    if (approximate === "none") return add("Erf", "erf", add("Mul", "scaled", x, number(Math.SQRT1_2)));
    const cube = add("Mul", "cubic", add("Pow", "cube", x, number(3)), number(0.044715));
    const inside = add("Mul", "scaled", add("Add", "sum", x, cube), number(Math.sqrt(2 / Math.PI)));
    return add("Tanh", "tanh", inside);
  };
  const product = add("Mul", "product", x, add("Add", "shifted", curve(), number(1)));
  return { name: writer.add({ op: "Mul", name, inputs: [product, number(0.5)] }), isMap };
}
