/**
 * Reference values of a trained network on the test images of a data set: logits, predictions, accuracy, and what
 * global magnitude pruning of all its weights leaves of it.
 *
 * @module
 */
import { tensorRef } from "../kernels/buffer_ref.ts";
import { type Dataset, type ImageSplit, takeSplit } from "../data/dataset.ts";
import { loadDataset } from "../data/locate.ts";
import { FileError, ShapeError } from "../errors.ts";
import { dirname, type Files } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import { DeviceImages } from "../gpu/images.ts";
import { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { readFloats } from "../gpu/readback.ts";
import { SlotPool } from "../gpu/slots.ts";
import { rowsFromQuads } from "../io/quads.ts";
import { readWeights } from "../io/read_weights.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { checkGraphFits } from "../model/graph.ts";
import { lowerForward } from "../plan/forward.ts";
import { findLogits } from "../plan/plan.ts";
import { prunableTensors } from "../prune/score/criteria.ts";
import { Pruner } from "../prune/pruner.ts";
import { type Evaluation, openEvaluator } from "../train/evaluate.ts";
import { type Check, type CheckProgress, compare, type Goldens } from "./goldens.ts";

/** Where the network and the images of reference values are found. */
export interface ModelSources {
  /** The file system. */
  readonly files: Files;
  /** The weights; by default `../models/NAME-cifar10.safetensors` beside the folder of `NAME.safetensors`. */
  readonly model?: string;
  /** The folder of the data set; by default `../data/cifar-10-batches-bin` beside the folder of the reference values. */
  readonly data?: string;
}

/** What these cases run on. */
export interface ResnetBench {
  readonly gpu: Gpu;
  readonly choose: ProductChooser;
  readonly sources: ModelSources;
  readonly onProgress: CheckProgress;
}

/** Rows of a batch in evaluation. */
const batch = 256;

/** What the format allows: largest error of a logit, other predictions, and of an accuracy. */
const allowedLogit = 1e-3, allowedPredictions = 2, allowedAccuracy = 0.003;

/**
 * Largest relative error of a pruning threshold: it lies between the last weight that goes and the first that stays,
 * which are as close as 268,336 weights lie.
 */
const allowedThreshold = 1e-4;

const prunedPattern = /^magnitude_global_/;

/** True where a file holds the predictions of a whole network. */
export function hasResnetCase(goldens: Goldens): boolean {
  return goldens.has("predictions");
}

/**
 * Checks a network against its reference values: `logits` of the first images where the file has them, `predictions` of
 * all, `accuracy_dense`, and each `magnitude_global_FRACTION` of the metadata.
 *
 * @throws {FileError} Where the weights or the data set are not found.
 * @throws {FormatError} Where a file is damaged, or the weights are of no known architecture.
 * @throws {ShapeError} Where the weights do not fit the data set, or it has fewer images than predictions.
 */
export async function checkResnet(bench: ResnetBench, goldens: Goldens): Promise<readonly Check[]> {
  const { gpu, choose, onProgress } = bench;
  const predictions = goldens.integers("predictions");
  const dataset = await openDataset(bench.sources, goldens), { test } = dataset;
  if (test.count < predictions.length) {
    const current = `${test.count} test images`;
    const wanted = `${predictions.length}, the predictions of ${goldens.name}`;
    throw new ShapeError({ act: "use data set", thing: dataset.source, current, wanted });
  }
  const split = takeSplit(test, predictions.length);
  const { network, normalized } = await openNetwork(bench, goldens, dataset);
  using _ = network;
  using slots = new SlotPool(gpu);
  using images = new DeviceImages(gpu, split, { dataset: normalized, batch });
  const tools = { choose, slots };
  const checks: Check[] = [];
  if (goldens.has("logits")) {
    checks.push(await checkLogits({ network, split, dataset: normalized }, goldens, tools));
  }
  using evaluator = await openEvaluator(network, images, tools);
  const evaluate = (name: string) =>
    evaluator.evaluate({ onProgress: (progress) => onProgress(`evaluate ${name}`, progress) });
  const dense = await evaluate("dense");
  const differing = predictions.filter((prediction, i) => prediction !== dense.predictions[i]).length;
  checks.push(within("predictions that differ", differing, allowedPredictions));
  if (goldens.keys.includes("accuracy_dense")) {
    const wanted = goldens.number("accuracy_dense", NaN);
    checks.push(within("accuracy dense", Math.abs(dense.accuracy - wanted), allowedAccuracy));
  }
  return [...checks, ...await checkMagnitude(network, goldens, evaluate)];
}

/** A check of an error that has its own bound. */
function within(name: string, error: number, allowed: number): Check {
  return { name, error, allowed, passed: error <= allowed };
}

/** The logits of the first images, one batch. */
async function checkLogits(
  { network, split, dataset }: {
    readonly network: Network;
    readonly split: ImageSplit;
    readonly dataset: Dataset;
  },
  goldens: Goldens,
  { choose, slots }: { readonly choose: ProductChooser; readonly slots: SlotPool },
): Promise<Check> {
  const { gpu, graph } = network;
  const [rows, classes] = goldens.shape("logits", 2), first = takeSplit(split, rows);
  using images = new DeviceImages(gpu, first, { dataset, batch: rows });
  const plan = lowerForward(graph, { batch: rows, choose, images: { augmentation: "none" } });
  using step = await preparePlan(plan, { network, slots, input: (name) => images.input(name) });
  images.select(Uint32Array.from({ length: rows }, (_, i) => i));
  step.program.run({ seed: 0 });
  const quads = await readFloats(gpu, step.bind(tensorRef(findLogits(plan))).buffer);
  const got = rowsFromQuads(quads, rows, classes), want = goldens.floats("logits");
  const { name, error } = compare("logits", { got, want, relative: allowedLogit });
  return within(name, error, allowedLogit);
}

/** Prunes by magnitude to each fraction of the file, ascending, without training in between. */
async function checkMagnitude(
  network: Network,
  goldens: Goldens,
  evaluate: (name: string) => Promise<Evaluation>,
): Promise<readonly Check[]> {
  const cases = goldens.keys.filter((key) => prunedPattern.test(key))
    .map((name) => ({ name, pruned: goldens.parameter(name, "pruned", NaN) }))
    .sort((a, b) => a.pruned - b.pruned);
  if (cases.length === 0) return [];
  const { prunableCount } = network.layout;
  const dense = await network.readParameters("values");
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", { examples: 1, seed: 0, prior: "evidence" });
  const checks: Check[] = [];
  for (const { name, pruned } of cases) {
    const of = goldens.parameter(name, "of", prunableCount);
    checks.push(within(`${name} of`, Math.abs(of - prunableCount), 0));
    if (!Number.isInteger(pruned) || pruned < 0 || pruned > prunableCount) {
      const wanted = `a number up to ${prunableCount}, the weights of ${network.graph.name}`;
      throw new ShapeError({ act: "prune", thing: `${goldens.name}, ${name}`, current: `${pruned}`, wanted });
    }
    const layers = await pruner.remove(pruned);
    const removed = layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0);
    checks.push(within(`${name} pruned`, Math.abs(removed - pruned), 0));
    const masks = await network.readParameters("mask");
    const largest = prunableTensors(network.layout).reduce((max, { fullName }) => {
      const mask = masks.get(fullName)!;
      return dense.get(fullName)!.reduce(
        (max, value, i) => mask[i] === 0 ? Math.max(max, Math.abs(value)) : max,
        max,
      );
    }, 0);
    const wanted = goldens.parameter(name, "threshold", largest);
    const threshold = { got: [largest], want: [wanted], relative: allowedThreshold, floor: 0 };
    checks.push(compare(`${name} threshold`, threshold));
    const { accuracy } = await evaluate(name);
    const known = goldens.parameter(name, "accuracy", accuracy);
    checks.push(within(`${name} accuracy`, Math.abs(accuracy - known), allowedAccuracy));
  }
  return checks;
}

