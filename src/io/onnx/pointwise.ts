/**
 * Operators that compute each number of a map from the numbers at its place: sums and products.
 *
 * @module
 */
import {
  addLayer,
  checkSpread,
  type FeatureValue,
  type GraphBuilder,
  isTensor,
  type NodeInputs,
  readFeatures,
  refuseNode,
} from "./builder.ts";
import { readActivation } from "./activations.ts";
import { type OnnxNode, readFloat, readInt } from "./graph.ts";
import { countElements, type OnnxTensor } from "./tensor.ts";

/** Dropout -> dropout, which only training computes. Its share is an attribute, since version 12 an input. */
export function readDropout(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const ratio = inputs[1], p = ratio && isTensor(ratio) ? ratio.values[0] : readFloat(node, "ratio", 0.5);
  const input = readFeatures(builder, node, inputs), training = inputs[2];
  const isOld = builder.graph.opset < 7 && readInt(node, "is_test", 0) === 0;
  if ((isOld || training && (!isTensor(training) || training.values[0] !== 0)) && p > 0) {
    refuseNode(
      builder,
      node,
      inputs,
      "it drops features (training_mode)",
      "a network exported for inference",
    );
  }
  return p > 0 && p < 1 ? addLayer(builder, node, { layer: { kind: "dropout", p }, inputs: [input] }) : input;
}

/** Add and Sum: of maps -> add; of a map and one number per channel -> the bias of the layer before. */
export function readAdd(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const numbers = inputs.find((value) => value && isTensor(value)) as OnnxTensor | undefined;
  if (numbers && inputs.length === 2) return absorb(builder, node, inputs, { shift: numbers });
  const terms = inputs.map((_, i) => readFeatures(builder, node, inputs, i));
  if (terms.length === 1) return terms[0];
  checkSameSizes(builder, node, terms);
  return addLayer(builder, node, { layer: { kind: "add" }, inputs: terms });
}

/** Sub of one number per channel -> the bias of the layer before. */
export function readSub(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const [, numbers] = inputs;
  if (!numbers || !isTensor(numbers)) {
    return refuseNode(builder, node, inputs, "a difference of maps", "a sum");
  }
  const shift = { ...numbers, values: numbers.values.map((value) => -value) };
  return absorb(builder, node, inputs, { shift });
}

/** Mul: of maps, or of a map and a gate -> multiply; by numbers of the file -> the weight of the layer before. */
export function readMul(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  if (builder.fused) return readActivation(builder, node, inputs);
  const numbers = inputs.find((value) => value && isTensor(value)) as OnnxTensor | undefined;
  if (numbers) return absorb(builder, node, inputs, { scale: numbers });
  const factors = inputs.map((_, i) => readFeatures(builder, node, inputs, i));
  const [map, factor] = factors.toSorted((a, b) => countElements(b.sizes) - countElements(a.sizes));
  const gate = [map.shape.channels, ...map.sizes.slice(1).map(() => 1)];
  if (factors.length !== 2 || ![map.sizes, gate].some((sizes) => sizes.join() === factor.sizes.join())) {
    refuseNode(
      builder,
      node,
      inputs,
      "maps of different sizes",
      "a map, and another or one number per channel",
    );
  }
  return addLayer(builder, node, { layer: { kind: "multiply" }, inputs: [map, factor] });
}

/** Div by one number per channel -> the weight of the layer before. */
export function readDiv(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  if (builder.fused) return readActivation(builder, node, inputs);
  const [, numbers] = inputs;
  if (!numbers || !isTensor(numbers)) {
    return refuseNode(builder, node, inputs, "a quotient of maps", "a product");
  }
  const scale = { ...numbers, values: Float32Array.from(numbers.values, (value) => 1 / value) };
  return absorb(builder, node, inputs, { scale });
}

function checkSameSizes(builder: GraphBuilder, node: OnnxNode, terms: readonly FeatureValue[]): void {
  const [first, ...others] = terms;
  if (others.some(({ sizes }) => sizes.join() !== first.sizes.join())) {
    refuseNode(builder, node, terms, "maps of different sizes", "maps of the same sizes");
  }
}

/**
 * Multiplies or shifts features by numbers of the file. If the layer before is a convolution, a linear layer or a batch norm
 * that nothing else reads, its weight and bias change; otherwise a depthwise convolution of one pixel computes it.
 */
function absorb(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { scale, shift }: { readonly scale?: OnnxTensor; readonly shift?: OnnxTensor },
): FeatureValue {
  const at = inputs.findIndex((value) => value && !isTensor(value));
  const value = readFeatures(builder, node, inputs, Math.max(at, 0)), last = builder.layers.at(-1);
  const { channels, taps } = value.shape;
  if (taps !== 1) {
    refuseNode(builder, node, inputs, "numbers of the file with a flattened map", "a map or a vector");
  }
  const factor = scale && spreadOverChannels(builder, node, inputs, { tensor: scale, value });
  const addend = shift && spreadOverChannels(builder, node, inputs, { tensor: shift, value });
  const isAlone = last?.name === value.layer && builder.uses.get(node.inputs[at]) === 1;
  if (!isAlone || !["conv2d", "linear", "batchnorm2d"].includes(last.kind)) {
    const weight = factor ?? new Float32Array(channels).fill(1),
      groups = channels === 1 ? {} : { groups: channels };
    const window = { kernel: 1, stride: 1, padding: 0 } as const;
    const layer = {
      kind: "conv2d",
      outChannels: channels,
      ...window,
      ...groups,
      bias: addend !== undefined,
    } as const;
    const parameters = { weight, ...(addend ? { bias: addend } : {}) };
    return addLayer(builder, node, { layer, inputs: [value], parameters });
  }
  const { parameters } = builder, weightName = `${last.name}.weight`, biasName = `${last.name}.bias`;
  if (factor) builder.spend(parameters.get(weightName)!.length, node);
  const weight = parameters.get(weightName)!, bias = parameters.get(biasName), row = weight.length / channels;
  if (factor) parameters.set(weightName, weight.map((own, i) => own * factor[Math.floor(i / row)]));
  if (bias || addend) {
    const own = bias ?? new Float32Array(channels);
    parameters.set(biasName, own.map((own, i) => own * (factor?.[i] ?? 1) + (addend?.[i] ?? 0)));
    if (last.kind !== "batchnorm2d") {
      builder.layers[builder.layers.length - 1] = { ...last, bias: true } as typeof last;
    }
  }
  return value;
}

/** One number per channel, of numbers that are repeated over a map. */
function spreadOverChannels(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { tensor, value }: { readonly tensor: OnnxTensor; readonly value: FeatureValue },
): Float32Array {
  const { channels } = value.shape, { values, shape } = tensor;
  if (values.length === 1 && shape.length <= value.sizes.length + 1) {
    return new Float32Array(channels).fill(values[0]);
  }
  checkSpread(builder, node, inputs, { tensor, value });
  return Float32Array.from(values);
}
/** Concat of maps along their channels -> concat. */
export function readConcat(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const parts = inputs.map((_, i) => readFeatures(builder, node, inputs, i));
  const [{ sizes }] = parts, axis = readInt(node, "axis", 1), rank = sizes.length + 1;
  const isMap = parts.every(({ sizes: [, ...area] }) => area.join() === sizes.slice(1).join());
  if ((axis < 0 ? axis + rank : axis) !== 1 || !isMap) {
    return refuseNode(
      builder,
      node,
      inputs,
      `a join along axis ${axis}`,
      "maps of one height and width along axis 1",
    );
  }
  return addLayer(builder, node, { layer: { kind: "concat" }, inputs: parts });
}
