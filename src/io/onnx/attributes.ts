/**
 * The attributes of the operators that are read, by the operator documentation of versions 1 to 24. Any other attribute of
 * such an operator may change what it computes, so that it is refused.
 *
 * @module
 */
import { type AttributeProto, AttributeProto_AttributeType } from "onnx-buf";

const { INT, INTS, FLOAT, FLOATS, STRING, STRINGS, TENSOR, SPARSE_TENSOR } = AttributeProto_AttributeType;

const types = {
  int: INT,
  ints: INTS,
  float: FLOAT,
  floats: FLOATS,
  text: STRING,
  texts: STRINGS,
  tensor: TENSOR,
  "sparse tensor": SPARSE_TENSOR,
} as const;

type AttributeKind = keyof typeof types;

/** Attributes of an operator by name, with their type. */
type AttributeKinds = Readonly<Record<string, AttributeKind>>;

const window: AttributeKinds = {
  "auto_pad": "text",
  dilations: "ints",
  "kernel_shape": "ints",
  pads: "ints",
  strides: "ints",
};
const line: AttributeKinds = { alpha: "float", beta: "float" }, axis: AttributeKinds = { axis: "int" };
const axes: AttributeKinds = { axes: "ints" }, none: AttributeKinds = {};

/** Attributes by operator; those that readers look at. */
const attributes: Readonly<Record<string, AttributeKinds>> = {
  Add: none,
  AveragePool: { ...window, ceil_mode: "int", count_include_pad: "int" },
  BatchNormalization: { epsilon: "float", momentum: "float", spatial: "int", training_mode: "int" },
  Cast: { to: "int", saturate: "int", round_mode: "text" },
  Clip: { min: "float", max: "float" },
  Concat: axis,
  Constant: {
    value: "tensor",
    sparse_value: "sparse tensor",
    value_float: "float",
    value_floats: "floats",
    value_int: "int",
    value_ints: "ints",
    value_string: "text",
    value_strings: "texts",
  },
  ConstantOfShape: { value: "tensor" },
  Conv: { ...window, group: "int" },
  Div: none,
  Dropout: { ratio: "float", seed: "int" },
  Elu: { alpha: "float" },
  Flatten: axis,
  Floor: none,
  Gather: axis,
  Gelu: { approximate: "text" },
  Gemm: { ...line, transA: "int", transB: "int" },
  GlobalAveragePool: none,
  GlobalMaxPool: none,
  HardSigmoid: line,
  HardSwish: none,
  Identity: none,
  LeakyRelu: { alpha: "float" },
  LogSoftmax: axis,
  MatMul: none,
  Max: none,
  MaxPool: { ...window, ceil_mode: "int", storage_order: "int" },
  Min: none,
  Mish: none,
  Mul: none,
  Neg: none,
  PRelu: none,
  Pad: { mode: "text", pads: "ints", paddings: "ints", value: "float" },
  Pow: none,
  ReduceMean: { ...axes, keepdims: "int", noop_with_empty_axes: "int" },
  Relu: none,
  Reshape: { allowzero: "int", shape: "ints" },
  Shape: { start: "int", end: "int" },
  Sigmoid: none,
  Slice: { ...axes, starts: "ints", ends: "ints" },
  Softmax: axis,
  Split: { ...axis, split: "ints", num_outputs: "int" },
  Sqrt: none,
  Squeeze: axes,
  Sub: none,
  Sum: none,
  Swish: { alpha: "float" },
  Tanh: none,
  Transpose: { perm: "ints" },
  Unsqueeze: axes,
};

const broadcast: AttributeKinds = { axis: "int", broadcast: "int" };

/** Attributes that operators had before version 7. */
const oldAttributes: Readonly<Record<string, AttributeKinds>> = {
  Add: broadcast,
  BatchNormalization: { is_test: "int" },
  Div: broadcast,
  Dropout: { is_test: "int" },
  Gemm: { broadcast: "int" },
  Mul: broadcast,
  Pow: broadcast,
  Sub: broadcast,
};

/** A hint to reuse memory, before version 6. */
const hints: AttributeKinds = { "consumed_inputs": "ints" };

/**
 * Checks the attributes of a node whose operator is read.
 *
 * @param refuse Called if one is given twice, of another type, or none of its operator's.
 */
export function checkAttributes(
  op: string,
  given: readonly AttributeProto[],
  { opset, refuse }: { readonly opset: number; readonly refuse: (current: string, wanted: string) => never },
): void {
  if (!Object.hasOwn(attributes, op)) return;
  const known = { ...attributes[op], ...(opset < 7 ? { ...oldAttributes[op], ...hints } : {}) };
  const names = new Set<string>();
  for (const { name, type } of given) {
    if (names.size === names.add(name).size) refuse(`two attributes "${name}"`, "one");
    if (!Object.hasOwn(known, name)) {
      refuse(`it has an attribute "${name}"`, Object.keys(known).join(", ") || "no attributes");
    }
    const kind: AttributeKind = known[name];
    // Cast names types by text in version 1.
    if (type === types[kind] || op === "Cast" && name === "to" && type === STRING && opset < 6) continue;
    refuse(`its attribute "${name}" is of type ${AttributeProto_AttributeType[type] ?? type}`, kind);
  }
}
