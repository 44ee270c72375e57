/**
 * A model on a device: train it, evaluate it, ask for the confidence in its parameters, prune it, save it.
 *
 * @module
 */
import type { Split } from "../data/dataset.ts";
import { ShapeError } from "../errors.ts";
import type { Files } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import { type NamedParameters, Network } from "../gpu/network.ts";
import { SlotPool } from "../gpu/slots.ts";
import { decodeModel, encodeModel, type WeightStore } from "../io/model_file.ts";
import type { ProductChooser } from "../kernels/gemm.ts";
import { checkGraphFits, type Graph } from "../model/graph.ts";
import type { Footprint } from "../plan/footprint.ts";
import { type CompactionReport, compactNetwork } from "../prune/compact_network.ts";
import { needsGradients, prunableTensors } from "../prune/criteria.ts";
import { type PruneOutcome, pruneUntilStable } from "../prune/loop.ts";
import type { LayerCount } from "../prune/mask.ts";
import type { LayerConfidence } from "../prune/layer_confidence.ts";
import type { RemovalOptions } from "../prune/removal.ts";
import { Pruner } from "../prune/pruner.ts";
import {
  pruneByReplacement,
  replaceKept,
  type ReplacementStage,
} from "../prune/replace/prune_by_replacement.ts";
import { Replacement } from "../prune/replace/replacement.ts";
import type { LayerReplacement, ReplaceSettings } from "../prune/replace/replace_settings.ts";
import { type Evaluation, type Evaluator, openEvaluator } from "../train/evaluate.ts";
import { recalibrate } from "../train/recalibrate.ts";
import type { TrainOptions, TrainResult } from "../train/settings.ts";
import { trainingFootprint } from "../train/step_programs.ts";
import { train } from "../train/trainer.ts";
import {
  type ModelPruneOptions,
  type ModelRecalibrateOptions,
  type ModelRefitOptions,
  type ModelReplaceOptions,
  type ModelState,
  type ModelTask,
  type ModelTrainOptions,
  type ScoreOptions,
  trainDefaults,
} from "./model_options.ts";
import { replacementSteps } from "./replacement_steps.ts";
import { pruneSteps } from "./prune_steps.ts";
import { SplitImages } from "./split_images.ts";

