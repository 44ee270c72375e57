/**
 * The tree of all keys of a configuration.
 *
 * @module
 */
import { z } from "zod";
import { isWeightsPath } from "../files.ts";
import { imageBounds } from "../shape.ts";
import { pruneTree } from "./prune.ts";
import { trainTree } from "./train.ts";

const path = z.string().min(1);

const data = z.strictObject({
  folder: path.optional().describe(
    "--data: Folder of the data set; by default ./data and the cache folder are searched, then CIFAR-10 is downloaded.",
  ),
  stream: z.enum(["auto", "on", "off"]).default("auto").describe(
    "--stream: Whether examples are loaded into memory first (off) or stay in their files and are read on the way (on); auto leaves in files what memory or the device cannot hold.",
  ),
  limit: z.int().min(0).default(6000).describe("--limit: Training examples to use, 0 for all."),
  testLimit: z.int().min(0).default(2000).describe("--test-limit: Test examples to use, 0 for all."),
  size: z.string().regex(/^[1-9]\d{0,4}(x[1-9]\d{0,4})?$/).optional().meta({
    description:
      "--size: Size that images of folders get, SIDE or WIDTHxHEIGHT; by default that of the network where its file says it, else the size that all images have.",
    wanted: "SIDE or WIDTHxHEIGHT in pixels, such as 64 or 64x48",
  }),
  resize: z.enum(["crop", "stretch", "pad"]).optional().describe(
    "--resize: How images of folders get their size: the middle of each (crop, the default), another shape, or black edges.",
  ),
  testShare: z.number().gt(0).lt(1).optional().describe(
    "--test-share: Share of each class that is held out for test where a folder of images has no test images; by default 0.2.",
  ),
  splitSeed: z.int().min(0).max(2 ** 32 - 1).optional().describe(
    "--split-seed: Chooses those images, and the order in which images of folders are taken; by default 0.",
  ),
  damaged: z.enum(["refuse", "skip"]).optional().describe(
    "--damaged: Whether an image that cannot be read ends the run (refuse, the default) or is left out.",
  ),
  calibration: z.int().min(1).default(1000).describe(
    "--calibration: Training examples held out to score weights on, at most; small data sets give a fifth of what they have.",
  ),
});

const numbersWanted = "a list of numbers, one for each channel, such as [0.485, 0.456, 0.406]";
const channelNumbers = (what: string, short: string) =>
  z.array(z.number()).min(1).optional().meta({ description: `--${short}: ${what}`, wanted: numbersWanted });

/** The files that a network is read from, in words. */
export const modelFiles = "the path of a graph (JSON) or of weights (safetensors or ONNX)";

const model = z.strictObject({
  source: path.default("seed").describe(
    `--model: The network: a preset such as "seed" or "resnet20", or ${modelFiles}.`,
  ),
  weights: path.optional().describe(
    "--weights: Safetensors file of PyTorch's names with weights for a preset or a graph.",
  ),
  preset: path.optional().describe(
    "--preset: Preset that a safetensors file holds the weights of; by default it is recognised from names and shapes.",
  ),
  classes: z.int().min(1).max(imageBounds.classes).optional().describe(
    "--classes: How many classes a network gets that has others, such as those of the data set: its last layer is made anew; by default it keeps those that it has.",
  ),
  mean: channelNumbers(
    "Mean of each channel of the images, 255 being 1; by default the model file's or the data set's.",
    "mean",
  ),
  std: channelNumbers(
    "Standard deviation of each channel of the images, 255 being 1; together with the mean.",
    "std",
  ),
});

const device = z.strictObject({
  adapter: z.enum(["auto", "high-performance", "low-power", "fallback"]).default("auto").describe(
    "--adapter: WebGPU adapter to run on.",
  ),
  readPath: z.enum(["auto", "storage", "texture", "subgroup"]).default("auto").describe(
    "--read-path: How matrix products read their operands; auto takes what is faster on the adapter.",
  ),
  evaluationBatch: z.int().min(1).optional().describe(
    "--evaluation-batch: Examples that evaluation takes at a time; by default 256, or as many as the adapter can hold.",
  ),
  tune: z.enum(["off", "quick", "full"]).default("quick").describe(
    "--tune: Time how matrix products run fastest on this adapter, once; the choices are kept in the cache folder.",
  ),
});

const validation = z.strictObject({
  examples: z.int().min(1).describe(
    "--validation: Training examples held out for validation: they choose the best epoch, the rounds to undo, the temperature and the network of confidence auto.",
  ),
  patience: z.int().min(0).default(0).describe(
    "--patience: Epochs without a better one that end a phase, 0 for no end.",
  ),
  measure: z.enum(["accuracy", "loss"]).default("accuracy").describe(
    "--stop-on: What makes an epoch better.",
  ),
  allowedDrop: z.number().min(0).lt(1).optional().describe(
    "--allowed-drop: Undo a round after which accuracy on the validation examples is more than this fraction lower than before pruning.",
  ),
});

const output = z.strictObject({
  folder: path.optional().describe(
    "--out: Folder that the report and the pruned model are written to; by default a new one, out/DATE-NAME.",
  ),
  force: z.boolean().default(false).describe(
    "--force: Write into the output folder although it is not empty.",
  ),
  checkpointEvery: z.int().min(0).optional().describe(
    "--checkpoint-every: Training steps between two checkpoints in the output folder, 0 for none; by default one every 5 minutes and after training.",
  ),
  compact: z.boolean().optional().meta({
    description:
      "--compact: Take empty channels out of the pruned model, and measure the time of a batch before and after; not beside a pattern.",
    without:
      "Keep the empty channels of the pruned model, and so the network's shapes. Beside a pattern they are always kept.",
    default: true,
  }),
  store: z.enum(["dense", "sparse"]).default("dense").describe(
    "--store: Write all weights, as PyTorch loads them, or leave removed ones out of the file.",
  ),
  onnx: z.boolean().optional().describe(
    "--onnx: Write the pruned model as ONNX too, as model.onnx, or do not. By default it is written where the network was read from ONNX.",
  ),
});

/** The tree of all keys, without the rules on what goes together. */
export const tree = z.strictObject({
  seed: z.int().min(0).max(2 ** 32 - 1).default(0).describe(
    "--seed: Seed of initial weights, batch order, splits and augmentation.",
  ),
  data: data.prefault({}),
  model: model.prefault({}),
  device: device.prefault({}),
  train: trainTree.prefault({}),
  validation: validation.optional().describe("Hold training examples out for validation."),
  prune: pruneTree.prefault({}),
  output: output.prefault({}),
});

/** All keys as they were given, with the defaults that follow from nothing else. */
export type Tree = z.output<typeof tree>;

/** True where the model starts from weights of a file. */
export function hasWeights({ weights, source }: Pick<Tree["model"], "weights" | "source">): boolean {
  return weights !== undefined || isWeightsPath(source);
}
