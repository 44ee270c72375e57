/**
 * Operators with weights: convolutions, matrix products and batch norm.
 *
 * @module
 */
import {
  addLayer,
  type FeatureValue,
  type GraphBuilder,
  type NodeInputs,
  readFeatures,
  readNumbers,
  refuseNode,
} from "./builder.ts";
import { readChannelsLast, reorderRows } from "./channels_last.ts";
import { type OnnxNode, readFloat, readInt, readInts } from "./graph.ts";
import { describeWindows, dropPending, readPadded, readWindows, shortPair } from "./windows.ts";

/** A weight of floats, which are 32-bit ones here. */
function readWeight(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs, i: number): FloatTensor {
  const { shape, values } = readNumbers(builder, node, inputs, i);
  if (values instanceof Float32Array) return { shape, values };
  return refuseNode(builder, node, inputs, `integers in input ${i}`, "floats");
}

interface FloatTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Conv -> conv2d. */
export function readConv(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const padded = readPadded(builder, node, inputs), input = dropPending(padded);
  const weight = readWeight(builder, node, inputs, 1), groups = readInt(node, "group", 1);
  const [outChannels, inChannels, height, width] = weight.shape;
  if (weight.shape.length !== 4 || inChannels * groups !== input.shape.channels) {
    return refuseNode(builder, node, inputs, "a weight of other sizes", "a weight (O, C / groups, KH, KW)");
  }
  const kernel = readInts(node, "kernel_shape");
  if (kernel && kernel.join() !== `${height},${width}`) {
    refuseNode(
      builder,
      node,
      inputs,
      `windows of ${kernel.join(" x ")}`,
      `${height} x ${width}, as its weight`,
    );
  }
  const bias = inputs[2] ? readVector(builder, node, inputs, { i: 2, length: outChannels }) : undefined;
  const windows = readWindows(builder, node, padded, [height, width]), { dilation } = windows;
  const layer = {
    kind: "conv2d",
    outChannels,
    ...describeWindows(windows),
    ...(dilation.every((step) => step === 1) ? {} : { dilation: shortPair(dilation) }),
    ...(groups === 1 ? {} : { groups }),
    bias: bias !== undefined,
  } as const;
  const parameters = { weight: weight.values, ...(bias ? { bias } : {}) };
  return addLayer(builder, node, { layer, inputs: [input], parameters });
}

/** An input that is one number per channel. */
function readVector(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { i, length }: { readonly i: number; readonly length: number },
): Float32Array {
  const { shape, values } = readWeight(builder, node, inputs, i);
  // A bias of a product may have a row of its own, but no number for each image.
  if (values.length === length && (length === 1 || shape.at(-1) === length)) return values;
  const current = `numbers of (${shape.join(", ")}) in input ${i}`;
  return refuseNode(builder, node, inputs, current, `a vector of ${length}`);
}

/** Gemm: alpha x W + beta b, the weight transposed or not -> linear. */
export function readGemm(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const alpha = readFloat(node, "alpha", 1), beta = readFloat(node, "beta", 1);
  if (readInt(node, "transA", 0) !== 0) {
    refuseNode(builder, node, inputs, "a transposed input (transA)", "transA 0");
  }
  const isTransposed = readInt(node, "transB", 0) !== 0;
  const weight = readRows(builder, node, inputs, isTransposed);
  if (!inputs[2]) return addLinear(builder, node, inputs, { ...weight, scale: alpha });
  const tensor = readWeight(builder, node, inputs, 2);
  // One number is added to each feature.
  const whole = tensor.values.length === 1 ? new Float32Array(weight.rows).fill(tensor.values[0]) : undefined;
  const bias = whole ?? readVector(builder, node, inputs, { i: 2, length: weight.rows });
  return addLinear(builder, node, inputs, {
    ...weight,
    scale: alpha,
    bias: bias.map((value) => value * beta),
  });
}

/** MatMul of features with a weight of the file -> linear without a bias. */
export function readMatMul(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  return addLinear(builder, node, inputs, { ...readRows(builder, node, inputs, false), scale: 1 });
}

/** The weight of a matrix product as rows (O, F). */
function readRows(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  isTransposed: boolean,
): { readonly values: Float32Array; readonly rows: number; readonly columns: number } {
  const { shape, values } = readWeight(builder, node, inputs, 1);
  if (shape.length !== 2) return refuseNode(builder, node, inputs, "a weight of other sizes", "a matrix");
  if (isTransposed) return { values, rows: shape[0], columns: shape[1] };
  const [columns, rows] = shape, turned = new Float32Array(values.length);
  builder.spend(values.length, node);
  for (let i = 0; i < values.length; i++) turned[i % rows * columns + Math.floor(i / rows)] = values[i];
  return { values: turned, rows, columns };
}

function addLinear(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { values, rows, columns, scale, bias }: {
    readonly values: Float32Array;
    readonly rows: number;
    readonly columns: number;
    readonly scale: number;
    readonly bias?: Float32Array;
  },
): FeatureValue {
  const last = readChannelsLast(inputs),
    input = last ? dropPending(last) : readFeatures(builder, node, inputs);
  if (input.sizes.length !== 1 || input.sizes[0] !== columns) {
    return refuseNode(builder, node, inputs, "an input of other sizes", `vectors of ${columns} features`);
  }
  const layer = { kind: "linear", outFeatures: rows, bias: bias !== undefined } as const;
  if (scale !== 1 || last) builder.spend(values.length, node);
  const ordered = last ? reorderRows(values, input.shape) : values;
  const weight = scale === 1 ? ordered : ordered.map((value) => value * scale);
  return addLayer(builder, node, {
    layer,
    inputs: [input],
    parameters: { weight, ...(bias ? { bias } : {}) },
  });
}

/** BatchNormalization -> batchnorm2d. ONNX's momentum is the share of the old statistics. */
export function readBatchNorm(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const input = readFeatures(builder, node, inputs), length = input.shape.channels;
  const { opset } = builder.graph;
  // Before version 14, the outputs told: a network that learns gives its statistics too.
  const isTraining = readInt(node, "training_mode", 0) !== 0 ||
    opset < 14 && node.outputs.slice(1).some((output) => output !== "") ||
    opset < 7 && readInt(node, "is_test", 0) === 0;
  if (isTraining) {
    refuseNode(
      builder,
      node,
      inputs,
      "it measures its batch (training_mode)",
      "a network exported for inference",
    );
  }
  if (readInt(node, "spatial", 1) !== 1) {
    refuseNode(builder, node, inputs, "statistics for each pixel (spatial)", "for each channel");
  }
  if (input.shape.taps !== 1) refuseNode(builder, node, inputs, "a flattened map", "a map or a vector");
  const [weight, bias, mean, variance] = [1, 2, 3, 4].map((i) =>
    readVector(builder, node, inputs, { i, length })
  );
  const kept = readFloat(node, "momentum", 0.9);
  // PyTorch's exporter writes 1 for a network in evaluation, which would never learn new statistics.
  const isFrozen = kept >= 1 && builder.graph.producer !== "winnow";
  const momentum = isFrozen || kept < 0 || kept > 1 ? 0.1 : Number((1 - kept).toPrecision(7));
  const layer = { kind: "batchnorm2d", epsilon: readFloat(node, "epsilon", 1e-5), momentum } as const;
  const parameters = { weight, bias, "running_mean": mean, "running_var": variance };
  return addLayer(builder, node, { layer, inputs: [input], parameters });
}
