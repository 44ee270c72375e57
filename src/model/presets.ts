/**
 * Models that need no file.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { describeAlternatives } from "../nearest.ts";
import { type Graph, parseGraph } from "./graph.ts";
import { cifarResnetForm, residualNetwork, resnet18Form } from "./presets/resnet.ts";
import { countTaskClasses, makeFor, type PresetTask } from "./presets/task.ts";
import { vgg16 } from "./presets/vgg.ts";

/** Widths of the seed network. */
export interface SeedWidths {
  /** Output channels of the first convolution. */
  readonly conv1: number;
  /** Output channels of the second convolution. */
  readonly conv2: number;
  /** Output features of the first linear layer. */
  readonly fc1: number;
}

/**
 * The seed network: conv 3x3 -> ReLU -> max-pool 2 -> conv 3x3 -> ReLU -> max-pool 2 -> flatten -> linear -> ReLU ->
 * linear, with 32 and 64 channels and 128 features by default. Input size and classes come from the data.
 */
export function seedNetwork(
  task: PresetTask,
  widths: SeedWidths = { conv1: 32, conv2: 64, fc1: 128 },
): Graph {
  const conv = { kind: "conv2d", kernel: 3, stride: 1, padding: 1, bias: true } as const;
  const pool = { kind: "maxpool2d", kernel: 2, stride: 2, padding: 0 } as const;
  const { channels, height, width } = task;
  return makeFor(task, {
    name: "seed",
    input: { channels, height, width },
    layers: [
      { ...conv, name: "conv1", outChannels: widths.conv1 },
      { kind: "relu", name: "relu1" },
      { ...pool, name: "pool1" },
      { ...conv, name: "conv2", outChannels: widths.conv2 },
      { kind: "relu", name: "relu2" },
      { ...pool, name: "pool2" },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "fc1", outFeatures: widths.fc1, bias: true },
      { kind: "relu", name: "relu3" },
      { kind: "linear", name: "fc2", outFeatures: countTaskClasses(task), bias: true },
    ],
  });
}

/**
 * LeNet-5 (LeCun et al. 1998) in its modern form, with ReLU and max pooling: 5 x 5 convolutions of 6 and 16 channels,
 * then 120, 84 and one feature per class. Images below 32 pixels are padded by 2 at the first convolution, as the
 * paper's digits of 28 pixels were.
 */
export function lenet(task: PresetTask): Graph {
  const { channels, height, width } = task;
  const padding = Math.min(height, width) < 32 ? 2 : 0;
  const pool = { kind: "maxpool2d", kernel: 2, stride: 2 };
  const layers = [
    { kind: "conv2d", name: "conv1", outChannels: 6, kernel: 5, padding },
    { kind: "relu", name: "relu1" },
    { ...pool, name: "pool1" },
    { kind: "conv2d", name: "conv2", outChannels: 16, kernel: 5 },
    { kind: "relu", name: "relu2" },
    { ...pool, name: "pool2" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 120 },
    { kind: "relu", name: "relu3" },
    { kind: "linear", name: "fc2", outFeatures: 84 },
    { kind: "relu", name: "relu4" },
    { kind: "linear", name: "fc3", outFeatures: countTaskClasses(task) },
  ];
  const graph = { name: "lenet", input: { channels, height, width }, layers };
  return makeFor(task, parseGraph(graph, "preset lenet"));
}

/** Makes a network for the images and classes of a task, which it remembers where it is a data set or a split of one. */
export type Preset = (task: PresetTask) => Graph;

const cifarResnet = (depth: number): Preset => (task) => residualNetwork(cifarResnetForm(depth), task);

/** ResNet-20 (He et al. 2015, section 4.2, for CIFAR-10): 0.27 million parameters. */
export const resnet20: Preset = cifarResnet(20);

/** ResNet-32, as `resnet20`: 0.46 million parameters. */
export const resnet32: Preset = cifarResnet(32);

/** ResNet-44, as `resnet20`: 0.66 million parameters. */
export const resnet44: Preset = cifarResnet(44);

/** ResNet-56, as `resnet20`: 0.85 million parameters. */
export const resnet56: Preset = cifarResnet(56);

/** ResNet-110, as `resnet20`: 1.7 million parameters. */
export const resnet110: Preset = cifarResnet(110);

/** ResNet-18 with torchvision's names and the stem for small images: 11 million parameters. */
export function resnet18(task: PresetTask): Graph {
  return residualNetwork(resnet18Form, task);
}

const presets: ReadonlyMap<string, Preset> = new Map([
  ["seed", (task: PresetTask) => seedNetwork(task)],
  ["lenet", lenet],
  ["vgg16-cifar", vgg16],
  ...Object.entries({ resnet20, resnet32, resnet44, resnet56, resnet110 }),
  [resnet18Form.name, resnet18],
]);

/** The names of all presets. */
export const presetNames: readonly string[] = [...presets.keys()];

/**
 * A preset for images of a size and a number of classes.
 *
 * @throws {ConfigError} If no preset has that name.
 *
 * @example
 * ```ts
 * import { presetNetwork } from "./presets.ts";
 *
 * const graph = presetNetwork("resnet20", { channels: 3, height: 32, width: 32, classes: 10 });
 * graph.layers.length; // 70
 * ```
 */
export function presetNetwork(name: string, task: PresetTask): Graph {
  const make = presets.get(name);
  if (make) return make(task);
  const wanted = describeAlternatives(name, presetNames);
  throw new ConfigError({ act: "use preset", thing: name, current: "no preset has that name", wanted });
}
