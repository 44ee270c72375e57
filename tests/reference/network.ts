/**
 * The seed network of ../shared/goldens: conv1 (3x3, pad 1), ReLU, max-pool 2, conv2 (3x3, pad 1), ReLU, max-pool 2,
 * flatten (C, H, W), fc1, ReLU, fc2, mean cross-entropy; forward, backward and training step in f64.
 *
 * @module
 */
import { conv2dBackward, conv2dForward } from "./conv2d.ts";
import { crossEntropy } from "./cross_entropy.ts";
import { linearBackward, linearForward } from "./linear.ts";
import { maxPool2dBackward, maxPool2dForward } from "./pool2d.ts";
import { reluBackward, reluForward } from "./relu.ts";
import { elementCount, randomTensor, type RefTensor } from "./tensor.ts";

/** The parameters' names in PyTorch's order. */
export const PARAMETER_NAMES = [
  "conv1.weight",
  "conv1.bias",
  "conv2.weight",
  "conv2.bias",
  "fc1.weight",
  "fc1.bias",
  "fc2.weight",
  "fc2.bias",
] as const;

/** A parameter's name. */
export type ParameterName = typeof PARAMETER_NAMES[number];

/** One tensor a parameter: values, gradients or anything else in their shapes. */
export type ParameterTensors = Readonly<Record<ParameterName, RefTensor>>;

/** Images (N, C, H, W), already normalised, with their labels (N). */
export interface LabeledBatch {
  readonly images: RefTensor;
  readonly labels: ArrayLike<number>;
}

/** Every tensor that the backward pass needs, and the logits (N, K). */
export interface NetworkActivations {
  readonly images: RefTensor;
  readonly relu1: RefTensor;
  readonly pool1: RefTensor;
  readonly relu2: RefTensor;
  readonly pool2: RefTensor;
  readonly flat: RefTensor;
  readonly relu3: RefTensor;
  readonly logits: RefTensor;
}

/** Sizes for {@link randomParameters}; the image's height and width are divisible by 4. */
export interface NetworkWidths {
  readonly inputs: number;
  readonly conv1: number;
  readonly conv2: number;
  readonly fc1: number;
  readonly classes: number;
  readonly imageSize: number;
}

const CONVOLUTION = { stride: 1, padding: 1 };
const POOLING = { kernel: 2, stride: 2, padding: 0 };

/** Makes parameters uniform in +-1 / sqrt(fan-in) (PyTorch's default), the same for a seed everywhere. */
export function randomParameters(widths: NetworkWidths, seed: number): ParameterTensors {
  const { inputs, conv1, conv2, fc1, classes, imageSize } = widths;
  const features = conv2 * (imageSize / 4) ** 2;
  const make = (shape: number[], fanIn: number, offset: number) =>
    randomTensor(shape, seed + offset, 1 / Math.sqrt(fanIn));
  return {
    "conv1.weight": make([conv1, inputs, 3, 3], inputs * 9, 0),
    "conv1.bias": make([conv1], inputs * 9, 1),
    "conv2.weight": make([conv2, conv1, 3, 3], conv1 * 9, 2),
    "conv2.bias": make([conv2], conv1 * 9, 3),
    "fc1.weight": make([fc1, features], features, 4),
    "fc1.bias": make([fc1], features, 5),
    "fc2.weight": make([classes, fc1], fc1, 6),
    "fc2.bias": make([classes], fc1, 7),
  };
}

/** Maps every parameter to something, by name and tensor, in PyTorch's order. */
export function mapParameters<Value>(
  parameters: ParameterTensors,
  map: (name: ParameterName, tensor: RefTensor) => Value,
): Record<ParameterName, Value> {
  const entries = PARAMETER_NAMES.map((name) => [name, map(name, parameters[name])] as const);
  return Object.fromEntries(entries) as Record<ParameterName, Value>;
}

