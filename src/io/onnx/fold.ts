/**
 * Operators on numbers that a file holds: sizes that PyTorch's exporter computes, and weights that are transposed, cast
 * or filled. Each is one function of its inputs.
 *
 * @module
 */
import { concatenate, flatten, gather, reshape, slice, squeeze, transpose, unsqueeze } from "./fold_moves.ts";
import { findStrides, type Fold, type Folding, need, refuse } from "./folding.ts";
import { TensorProto_DataType } from "onnx-buf";
import { describeNode, type OnnxNode, readInt, readTensorAttribute, readType } from "./graph.ts";
import { countElements, integerVector, isFloatType, type OnnxTensor, readTensor } from "./tensor.ts";

/** The operators that are computed on numbers of the file. */
export const folds: ReadonlyMap<string, Fold> = new Map<string, Fold>([
  ["Constant", readConstant],
  ["ConstantOfShape", fillShape],
  ["Identity", (inputs, node, folding) => need(inputs, 0, node, folding)],
  ["Cast", cast],
  ["Concat", concatenate],
  ["Gather", gather],
  ["Slice", slice],
  ["Reshape", reshape],
  ["Flatten", flatten],
  ["Squeeze", squeeze],
  ["Unsqueeze", unsqueeze],
  ["Transpose", transpose],
  ["Shape", readSizes],
  ["Neg", mapValues((value) => -value)],
  ["Sqrt", mapValues(Math.sqrt)],
  ["Floor", mapValues(Math.floor)],
  ["Add", combine((a, b) => a + b)],
  ["Sub", combine((a, b) => a - b)],
  ["Mul", combine((a, b) => a * b)],
  ["Div", combine((a, b, isInteger) => isInteger ? Math.trunc(a / b) : a / b)],
  ["Pow", combine((a, b) => a ** b)],
  ["Sum", combine((a, b) => a + b)],
  ["Max", combine((a, b) => Math.max(a, b))],
  ["Min", combine((a, b) => Math.min(a, b))],
]);

/** Constant: the number or numbers of its attribute. */
function readConstant(_inputs: unknown, node: OnnxNode, { file, external }: Folding): OnnxTensor {
  const tensor = readTensorAttribute(node, "value");
  if (tensor) return readTensor(tensor, { thing: `${file}, ${describeNode(node)}`, external });
  const [attribute] = node.attributes.values();
  switch (attribute?.name) {
    case "value_int":
      return { shape: [], values: Float64Array.of(Number(attribute.i)), isInteger: true };
    case "value_ints":
      return integerVector(attribute.ints.map(Number));
    case "value_float":
      return { shape: [], values: Float32Array.of(attribute.f), isInteger: false };
    case "value_floats":
      return {
        shape: [attribute.floats.length],
        values: Float32Array.from(attribute.floats),
        isInteger: false,
      };
    default:
      return refuse(node, file, `its value is ${attribute?.name ?? "absent"}`, "numbers");
  }
}

/** Shape: the sizes of some dimensions, by default of all. */
function readSizes(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const { shape } = need(inputs, 0, node, folding), end = readInt(node, "end", shape.length);
  return integerVector(shape.slice(readInt(node, "start", 0), end));
}

/** ConstantOfShape: one number, 0 by default, in a shape. */
function fillShape(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const shape = [...need(inputs, 0, node, folding).values], count = countElements(shape);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || !Number.isSafeInteger(count)) {
    return refuse(node, folding.file, `sizes ${shape.join(" x ")}`, "whole sizes from 0 on");
  }
  folding.spend(count, node);
  const tensor = readTensorAttribute(node, "value");
  const thing = `${folding.file}, ${describeNode(node)}`;
  const value = tensor && readTensor(tensor, { thing, external: folding.external });
  const isInteger = value?.isInteger ?? false;
  const values = isInteger ? new Float64Array(count) : new Float32Array(count);
  return { shape, values: values.fill(value?.values[0] ?? 0), isInteger };
}

/** Cast: to integers or to floats. */
function cast(inputs: readonly (OnnxTensor | undefined)[], node: OnnxNode, folding: Folding): OnnxTensor {
  const { shape, values } = need(inputs, 0, node, folding), to = readType(node);
  folding.spend(values.length, node);
  const isInteger = !isFloatType(to);
  const isTruth = to === TensorProto_DataType.BOOL;
  return {
    shape,
    values: isInteger
      ? Float64Array.from(values, isTruth ? (value) => value === 0 ? 0 : 1 : Math.trunc)
      : Float32Array.from(values),
    isInteger,
  };
}

/** A function of each number. */
function mapValues(change: (value: number) => number): Fold {
  return (inputs, node, folding) => {
    const tensor = need(inputs, 0, node, folding);
    folding.spend(tensor.values.length, node);
    return { ...tensor, values: tensor.values.map(change) };
  };
}

/** An operation on tensors, element by element, where sizes of 1 are repeated. */
function combine(operation: (a: number, b: number, isInteger: boolean) => number): Fold {
  const pair = combinePair(operation);
  return (inputs, node, folding) => {
    const all = inputs.map((_, i) => need(inputs, i, node, folding));
    if (!variadic.includes(node.op)) need(inputs, 1, node, folding);
    return all.reduce((sum, next) => pair([sum, next], node, folding));
  };
}

/** Operators of any number of inputs. */
const variadic: readonly string[] = ["Sum", "Max", "Min"];

function combinePair(
  operation: (a: number, b: number, isInteger: boolean) => number,
): (pair: readonly [OnnxTensor, OnnxTensor], node: OnnxNode, folding: Folding) => OnnxTensor {
  return ([a, b], node, folding) => {
    const rank = Math.max(a.shape.length, b.shape.length);
    const [wideA, wideB] = [a, b].map(({ shape }) =>
      [...Array(rank - shape.length).fill(1), ...shape] as number[]
    );
    const shape = wideA.map((size, i) => size === 1 ? wideB[i] : size);
    if (wideB.some((size, i) => size !== 1 && size !== shape[i])) {
      const current = `(${a.shape.join(", ")}) and (${b.shape.join(", ")})`;
      return refuse(node, folding.file, current, "shapes of which one can be repeated to the other");
    }
    const count = countElements(shape), strides = findStrides(shape);
    folding.spend(count * rank, node);
    const locate = (own: readonly number[]) => {
      const ownStrides = findStrides(own);
      return (i: number) =>
        own.reduce(
          (at, size, axis) => size === 1 ? at : at + Math.floor(i / strides[axis]) % size * ownStrides[axis],
          0,
        );
    };
    const atA = locate(wideA), atB = locate(wideB), isInteger = a.isInteger && b.isInteger;
    const values = isInteger ? new Float64Array(count) : new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = operation(a.values[atA(i)], b.values[atB(i)], isInteger);
    return { shape, values, isInteger };
  };
}
