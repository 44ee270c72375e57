/**
 * VGG networks (Simonyan and Zisserman 2014, arXiv 1409.1556) with batch norm.
 *
 * @module
 */
import { type Graph, parseGraph } from "../graph.ts";
import { countTaskClasses, makeFor, type PresetTask } from "./task.ts";

/** Output channels of VGG16's 3 x 3 convolutions, grouped by max poolings. */
const vgg16Groups = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]] as const;

/**
 * VGG16 with batch norm and one linear layer, for images of 32 x 32 and above. Parameters have the names of a PyTorch
 * network with a sequence `features` and a layer `classifier`: `features.0` is the first convolution, `features.1`
 * its batch norm, `features.2` its ReLU.
 */
export function vgg16(task: PresetTask): Graph {
  const { channels, height, width } = task;
  const kinds = vgg16Groups.flatMap((group) => [
    ...group.flatMap((outChannels) => [
      { kind: "conv2d", outChannels, kernel: 3, padding: 1 },
      { kind: "batchnorm2d" },
      { kind: "relu" },
    ]),
    { kind: "maxpool2d", kernel: 2, stride: 2 },
  ]);
  const layers = [
    ...kinds.map((layer, i) => ({ ...layer, name: `features.${i}` })),
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "classifier", outFeatures: countTaskClasses(task) },
  ];
  const name = "vgg16-cifar";
  return makeFor(task, parseGraph({ name, input: { channels, height, width }, layers }, `preset ${name}`));
}
