/**
 * Models that need no file.
 *
 * @module
 */
import type { ClassificationTask, Graph } from "./graph.ts";

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
  task: Pick<ClassificationTask, "channels" | "height" | "width"> & { readonly classes: number },
  widths: SeedWidths = { conv1: 32, conv2: 64, fc1: 128 },
): Graph {
  const conv = { kind: "conv2d", kernel: 3, stride: 1, padding: 1, bias: true } as const;
  const pool = { kind: "maxpool2d", kernel: 2, stride: 2, padding: 0 } as const;
  const { channels, height, width, classes } = task;
  return {
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
      { kind: "linear", name: "fc2", outFeatures: classes, bias: true },
    ],
  };
}
