/**
 * A model on a device: train it, evaluate it, ask for the confidence in its parameters, prune it, save it.
 *
 * @module
 */
import type { Dataset, ImageSplit } from "../data/dataset.ts";
import { ShapeError } from "../errors.ts";
import type { Files } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import { DeviceImages } from "../gpu/images.ts";
import { type NamedParameters, Network } from "../gpu/network.ts";
import { SlotPool } from "../gpu/slots.ts";
import { decodeModel, encodeModel } from "../io/model_file.ts";
import type { ProductChooser } from "../kernels/gemm.ts";
import { checkGraphFits, type Graph } from "../model/graph.ts";
import type { Footprint } from "../plan/footprint.ts";
import { sgd } from "../plan/optimizer.ts";
import { type CompactionReport, compactNetwork } from "../prune/compact_network.ts";
import type { Prior } from "../prune/confidence.ts";
import type { Criterion } from "../prune/criteria.ts";
import { needsGradients, prunableTensors } from "../prune/criteria.ts";
import { type PruneGoal, type PruneOutcome, pruneUntilStable } from "../prune/loop.ts";
import type { LayerCount } from "../prune/mask.ts";
import { type LayerConfidence, Pruner } from "../prune/pruner.ts";
import { type Evaluation, type Evaluator, openEvaluator } from "../train/evaluate.ts";
import type { TrainOptions, TrainResult, TrainSettings } from "../train/settings.ts";
import { trainingFootprint } from "../train/step_programs.ts";
import { train } from "../train/trainer.ts";

/** What a model needs to know of its data: sizes, class names, and the mean and deviation of each channel. */
export type ModelTask = Pick<Dataset, "name" | "channels" | "height" | "width" | "classes" | "mean" | "std">;

/** How a phase of training runs; what is left out is as in `trainDefaults`. */
export interface ModelTrainOptions extends Partial<TrainSettings> {
  /** The model whose predictions are learned from, with `distillation`; on the same device. */
  readonly teacher?: Model;
  /** The examples that tell the best epoch, with `earlyStopping`. */
  readonly validation?: ImageSplit;
}

/** Training unless told otherwise. */
export const trainDefaults: TrainSettings = {
  epochs: 8,
  batch: 64,
  learningRate: 0.02,
  optimizer: sgd({ weightDecay: 5e-4 }),
  seed: 0,
};

/** How weights are scored. */
export interface ScoreOptions {
  /** What weights are scored by; `confidence` where left out. */
  readonly criterion?: Criterion;
  /** How the prior precision of the confidence is found; `evidence` where left out. */
  readonly prior?: Prior;
  /** Examples that the parameters were trained on, whose information the confidence counts. */
  readonly examples: number;
  /** Seed of the random criterion. */
  readonly seed?: number;
}

/** How a model is pruned. */
export interface ModelPruneOptions extends ScoreOptions {
  /** A fraction of the weights to remove, or the least signal to noise z of a weight that stays. */
  readonly goal: PruneGoal;
  /** Rounds at most; 3 where left out. */
  readonly rounds?: number;
  /** Examples that scores are computed on; training must not have seen them. */
  readonly calibration: ImageSplit;
  /** Called to train what is kept; the round counts from 1. */
  readonly finetune: (round: number) => Promise<unknown>;
  /** Examples that accuracy is measured on after each step of a round. */
  readonly test: ImageSplit;
}

/** Parameters and masks as they were at a moment, on the host. */
export interface ModelState {
  /** Parameters and statistics by full name, in PyTorch's order. */
  readonly parameters: NamedParameters;
  /** Masks of the prunable weights by full name: 1 keeps, 0 removes. */
  readonly masks: NamedParameters;
}

/** Rows of a batch in evaluation. */
export const evaluationBatch = 256;

/** A model on a device. Dispose of it to free its memory; the device stays open. */
export class Model {
  #network: Network;
  readonly #slots: SlotPool;
  readonly #choose: ProductChooser;
  readonly #images = new Map<ImageSplit, DeviceImages[]>();
  readonly #evaluators = new Map<ImageSplit, Evaluator>();
  #pruner: Pruner | undefined;

  /**
   * A model with its first values drawn from a seed.
   *
   * @throws {ShapeError} Where the graph does not fit the task, or a layer its input.
   */
  constructor(
    readonly gpu: Gpu,
    graph: Graph,
    { task, seed = 0, choose = gpu.choose }: {
      readonly task: ModelTask;
      readonly seed?: number;
      readonly choose?: ProductChooser;
    },
  ) {
    checkGraphFits(graph, task);
    this.task = task;
    this.#network = new Network(gpu, graph, seed);
    this.#slots = new SlotPool(gpu);
    this.#choose = choose;
  }

