/**
 * Networks of a few nodes for tests of reading, and the layers that they become.
 *
 * @module
 */
import { readOnnx } from "../../src/io/onnx/read.ts";
import type { Graph } from "../../src/model/graph.ts";
import { memoryFiles } from "./memory_files.ts";
import { onnxFile, scalar, type TestModel, type TestNode, testTensor } from "./onnx_models.ts";

/** How files are read: with images of 8 x 8 if they leave their sides open. */
export const readOptions = { name: "net.onnx", size: { height: 8, width: 8 }, files: memoryFiles() };

/** Reads a network. */
export const readModel = (model: TestModel) => readOnnx(onnxFile(model), readOptions);

/** Layers without their names. */
export const withoutNames = ({ layers }: Graph) => layers.map(({ name: _, ...rest }) => rest);

const conv = { op: "Conv", inputs: ["x", "conv.weight", "conv.bias"], outputs: ["conv"] };
const convTensors = { "conv.weight": testTensor(4, 3, 3, 3), "conv.bias": testTensor(4) };

/** The middle of a network between a convolution, whose output is `conv`, and a linear layer, which reads `y`. */
export const around = (nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}): TestModel => ({
  nodes: [
    { ...conv, attributes: { pads: [1, 1, 1, 1] } },
    ...nodes,
    { op: "GlobalAveragePool", inputs: ["y"], outputs: ["pooled"] },
    { op: "Flatten", inputs: ["pooled"], outputs: ["flat"] },
    { op: "Gemm", inputs: ["flat", "fc.weight"], outputs: ["logits"], attributes: { transB: 1 } },
  ],
  tensors: { ...convTensors, "fc.weight": testTensor(2, 4), ...tensors },
});

/** The layers that nodes in the middle of a network become. */
export const readMiddle = async (nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}) =>
  withoutNames((await readModel(around(nodes, tensors))).graph).slice(1, -2);

/** A node that is one number. */
export const numberNode = (value: number) => ({
  op: "Constant",
  inputs: [],
  attributes: { value: scalar(value) },
});