/** The network of the reference values on the device, and the data set as it takes it. */
async function openNetwork(
  { gpu, sources }: ResnetBench,
  goldens: Goldens,
  dataset: Dataset,
): Promise<{ readonly network: Network; readonly normalized: Dataset }> {
  const { files } = sources, folder = dirname(goldens.name);
  const stem = goldens.name.replaceAll("\\", "/").split("/").at(-1)!.replace(/\.safetensors$/, "");
  const path = sources.model ?? `${folder}/../models/${stem}-cifar10.safetensors`;
  if (await files.sizeBytes(path) === undefined) {
    const current = `its weights are not at ${path}`;
    throw new FileError({ act: "verify", thing: goldens.name, current, wanted: "their path by --model" });
  }
  const { graph, parameters, normalization } = await readWeights(path, { files, size: dataset });
  checkGraphFits(graph, dataset);
  const network = new Network(gpu, graph, 0);
  network.writeParameters(parameters);
  return { network, normalized: { ...dataset, ...normalization } };
}

async function openDataset({ files, data }: ModelSources, { name }: Goldens): Promise<Dataset> {
  const folder = data ?? `${dirname(name)}/../data/cifar-10-batches-bin`;
  if (await files.list(folder) === undefined) {
    const current = `its images are not in ${folder}`;
    throw new FileError({ act: "verify", thing: name, current, wanted: "their folder by --data" });
  }
  return await loadDataset({ folder, files, allowDownload: false, note: () => {} });
}