  /** The task that the model was made for. */
  readonly task: ModelTask;

  /** The layers; fewer and narrower ones after `compact`. */
  get graph(): Graph {
    return this.network.graph;
  }

  /**
   * The state on the device.
   *
   * @internal
   */
  get network(): Network {
    return this.#network;
  }

  /**
   * Trains in place; afterwards the values are the running mean of the last quarter of the steps, or as the options'
   * schedule and early stopping say.
   *
   * @throws {NumericError} Where a loss or value is not finite; the values are then the last good ones.
   */
  train(split: ImageSplit, options: ModelTrainOptions = {}): Promise<TrainResult> {
    const settings = { ...this.#trainOptions(options), slots: this.#slots };
    return train(this.network, this.#imagesOf(split, settings.batch), settings);
  }

  /** The device memory that training on a split needs at its peak, by what it is for. */
  footprint(split: ImageSplit, options: ModelTrainOptions = {}): Footprint {
    const settings = this.#trainOptions(options);
    return trainingFootprint(this.network, this.#imagesOf(split, settings.batch), settings);
  }

  /** Measures loss, accuracy, confusion counts and predictions on a split. */
  async evaluate(split: ImageSplit): Promise<Evaluation> {
    return await (await this.prepareEvaluation(split)).evaluate();
  }

  /**
   * Uploads a split and compiles what evaluation on it needs, once, so that `evaluate` only has to run it.
   *
   * @internal
   */
  async prepareEvaluation(split: ImageSplit): Promise<Evaluator> {
    let evaluator = this.#evaluators.get(split);
    if (!evaluator) {
      const tools = { choose: this.#choose, slots: this.#slots };
      evaluator = await openEvaluator(this.network, this.#imagesOf(split), tools);
      this.#evaluators.set(split, evaluator);
    }
    return evaluator;
  }

  /** Scores every prunable weight at the present values on examples that training has not seen. */
  async score(calibration: ImageSplit, options: ScoreOptions): Promise<void> {
    const { criterion = "confidence", prior = "evidence", examples, seed = 0 } = options;
    this.network.copyArena("values", "mean");
    if (needsGradients(criterion)) {
      const images = this.#imagesOf(calibration);
      await this.pruner.accumulate(images, { choose: this.#choose, slots: this.#slots });
    }
    await this.pruner.score(criterion, { examples, seed, prior });
  }

  /** Computes the confidence in every prunable weight: by name in PyTorch's order, and how it is distributed. */
  async confidence(
    calibration: ImageSplit,
    options: Omit<ScoreOptions, "criterion">,
  ): Promise<{ readonly values: NamedParameters; readonly layers: readonly LayerConfidence[] }> {
    await this.score(calibration, { ...options, criterion: "confidence" });
    const layers = await this.pruner.confidences();
    const all = await this.network.readParameters("confidence");
    const names = prunableTensors(this.network.layout).map(({ fullName }) => fullName);
    return { values: new Map(names.map((name) => [name, all.get(name)!])), layers };
  }

  /**
   * Removes the weights with the smallest scores, in place, until exactly `removed` of all are removed; where more are
   * removed already, they stay removed.
   *
   * @throws {ShapeError} Where there are not so many weights.
   * @throws {ConfigError} Where `score` was not called before.
   */
  async remove(removed: number): Promise<readonly LayerCount[]> {
    const { prunableCount } = this.network.layout;
    if (!Number.isInteger(removed) || removed < 0 || removed > prunableCount) {
      const wanted = `an integer from 0 to ${prunableCount}, the prunable weights of ${this.graph.name}`;
      throw new ShapeError({
        act: "remove weights",
        thing: `${removed}`,
        current: "not a possible count",
        wanted,
      });
    }
    return await this.pruner.remove(removed);
  }

  /**
   * Prunes in rounds of scoring, removal and fine-tuning, until stable or the goal is reached; goes on from the weights
   * that are removed already.
   */
  async prune(options: ModelPruneOptions): Promise<PruneOutcome> {
    const steps = {
      score: () => this.score(options.calibration, options),
      countBelow: (threshold: number) => this.pruner.countBelow(threshold),
      remove: (removed: number) => this.remove(removed),
      finetune: async (round: number) => void await options.finetune(round),
      evaluate: async () => (await this.evaluate(options.test)).accuracy,
    };
    const { goal, rounds = 3 } = options, prunable = this.network.layout.prunableCount;
    const removed = (await this.pruner.count()).reduce((sum, { weights, kept }) => sum + weights - kept, 0);
    return await pruneUntilStable(steps, { goal, prunable, rounds, removed });
  }

  /**
   * Shrinks the model in place by the channels and branches that its mask makes superfluous; what it computes stays.
   *
   * @param examples Examples on which the logits of the masked and the smaller model are compared.
   * @throws {ShapeError} Where there are no examples.
   * @throws {NumericError} Where a logit is not finite; the model then stays as it was.
   * @throws {KernelError} Where logits differ by more than 1e-4 of the largest; the model then stays as it was.
   */
  async compact(examples: ImageSplit): Promise<CompactionReport> {
    const tools = { choose: this.#choose, slots: this.#slots };
    const { network, report } = await compactNetwork(this.network, this.#imagesOf(examples), tools);
    for (const evaluator of this.#evaluators.values()) evaluator[Symbol.dispose]();
    this.#evaluators.clear();
    for (const held of [this.#pruner, this.#slots, this.network]) held?.[Symbol.dispose]();
    this.#pruner = undefined;
    this.#network = network;
    return report;
  }

  /** Copies parameters and masks to the host. */
  async state(): Promise<ModelState> {
    const parameters = await this.network.readParameters("values");
    const all = await this.network.readParameters("mask");
    const names = prunableTensors(this.network.layout).map(({ fullName }) => fullName);
    return { parameters, masks: new Map(names.map((name) => [name, all.get(name)!])) };
  }

  /** Puts parameters and masks back as they were. */
  restore({ parameters, masks }: ModelState): void {
    this.network.writeParameters(parameters);
    this.network.writeMask(masks);
  }

  /** Another model of the same graph and task, with its first values drawn anew; `restore` gives it this one's. */
  copy(): Model {
    return new Model(this.gpu, this.graph, { task: this.task, choose: this.#choose });
  }

  /** The model as the bytes of a safetensors file, which `load_state_dict` of PyTorch takes. */
  async encode(): Promise<Uint8Array> {
    const { mean, std, classes } = this.task;
    const state = await this.state();
    return encodeModel({ graph: this.graph, ...state, normalization: { mean, std }, classes });
  }

  /**
   * Saves the model with its masks, whole or not at all.
   *
   * @throws {FileError} Where the file cannot be written.
   */
  async save(path: string, files: Files): Promise<void> {
    await files.write(path, await this.encode());
  }

  /**
   * Loads a model that was saved.
   *
   * @throws {FormatError} Where the file is damaged or was not written by winnow.
   */
  static async load(gpu: Gpu, path: string, files: Files): Promise<Model> {
    const stored = decodeModel(await files.read(path), path);
    const { graph, normalization, classes } = stored;
    const model = new Model(gpu, graph, { task: { name: path, ...graph.input, ...normalization, classes } });
    model.restore(stored);
    return model;
  }

  /**
   * What scores and removes this model's weights.
   *
   * @internal
   */
  get pruner(): Pruner {
    return this.#pruner ??= new Pruner(this.network);
  }

  #trainOptions({ teacher, validation, ...settings }: ModelTrainOptions): Omit<TrainOptions, "slots"> {
    return {
      ...trainDefaults,
      ...settings,
      choose: this.#choose,
      ...(teacher ? { teacher: teacher.network } : {}),
      ...(validation ? { validation: this.#imagesOf(validation) } : {}),
    };
  }

  /** A split on the device, for batches of as many rows as wanted. */
  #imagesOf(split: ImageSplit, rows = evaluationBatch): DeviceImages {
    const held = this.#images.get(split) ?? [];
    const fitting = held.find(({ mostRows }) => mostRows >= Math.min(rows, split.count));
    if (fitting) return fitting;
    const mostRows = Math.max(rows, evaluationBatch);
    const images = new DeviceImages(this.gpu, split, {
      dataset: this.task,
      batch: evaluationBatch,
      mostRows,
    });
    this.#images.set(split, [...held, images]);
    return images;
  }

  /** Frees all that the model holds on the device; it is not to be used afterwards. */
  [Symbol.dispose](): void {
    for (const evaluator of this.#evaluators.values()) evaluator[Symbol.dispose]();
    for (const images of [...this.#images.values()].flat()) images[Symbol.dispose]();
    this.#pruner?.[Symbol.dispose]();
    this.#slots[Symbol.dispose]();
    this.network[Symbol.dispose]();
  }
}
