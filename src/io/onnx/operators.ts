/**
 * The operators of feature maps that are read, by name. Each is one function of a node.
 *
 * @module
 */
import type { GraphBuilder, NodeInputs, OnnxValue } from "./builder.ts";
import {
  readActivation,
  readBound,
  readClip,
  readOutputFunction,
  readPrelu,
  readSigmoid,
} from "./activations.ts";
import { readGather, readSplit, readTranspose } from "./channels.ts";
import type { OnnxNode } from "./graph.ts";
import { readAdd, readConcat, readDiv, readDropout, readMul, readSub } from "./pointwise.ts";
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
import {
  readAveragePool,
  readGlobalAveragePool,
  readGlobalMaxPool,
  readMaxPool,
  readReduceMean,
} from "./windows.ts";

/** Reads a node: adds layers, and gives the value of its first output. */
export type ReadOperator = (builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs) => OnnxValue;

/** Reads a node of several outputs. */
export type ReadParts = (builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs) => readonly OnnxValue[];

/** Operators of which more than the first output is read. */
export const partedOperators: ReadonlyMap<string, ReadParts> = new Map([["Split", readSplit]]);

/** What operators, and those that several nodes compute, are read by. */
export const operators: ReadonlyMap<string, ReadOperator> = new Map<string, ReadOperator>([
  ["Add", readAdd],
  ["AveragePool", readAveragePool],
  ["BatchNormalization", readBatchNorm],
  ["Cast", readCast],
  ["Clip", readClip],
  ["Concat", readConcat],
  ["Conv", readConv],
  ["Div", readDiv],
  ["Dropout", readDropout],
  ["Elu", readActivation],
  ["Flatten", readFlatten],
  ["Gather", readGather],
  ["Gelu", readActivation],
  ["Gemm", readGemm],
  ["GlobalAveragePool", readGlobalAveragePool],
  ["GlobalMaxPool", readGlobalMaxPool],
  ["HardSigmoid", readActivation],
  ["HardSwish", readActivation],
  ["Identity", readIdentity],
  ["LeakyRelu", readActivation],
  ["LogSoftmax", readOutputFunction],
  ["MatMul", readMatMul],
  ["Max", readBound],
  ["MaxPool", readMaxPool],
  ["Min", readBound],
  ["Mish", readActivation],
  ["Mul", readMul],
  ["Pad", readPad],
  ["PRelu", readPrelu],
  ["ReduceMean", readReduceMean],
  ["Relu", readActivation],
  ["Reshape", readReshape],
  ["Shape", readShape],
  ["Sigmoid", readSigmoid],
  ["Slice", readSlice],
  ["Softmax", readOutputFunction],
  ["Squeeze", readSqueeze],
  ["Sub", readSub],
  ["Sum", readAdd],
  ["Swish", readActivation],
  ["Tanh", readActivation],
  ["Transpose", readTranspose],
  ["Unsqueeze", readUnsqueeze],
]);
