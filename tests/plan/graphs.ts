/**
 * Small graphs that take every way in which layers meet.
 *
 * @module
 */
import type { Graph } from "../../src/model/graph.ts";

/** The images that all of them take. */
export const graphInput = { channels: 3, height: 9, width: 9 };
const conv = { kind: "conv2d", kernel: 3, stride: 1, padding: 1, bias: false } as const;
const norm = { kind: "batchnorm2d", epsilon: 1e-3, momentum: 0.3 } as const;

/** Chains, and graphs whose layers take several inputs and are read by several layers. */
export const graphs: readonly Graph[] = [{
  name: "batch norm, average pooling, a ReLU after max pooling, linear layers without ReLU",
  input: graphInput,
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 5, kernel: 3, stride: 2, padding: 1, bias: false },
    { ...norm, name: "bn1" },
    { kind: "relu", name: "relu1" },
    { kind: "avgpool2d", name: "average", kernel: 2, stride: 1, padding: 0 },
    { kind: "conv2d", name: "conv2", outChannels: 6, kernel: 3, stride: 1, padding: 1, bias: true },
    { kind: "maxpool2d", name: "pool", kernel: 2, stride: 2, padding: 0 },
    { kind: "relu", name: "relu2" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 7, bias: true },
    { kind: "linear", name: "fc2", outFeatures: 4, bias: false },
  ],
}, {
  name:
    "pooling before any parameter, overlapping windows, gated ReLUs, 1 x 1 convolution, batch norm of a vector",
  input: graphInput,
  layers: [
    { kind: "maxpool2d", name: "first", kernel: 2, stride: 1, padding: 1 },
    { kind: "conv2d", name: "conv1", outChannels: 4, kernel: 3, stride: 1, padding: 0, bias: true },
    { kind: "relu", name: "relu1" },
    { kind: "maxpool2d", name: "pool", kernel: 3, stride: 2, padding: 1 },
    { kind: "relu", name: "relu2" },
    { kind: "conv2d", name: "conv2", outChannels: 3, kernel: 1, stride: 1, padding: 0, bias: true },
    { ...norm, name: "bn2" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 6, bias: true },
    { ...norm, name: "bn3" },
    { kind: "relu", name: "relu3" },
    { kind: "relu", name: "relu4" },
    { kind: "linear", name: "fc2", outFeatures: 5, bias: true },
  ],
}, {
  name: "ReLU and pooling by halves behind every convolution, on odd maps",
  input: graphInput,
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 6, kernel: 3, stride: 1, padding: 1, bias: true },
    { kind: "relu", name: "relu1" },
    { kind: "maxpool2d", name: "pool1", kernel: 2, stride: 2, padding: 0 },
    { kind: "conv2d", name: "conv2", outChannels: 9, kernel: 3, stride: 1, padding: 1, bias: false },
    { kind: "relu", name: "relu2" },
    { kind: "maxpool2d", name: "pool2", kernel: 2, stride: 2, padding: 0 },
    { kind: "conv2d", name: "conv3", outChannels: 5, kernel: 1, stride: 1, padding: 1, bias: true },
    { ...norm, name: "bn3" },
    { kind: "relu", name: "relu3" },
    { kind: "maxpool2d", name: "pool3", kernel: 2, stride: 2, padding: 0 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 6, bias: true },
    { kind: "relu", name: "relu4" },
    { kind: "linear", name: "fc2", outFeatures: 4, bias: true },
  ],
}, {
  name: "residual blocks: identity, option A, a sum that is read by three, its ReLU gated by a convolution",
  input: graphInput,
  layers: [
    { ...conv, name: "conv1", outChannels: 6 },
    { ...norm, name: "bn1" },
    { kind: "relu", name: "relu1" },
    { ...conv, name: "block1.conv1", outChannels: 6 },
    { ...norm, name: "block1.bn1" },
    { kind: "relu", name: "block1.relu1" },
    { ...conv, name: "block1.conv2", outChannels: 6 },
    { ...norm, name: "block1.bn2" },
    { kind: "add", name: "block1.add", inputs: ["block1.bn2", "relu1"] },
    { kind: "relu", name: "block1.relu2" },
    { ...conv, name: "block2.conv1", outChannels: 9, stride: 2 },
    { ...norm, name: "block2.bn1" },
    { kind: "relu", name: "block2.relu1" },
    { ...conv, name: "block2.conv2", outChannels: 9 },
    { ...norm, name: "block2.bn2" },
    { kind: "subsample", name: "block2.shortcut", inputs: ["block1.relu2"], outChannels: 9, stride: 2 },
    { kind: "add", name: "block2.add", inputs: ["block2.bn2", "block2.shortcut"] },
    { kind: "relu", name: "block2.relu2" },
    { ...conv, name: "block3.conv1", outChannels: 9 },
    { ...conv, name: "block3.conv2", outChannels: 9, inputs: ["block2.relu2"], kernel: 1, padding: 0 },
    { kind: "add", name: "block3.add", inputs: ["block3.conv1", "block3.conv2", "block2.relu2"] },
    { kind: "avgpool2d", name: "average", kernel: 5, stride: 5, padding: 0 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4, bias: true },
  ],
}, {
  name: "projection, concat of a layer with itself, sums that end in pools, the images as a term",
  input: graphInput,
  layers: [
    { ...conv, name: "conv1", outChannels: 3, bias: true },
    { kind: "add", name: "with images", inputs: ["conv1", "input"] },
    { ...conv, name: "conv2", outChannels: 5, bias: true },
    { kind: "relu", name: "relu2" },
    { ...conv, name: "projection", inputs: ["with images"], outChannels: 5, kernel: 1, padding: 0 },
    { ...norm, name: "projection norm" },
    { kind: "add", name: "sum", inputs: ["relu2", "projection norm"] },
    { kind: "relu", name: "relu3" },
    { kind: "maxpool2d", name: "pool1", kernel: 3, stride: 2, padding: 1 },
    { kind: "avgpool2d", name: "pool2", inputs: ["relu3"], kernel: 3, stride: 2, padding: 1 },
    { kind: "concat", name: "joined", inputs: ["pool1", "pool2", "pool1"] },
    { ...norm, name: "joined norm" },
    { ...conv, name: "conv4", outChannels: 4, stride: 2 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 6, bias: true },
    { kind: "linear", name: "fc2", inputs: ["flatten"], outFeatures: 6, bias: false },
    { kind: "add", name: "twice", inputs: ["fc1", "fc2", "fc2"] },
    { kind: "relu", name: "relu4" },
    { kind: "linear", name: "fc3", outFeatures: 4, bias: true },
  ],
}, {
  name:
    "activations that nothing takes over, ReLUs of images, of a subsample and of flattened pixels, a ReLU of three",
  input: graphInput,
  layers: [
    { kind: "relu", name: "relu of images" },
    { ...conv, name: "conv1", outChannels: 3, bias: true },
    { kind: "silu", name: "silu" },
    { ...conv, name: "conv2", outChannels: 5, stride: 2 },
    { ...norm, name: "bn2" },
    { kind: "leakyrelu", name: "leaky", negativeSlope: 0.2 },
    { kind: "subsample", name: "shortcut", inputs: ["silu"], outChannels: 5, stride: 2 },
    { kind: "relu", name: "relu of shortcut" },
    { kind: "add", name: "sum", inputs: ["leaky", "relu of shortcut", "bn2"] },
    { kind: "relu", name: "relu of three" },
    { kind: "concat", name: "joined", inputs: ["relu of three", "shortcut"] },
    { kind: "gelu", name: "gelu", approximate: "none" },
    { kind: "avgpool2d", name: "pool", kernel: 2, stride: 2, padding: 0 },
    { kind: "gelu", name: "gelu by tanh", approximate: "tanh" },
    { kind: "flatten", name: "flatten" },
    { kind: "relu", name: "relu of pixels" },
    { kind: "linear", name: "fc", outFeatures: 4, bias: true },
  ],
}];