/** A model on a device. Dispose of it to free its memory; the device stays open. */
export class Model {
  #network: Network;
  readonly #slots: SlotPool;
  readonly #choose: ProductChooser;
  readonly #images: SplitImages;
  readonly #evaluators = new Map<Split, Evaluator>();
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
    this.#images = new SplitImages(gpu, task);
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
  train(split: Split, options: ModelTrainOptions = {}): Promise<TrainResult> {
    const settings = { ...this.#trainOptions(options), slots: this.#slots };
    return train(this.network, this.#images.of(split, settings.batch), settings);
  }

  /**
   * Measures batch norm's running statistics anew on a split, as its values or weights were averaged, replaced or
   * removed; a model without batch norm stays as it is.
   *
   * @returns the batches that were measured
   */
  recalibrate(split: Split, options: ModelRecalibrateOptions = {}): Promise<number> {
    const { batch, seed } = trainDefaults, settings = { batch, seed, ...options, ...this.#tools };
    return recalibrate(this.network, this.#images.of(split, settings.batch), settings);
  }

  /** The device memory that training on a split needs at its peak, by what it is for. */
  footprint(split: Split, options: ModelTrainOptions = {}): Footprint {
    const settings = this.#trainOptions(options);
    return trainingFootprint(this.network, this.#images.of(split, settings.batch), settings);
  }

  /** Measures loss, accuracy, confusion counts and predictions on a split. */
  async evaluate(split: Split): Promise<Evaluation> {
    return await (await this.prepareEvaluation(split)).evaluate();
  }

  /**
   * Uploads a split and compiles what evaluation on it needs, once, so that `evaluate` only has to run it.
   *
   * @internal
   */
  async prepareEvaluation(split: Split): Promise<Evaluator> {
    let evaluator = this.#evaluators.get(split);
    if (!evaluator) {
      evaluator = await openEvaluator(this.network, this.#images.of(split), this.#tools);
      this.#evaluators.set(split, evaluator);
    }
    return evaluator;
  }

  /** Scores every prunable weight at the present values on examples that training has not seen. */
  async score(calibration: Split, options: ScoreOptions): Promise<void> {
    const { criterion = "confidence", prior = "evidence", examples, seed = 0, temperature, fisher } = options;
    this.network.copyArena("values", "mean");
    if (needsGradients(criterion)) {
      const images = this.#images.of(calibration);
      const estimate = fisher ? { estimate: fisher, seed } : {};
      await this.pruner.accumulate(images, { ...this.#tools, ...estimate });
    }
    const settings = { examples, seed, prior, ...(temperature === undefined ? {} : { temperature }) };
    await this.pruner.score(criterion, settings);
  }

  /** Computes the confidence in every prunable weight: by name in PyTorch's order, and how it is distributed. */
  async confidence(
    calibration: Split,
    options: Omit<ScoreOptions, "criterion">,
  ): Promise<{ readonly values: NamedParameters; readonly layers: readonly LayerConfidence[] }> {
    await this.score(calibration, { ...options, criterion: "confidence" });
    const layers = await this.pruner.confidences();
    const all = await this.network.readParameters("confidence");
    const names = prunableTensors(this.network.layout).map(({ fullName }) => fullName);
    return { values: new Map(names.map((name) => [name, all.get(name)!])), layers };
  }

  /**
   * Removes what has the smallest scores, in place, until `removed` of all weights are removed: exactly so many, or of
   * groups as few as give at least so many. Where more are removed already, they stay removed.
   *
   * @throws {ShapeError} Where there are not so many weights.
   * @throws {ConfigError} Where `score` was not called before, an option is not possible, or fewer may go.
   */
  async remove(removed: number, options: RemovalOptions = {}): Promise<readonly LayerCount[]> {
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
    return await this.pruner.remove(removed, options);
  }

  /**
   * Prunes in rounds of scoring, removal and fine-tuning, until stable or the goal is reached; goes on from the weights
   * that are removed already.
   *
   * @throws {ConfigError} Where less may go than the goal asks for, or what it takes is not there.
   */
  async prune(options: ModelPruneOptions): Promise<PruneOutcome> {
    const { goal, schedule = "gradual", rounds = 3, allowedDrop } = options;
    return await pruneUntilStable(pruneSteps(this, options), { goal, schedule, rounds, allowedDrop });
  }

  /**
   * Prunes without training: weights are removed in stages, and after each of them those that stay are replaced so that
   * the model's activations come as near as they can to those that it had before. Goes on from the weights that are removed
   * already.
   *
   * @throws {ConfigError} Where stages do not rise to the sparsity, or a number is not positive.
   * @throws {ShapeError} Where the adapter's limits do not allow the samples of a layer.
   * @throws {NumericError} Where activations are not finite; the values are then those of the start.
   */
  async pruneByReplacement(options: ModelReplaceOptions): Promise<readonly ReplacementStage[]> {
    const images = this.#images.of(options.calibration);
    return await pruneByReplacement(this.network, images, replacementSteps(this, options, this.#choose));
  }

  /**
   * Removes weights as asked, and replaces those that stay so that the model's activations come as near as they can to
   * those that it had before.
   *
   * @throws {ConfigError} Where a number is not positive.
   * @throws {ShapeError} Where the adapter's limits do not allow the samples of a layer.
   * @throws {NumericError} Where activations are not finite; the values are then those of the start.
   */
  async replace(
    { calibration, remove, ...settings }: ModelRefitOptions,
  ): Promise<readonly LayerReplacement[]> {
    const options = { ...settings, choose: this.#choose, mask: async () => void await remove() };
    return await replaceKept(this.network, this.#images.of(calibration), options);
  }

  /**
   * Takes the model as it is for what is wanted; after masks were changed, `replace` of what this returns gives the kept
   * weights new values whose activations are nearest to the wanted ones. Dispose of it before the model.
   *
   * @throws {ConfigError} Where a number is not positive.
   * @throws {ShapeError} Where the adapter's limits do not allow the samples of a layer.
   * @internal
   */
  openReplacement(calibration: Split, settings: Partial<ReplaceSettings> = {}): Promise<Replacement> {
    return Replacement.open(this.network, this.#images.of(calibration), {
      ...settings,
      choose: this.#choose,
    });
  }

  /**
   * Shrinks the model in place by the channels and branches that its mask makes superfluous; what it computes stays.
   *
   * @param examples Examples on which the logits of the masked and the smaller model are compared.
   * @throws {ShapeError} Where there are no examples.
   * @throws {NumericError} Where a logit is not finite; the model then stays as it was.
   * @throws {KernelError} Where logits differ by more than 1e-4 of the largest; the model then stays as it was.
   */
  async compact(examples: Split): Promise<CompactionReport> {
    const { network, report } = await compactNetwork(this.network, this.#images.of(examples), this.#tools);
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
    const prunable = new Set(prunableTensors(this.network.layout).map(({ fullName }) => fullName));
    const all = await this.network.readParameters("mask");
    return {
      parameters,
      masks: new Map([...all].filter(([name, mask]) => prunable.has(name) || mask.includes(0))),
    };
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

  /**
   * The model as the bytes of a safetensors file: a dense one, which `load_state_dict` of PyTorch takes, or a sparse one,
   * without the removed weights.
   */
  async encode(store: WeightStore = "dense"): Promise<Uint8Array> {
    const { mean, std, classes } = this.task;
    const state = await this.state();
    return encodeModel({ graph: this.graph, ...state, normalization: { mean, std }, classes }, store);
  }

  /**
   * Saves the model with its masks, whole or not at all.
   *
   * @throws {FileError} Where the file cannot be written.
   */
  async save(path: string, files: Files, store: WeightStore = "dense"): Promise<void> {
    await files.write(path, await this.encode(store));
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

  /** What steps are prepared with. */
  get #tools(): { readonly choose: ProductChooser; readonly slots: SlotPool } {
    return { choose: this.#choose, slots: this.#slots };
  }

  #trainOptions({ teacher, validation, ...settings }: ModelTrainOptions): Omit<TrainOptions, "slots"> {
    return {
      ...trainDefaults,
      ...settings,
      choose: this.#choose,
      ...(teacher ? { teacher: teacher.network } : {}),
      ...(validation ? { validation: this.#images.of(validation) } : {}),
    };
  }

  /** Frees all that the model holds on the device; it is not to be used afterwards. */
  [Symbol.dispose](): void {
    for (const evaluator of this.#evaluators.values()) evaluator[Symbol.dispose]();
    this.#images[Symbol.dispose]();
    this.#pruner?.[Symbol.dispose]();
    this.#slots[Symbol.dispose]();
    this.network[Symbol.dispose]();
  }
}
