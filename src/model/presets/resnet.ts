/**
 * Residual networks of basic blocks (He et al. 2015, arXiv 1512.03385) for small images: a 3 x 3 stem of stride 1
 * without pooling, stages that halve the sides, global average pooling, a linear layer.
 *
 * @module
 */
import { type Graph, parseGraph } from "../graph.ts";
import { countTaskClasses, makeFor, type PresetTask } from "./task.ts";

/** The form of a residual network. */
export interface ResnetForm {
  /** The name of the model. */
  readonly name: string;
  /** Channels of the stem. */
  readonly stem: number;
  /** Channels and blocks of each stage; all but the first halve the sides. */
  readonly stages: readonly { readonly channels: number; readonly blocks: number }[];
  /**
   * The shortcut of a block whose output has another shape than its input. `pad`: every other pixel, with channels of
   * zeros before and after (option A, no parameters). `projection`: a 1 x 1 convolution with batch norm (option B).
   */
  readonly shortcut: "pad" | "projection";
  /** The last part of a projection's name in its block, `downsample` in torchvision. */
  readonly projection?: string;
  /** The name of the last layer, such as `linear` or `fc`. */
  readonly head: string;
}

/** The CIFAR-10 networks of the paper's section 4.2: 6 n + 2 layers, n blocks of 16, 32 and 64 channels each. */
export function cifarResnetForm(depth: number): ResnetForm {
  const blocks = (depth - 2) / 6;
  const stages = [16, 32, 64].map((channels) => ({ channels, blocks }));
  return { name: `resnet${depth}`, stem: 16, stages, shortcut: "pad", head: "linear" };
}

/** ResNet-18 under torchvision's names with the stem for small images: 3 x 3 with stride 1, and no max pooling. */
export const resnet18Form: ResnetForm = {
  name: "resnet18-cifar",
  stem: 64,
  stages: [64, 128, 256, 512].map((channels) => ({ channels, blocks: 2 })),
  shortcut: "projection",
  head: "fc",
};

/**
 * A residual network for images (C, H, W). Parameters have PyTorch's names: `conv1`, `bn1`, `layer1.0.conv1`, ...
 *
 * @throws {ConfigError} If a width is not a possible channel count.
 */
export function residualNetwork(form: ResnetForm, task: PresetTask): Graph {
  const { name, stem, head } = form, { channels, height, width } = task;
  const layers: Layer[] = [
    ...convolutionAndNorm("conv1", "bn1", { outChannels: stem, stride: 1 }),
    { kind: "relu", name: "relu1" },
  ];
  let inChannels = stem;
  for (const [s, { channels: outChannels, blocks }] of form.stages.entries()) {
    for (let b = 0; b < blocks; b++) {
      const stride = s > 0 && b === 0 ? 2 : 1;
      const input = layers[layers.length - 1].name;
      layers.push(...basicBlock(form, `layer${s + 1}.${b}`, { input, inChannels, outChannels, stride }));
      inChannels = outChannels;
    }
  }
  layers.push({ kind: "globalavgpool2d", name: "pool" }, {
    kind: "linear",
    name: head,
    outFeatures: countTaskClasses(task),
  });
  return makeFor(task, parseGraph({ name, input: { channels, height, width }, layers }, `preset ${name}`));
}

/** A layer as in a model file; missing fields take their defaults. */
type Layer = { readonly kind: string; readonly name: string } & Readonly<Record<string, unknown>>;

/** A 3 x 3 convolution without bias and its batch norm. */
function convolutionAndNorm(
  name: string,
  norm: string,
  sizes: { readonly outChannels: number; readonly stride: number },
): readonly Layer[] {
  return [
    { kind: "conv2d", name, kernel: 3, padding: 1, bias: false, ...sizes },
    { kind: "batchnorm2d", name: norm },
  ];
}

/** relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)). */
function basicBlock(
  { shortcut, projection = "downsample" }: ResnetForm,
  block: string,
  { input, inChannels, outChannels, stride }: {
    readonly input: string;
    readonly inChannels: number;
    readonly outChannels: number;
    readonly stride: number;
  },
): readonly Layer[] {
  const takes = { inputs: [input] };
  const [first, ...rest] = convolutionAndNorm(`${block}.conv1`, `${block}.bn1`, { outChannels, stride });
  const layers: Layer[] = [
    first,
    ...rest,
    { kind: "relu", name: `${block}.relu1` },
    ...convolutionAndNorm(`${block}.conv2`, `${block}.bn2`, { outChannels, stride: 1 }),
  ];
  let added = input;
  if (stride !== 1 || inChannels !== outChannels) {
    if (shortcut === "pad") {
      layers.push({ kind: "subsample", name: `${block}.shortcut`, ...takes, stride, outChannels });
    } else {
      const name = `${block}.${projection}`;
      layers.push(
        { kind: "conv2d", name: `${name}.0`, ...takes, outChannels, kernel: 1, stride, bias: false },
        { kind: "batchnorm2d", name: `${name}.1` },
      );
    }
    added = layers[layers.length - 1].name;
  }
  layers.push(
    { kind: "add", name: `${block}.add`, inputs: [`${block}.bn2`, added] },
    { kind: "relu", name: `${block}.relu2` },
  );
  return layers;
}
