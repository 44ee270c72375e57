/**
 * The operators of feature maps that are read, by name. Each is one function of a node.
 *
 * @module
 */
import type { GraphBuilder, NodeInputs, OnnxValue } from "./builder.ts";
import type { OnnxNode } from "./graph.ts";
import {
  readAdd,
  readConcat,
  readDiv,
  readDropout,
  readFused,
  readLeakyRelu,
  readMul,
  readOutputFunction,
  readRelu,
  readSub,
} from "./pointwise.ts";
import {
  readCast,
  readFlatten,
  readIdentity,
  readPad,
  readReshape,
  readShape,
  readSlice,
  readSqueeze,
  readUnsqueeze,
} from "./reshaping.ts";
import { readBatchNorm, readConv, readGemm, readMatMul } from "./weighted.ts";
import { readAveragePool, readGlobalAveragePool, readMaxPool, readReduceMean } from "./windows.ts";

/** Reads a node: adds layers, and gives the value of its first output. */
export type ReadOperator = (builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs) => OnnxValue;

/** What operators, and those that several nodes compute, are read by. */
export const operators: ReadonlyMap<string, ReadOperator> = new Map<string, ReadOperator>([
  ["Add", readAdd],
  ["AveragePool", readAveragePool],
  ["BatchNormalization", readBatchNorm],
  ["Cast", readCast],
  ["Concat", readConcat],
  ["Conv", readConv],
  ["Div", readDiv],
  ["Dropout", readDropout],
  ["Flatten", readFlatten],
  ["Gelu", readFused],
  ["Gemm", readGemm],
  ["GlobalAveragePool", readGlobalAveragePool],
  ["Identity", readIdentity],
  ["LeakyRelu", readLeakyRelu],
  ["LogSoftmax", readOutputFunction],
  ["MatMul", readMatMul],
  ["MaxPool", readMaxPool],
  ["Mul", readMul],
  ["Pad", readPad],
  ["ReduceMean", readReduceMean],
  ["Relu", readRelu],
  ["Reshape", readReshape],
  ["Shape", readShape],
  ["Sigmoid", readOutputFunction],
  ["Slice", readSlice],
  ["Softmax", readOutputFunction],
  ["Squeeze", readSqueeze],
  ["Sub", readSub],
  ["Sum", readAdd],
  ["Swish", readFused],
  ["Unsqueeze", readUnsqueeze],
]);