/** Copies parameters, so that training the copy leaves the original. */
export function copyParameters(parameters: ParameterTensors): ParameterTensors {
  return mapParameters(parameters, (_, { shape, values }) => ({ shape, values: values.slice() }));
}

/** Runs the network forward: images (N, C, H, W) to logits (N, K). */
export function networkForward(parameters: ParameterTensors, images: RefTensor): NetworkActivations {
  const { "conv1.weight": w1, "conv1.bias": b1, "conv2.weight": w2, "conv2.bias": b2 } = parameters;
  const relu1 = reluForward(conv2dForward(images, w1, b1, CONVOLUTION));
  const pool1 = maxPool2dForward(relu1, POOLING);
  const relu2 = reluForward(conv2dForward(pool1, w2, b2, CONVOLUTION));
  const pool2 = maxPool2dForward(relu2, POOLING);
  const flat = { shape: [pool2.shape[0], elementCount(pool2.shape.slice(1))], values: pool2.values };
  const relu3 = reluForward(linearForward(flat, parameters["fc1.weight"], parameters["fc1.bias"]));
  const logits = linearForward(relu3, parameters["fc2.weight"], parameters["fc2.bias"]);
  return { images, relu1, pool1, relu2, pool2, flat, relu3, logits };
}

/** Runs the network backward: dlogits (N, K) to the gradients of all parameters (chain rule, layer by layer). */
export function networkBackward(
  parameters: ParameterTensors,
  activations: NetworkActivations,
  dlogits: RefTensor,
): ParameterTensors {
  const { images, relu1, pool1, relu2, pool2, flat, relu3 } = activations;
  const fc2 = linearBackward(relu3, parameters["fc2.weight"], dlogits);
  const fc1 = linearBackward(flat, parameters["fc1.weight"], reluBackward(relu3, fc2.dx));
  const dpool2 = { shape: pool2.shape, values: fc1.dx.values };
  const drelu2 = reluBackward(relu2, maxPool2dBackward(relu2, dpool2, POOLING));
  const conv2 = conv2dBackward(pool1, parameters["conv2.weight"], drelu2, CONVOLUTION);
  const drelu1 = reluBackward(relu1, maxPool2dBackward(relu1, conv2.dx, POOLING));
  const conv1 = conv2dBackward(images, parameters["conv1.weight"], drelu1, CONVOLUTION);
  return {
    "conv1.weight": conv1.dw,
    "conv1.bias": conv1.db,
    "conv2.weight": conv2.dw,
    "conv2.bias": conv2.db,
    "fc1.weight": fc1.dw,
    "fc1.bias": fc1.db,
    "fc2.weight": fc2.dw,
    "fc2.bias": fc2.db,
  };
}

/** Returns the mean cross-entropy of a batch, its gradients and the logits (N, K). */
export function lossAndGradients(
  parameters: ParameterTensors,
  { images, labels }: LabeledBatch,
): { loss: number; logits: RefTensor; gradients: ParameterTensors } {
  const activations = networkForward(parameters, images);
  const { loss, dlogits } = crossEntropy(activations.logits, labels);
  return { loss, logits: activations.logits, gradients: networkBackward(parameters, activations, dlogits) };
}

/**
 * Trains on one batch: calls `update` once a parameter, which steps its values in place, and returns the loss from
 * before the step.
 *
 * @example
 * const states = mapParameters(parameters, (_, { values }) => createSgdState(values.length));
 * trainStep(parameters, batch, (name, values, gradients) =>
 *   sgdStep(values, gradients, states[name], { learningRate: .01, momentum: .9 }));
 */
export function trainStep(
  parameters: ParameterTensors,
  batch: LabeledBatch,
  update: (name: ParameterName, values: Float64Array, gradients: Float64Array) => void,
): number {
  const { loss, gradients } = lossAndGradients(parameters, batch);
  for (const name of PARAMETER_NAMES) update(name, parameters[name].values, gradients[name].values);
  return loss;
}
