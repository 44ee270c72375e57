/**
 * A model on a device. The other files of this folder do what its methods say.
 *
 * @module
 */
import type { ImageTask, Split } from "../data/split.ts";
import { type Files, isOnnxPath } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import { checkSavePath, decodeModel, type WeightStore } from "../io/model_file.ts";
import type { Graph, GraphOptions } from "../model/graph.ts";
import type { Footprint } from "../plan/footprint.ts";
import type { CompactOptions } from "../prune/compact/compact.ts";
import type { CompactionReport } from "../prune/compact/compact_network.ts";
import type { PruneGoal } from "../prune/goal.ts";
import { coupleChannels, type Coupling } from "../prune/groups/coupling.ts";
import type { PruneOutcome } from "../prune/loop.ts";
import type { LayerCount } from "../prune/mask.ts";
import type { RefitStage } from "../prune/refit/prune_with_refit.ts";
import type { LayerRefitReport } from "../prune/refit/settings.ts";
import type { RemovalOptions } from "../prune/select/removal.ts";
import type { CallOptions } from "../train/call_options.ts";
import type { Evaluation } from "../train/evaluate.ts";
import type { Predictions } from "../train/predict.ts";
import type { TrainResult } from "../train/phase.ts";
import { evaluateModel, predictWith } from "./evaluate_model.ts";
import * as footprints from "./footprints.ts";
import { filesFor } from "./host.ts";
import { ModelCore, setCore } from "./model_core.ts";
import type {
  Confidences,
  ModelOptions,
  ModelPredictOptions,
  ModelPruneOptions,
  ModelRecalibrateOptions,
  ModelState,
  ModelTrainOptions,
  NamedTensor,
  PruneWithRefitOptions,
  PruningMemoryOptions,
  RefitOptions,
  ScoreOptions,
} from "./model_options.ts";
import { compactModel, pruneModel, pruneModelWithRefit, refitModel } from "./prune_model.ts";
import {
  encodeModelAsOnnx,
  encodeModelState,
  readModelState,
  readTensor,
  restoreModel,
} from "./read_model.ts";
import { measureConfidence, removeWeights, rescoreModel, scoreModel } from "./score_model.ts";
import { recalibrateModel, trainModel } from "./train_model.ts";

/**
 * A model on a device. Dispose of it to free its memory; the device stays open.
 *
 * Calls on one model run one after the other, in the order in which they were made. A function that is passed to a call
 * and that the call waits for, such as `finetune` of `prune`, may make calls too.
 *
 * Calls that take long have the options `signal`, which ends them with its reason, and `onProgress`. A call that is ended
 * before its turn leaves the model as it is. What else it leaves stands with the call.
 */
export class Model {
  readonly #core: ModelCore;

  /**
   * A model with its first values drawn from a seed.
   *
   * @throws {ShapeError} If the graph does not fit the task, a layer its input, or mean and deviation the channels.
   * @throws {ConfigError} If an option is not possible, or nothing says what its images and classes are.
   * @throws {StateError} If the device was disposed of.
   */
  constructor(gpu: Gpu, graph: Graph, options: ModelOptions = {}) {
    this.#core = new ModelCore(gpu, graph, options);
    setCore(this, this.#core);
  }

  /** The device. */
  get gpu(): Gpu {
    return this.#core.gpu;
  }

  /** The task that the model was made for. */
  get task(): ImageTask {
    return this.#core.task;
  }

  /** The layers; fewer and narrower ones after `compact`. */
  get graph(): Graph {
    return this.#core.graph;
  }

  /** The fraction of its prunable weights that are removed, in [0, 1]; what `compact` takes out counts no longer. */
  get sparsity(): number {
    return this.#core.sparsity;
  }

  /** How many examples its values were trained on; undefined where it was not trained, and nobody told. */
  get examples(): number | undefined {
    return this.#core.examples;
  }

  /**
   * Trains in place; afterwards the values are the running mean of the last quarter of the steps, or as the options'
   * schedule and early stopping say. Ended by its signal, it leaves the values of the last step.
   *
   * @throws {ShapeError} If a split is not what its interface says, or the device cannot hold the batch.
   * @throws {ConfigError} If an option is not possible, or what it needs was not given.
   * @throws {NumericError} If a loss or value is not finite; the values are then the last good ones.
   * @throws {StateError} If the model, its teacher or its device was disposed of, before or meanwhile.
   */
  train(split: Split, options: ModelTrainOptions = {}): Promise<TrainResult> {
    return trainModel(this.#core, split, options);
  }

  /**
   * Measures batch norm's running statistics anew on a split, as its values or weights were averaged, refitted or
   * removed; a model without batch norm stays as it is. Ended by its signal, it leaves the statistics of before.
   *
   * @returns the batches that were measured
   * @throws {ShapeError} If the split is not what its interface says.
   * @throws {ConfigError} If an option is not possible.
   * @throws {NumericError} If what is measured is not finite; the statistics are then those of before.
   * @throws {StateError} If the model or its device was disposed of, before or meanwhile.
   */
  recalibrate(split: Split, options: ModelRecalibrateOptions = {}): Promise<number> {
    return recalibrateModel(this.#core, split, options);
  }

  /**
   * The device memory that training on a split needs at its peak, by what it is for, with what every model holds.
   *
   * @throws {ShapeError} If a split is not what its interface says, or the device cannot hold the batch.
   * @throws {ConfigError} If an option is not possible, or what it needs was not given.
   * @throws {StateError} If the model or its device was disposed of.
   */
  footprint(split: Split, options: ModelTrainOptions = {}): Footprint {
    return footprints.computeFootprint(this.#core, split, options);
  }

  /** The device memory that `evaluate` needs at its peak; `predict` needs no more. @throws {ShapeError} As that does. */
  evaluationFootprint(split: Split): Footprint {
    return footprints.computeEvaluationFootprint(this.#core, split);
  }

  /**
   * The device memory that a removal of `prune` needs at its peak: scoring, selection and refit, for any number of kept
   * weights, but no training and no regrowth. @throws {ShapeError | ConfigError} As `score` and `refit` do.
   */
  pruningFootprint(calibration: Split, options: PruningMemoryOptions = {}): Promise<Footprint> {
    return footprints.computePruningFootprint(this.#core, calibration, options);
  }

  /**
   * Scores every prunable weight at the present values on examples that training has not seen. Ended by its signal, it
   * leaves the model without gradients to score by: call it again. Weights stay as they are.
   *
   * @throws {ShapeError} If the split is not what its interface says.
   * @throws {ConfigError} If an option is not possible, or the criterion scores no weight of the model.
   * @throws {NumericError} If a weight, a gradient or a score is not finite, or a score is below 0.
   * @throws {StateError} If the model or its device was disposed of, before or meanwhile.
   */
  score(calibration: Split, options: ScoreOptions = {}): Promise<void> {
    return scoreModel(this.#core, calibration, options);
  }

  /**
   * Scores again by other options, such as another prior or temperature, from the gradients and the Fisher information
   * that `score` accumulated, which hold for the values that it found.
   *
   * @throws {ConfigError} If the criterion needs what was not accumulated.
   */
  rescore(options: Omit<ScoreOptions, "fisher">): Promise<void> {
    return rescoreModel(this.#core, options);
  }

  /**
   * Computes the confidence in every prunable weight, in [0, 1], and how it is distributed in each layer. Formula:
   * docs/method.md. Ended by its signal, it leaves the model as `score` does.
   *
   * @throws What `score` throws.
   */
  confidence(calibration: Split, options: Omit<ScoreOptions, "by"> = {}): Promise<Confidences> {
    return measureConfidence(this.#core, calibration, options);
  }

  /**
   * Removes what has the smallest scores, in place, until `removed` of all weights are removed: exactly so many, or of
   * groups as few as give at least so many. Where more are removed already, they stay removed.
   *
   * @throws {ShapeError} If there are not so many weights.
   * @throws {ConfigError} If `score` was not called before, an option is not possible, or fewer may go.
   */
  remove(removed: number, options: RemovalOptions = {}): Promise<readonly LayerCount[]> {
    return removeWeights(this.#core, removed, options);
  }

  /**
   * Prunes in rounds of scoring, removal and fine-tuning, until stable or the goal is reached; goes on from the weights
   * that are removed already. Ended by its signal, it leaves the model as the last removal or training left it: what is
   * removed stays so, kept weights are those of the last step, and where the signal ended a refit the weights of that
   * removal are back. Another call goes on from there.
   *
   * @param goal A fraction of the weights to remove, in [0, 1], or another goal.
   * @throws {ConfigError} If less may go than the goal asks for, or what it takes is not there.
   */
  prune(goal: number | PruneGoal, options: ModelPruneOptions): Promise<PruneOutcome> {
    return pruneModel(this.#core, typeof goal === "number" ? { sparsity: goal } : goal, options);
  }

  /**
   * Prunes without training: weights are removed in stages, and after each of them those that stay are refitted so that
   * the model's activations come as near as they can to those that it had before. Goes on from the weights that are removed
   * already. Ended by its signal during a refit, it leaves the model as it was before the call, else as the last stage left
   * it.
   *
   * @throws {ConfigError} If stages do not rise to the sparsity, or a number is not positive.
   * @throws {ShapeError} If the adapter's limits do not allow the samples of a layer.
   * @throws {NumericError} If activations are not finite; the model is then as it was before the call.
   */
  pruneWithRefit(options: PruneWithRefitOptions): Promise<readonly RefitStage[]> {
    return pruneModelWithRefit(this.#core, options);
  }

  /**
   * Removes weights as asked, and refits those that stay so that the model's activations come as near as they can to
   * those that it had before. Ended by its signal, it leaves the model as it was before the call.
   *
   * @throws {ConfigError} If a number is not positive.
   * @throws {ShapeError} If the adapter's limits do not allow the samples of a layer.
   * @throws {NumericError} If activations are not finite; the model is then as it was before the call.
   */
  refit(options: RefitOptions): Promise<readonly LayerRefitReport[]> {
    return refitModel(this.#core, options);
  }

  /**
   * Shrinks the model in place by the channels and branches that its mask makes superfluous; what it computes stays. Ended
   * by its signal, it leaves the model as it was.
   *
   * @param examples Examples on which the logits of the masked and the smaller model are compared.
   * @throws {ConfigError} If a protected layer is none.
   * @throws {ShapeError} If there are no examples.
   * @throws {NumericError} If a logit is not finite; the model then stays as it was.
   * @throws {KernelError} If logits differ by more than 1e-4 of the largest; the model then stays as it was.
   */
  compact(examples: Split, options: CompactOptions & CallOptions = {}): Promise<CompactionReport> {
    return compactModel(this.#core, examples, options);
  }

  /**
   * Measures loss, accuracy, confusion counts and predictions on a split. Nothing of the model changes.
   *
   * @throws {ShapeError} If the split is not what its interface says, or the device cannot hold the batch.
   * @throws {NumericError} If a loss is not finite.
   * @throws {StateError} If the model or its device was disposed of, before or meanwhile.
   */
  evaluate(split: Split, options: CallOptions = {}): Promise<Evaluation> {
    return evaluateModel(this.#core, split, options);
  }

  /**
   * Predicts the classes of any number of images. Labels are not needed, and those of a split are not looked at. Nothing of
   * the model changes.
   *
   * @param images Bytes (N, C, H, W) with pixels 0 to 255, such as a split's `pixels` or a subarray of them; or a split.
   * @returns Logits and probabilities (N, C), and the most likely class of each image (N), in the order of the images.
   * @throws {ShapeError} If the images are not of the model's size, there are fewer than `count`, or the device cannot
   *   hold the batch.
   * @throws {NumericError} If a logit is not finite.
   * @throws {StateError} If the model or its device was disposed of, before or meanwhile.
   */
  predict(images: Uint8Array | Split, options: ModelPredictOptions = {}): Promise<Predictions> {
    return predictWith(this.#core, images, options);
  }

  /**
   * Keeps splits on the device until what is returned is disposed of. All calls on them then use what was uploaded first,
   * so do not change their arrays meanwhile. Any other split is uploaded anew by each call, and freed after it: a call
   * sees what the arrays hold when it begins.
   *
   * @throws {ShapeError} If a split is not what its interface says, or not of the model's images.
   */
  keepOnDevice(...splits: readonly Split[]): Disposable {
    return this.#core.keepOnDevice(Object.fromEntries(splits.map((split, i) => [`splits[${i}]`, split])));
  }

  /**
   * Copies a parameter, or one of batch norm's statistics, to the host.
   *
   * @param name Its full name, such as `conv1.bias`, or the name of a layer, whose weight is meant.
   * @throws {ShapeError} If the model has none of that name.
   */
  weights(name: string): Promise<NamedTensor> {
    return readTensor(this.#core, "values", name);
  }

  /**
   * Copies the mask of a parameter to the host: 1 keeps a number, 0 removes it.
   *
   * @param name As for `weights`; statistics have no mask.
   * @throws {ShapeError} If the model has none of that name.
   */
  mask(name: string): Promise<NamedTensor> {
    return readTensor(this.#core, "mask", name);
  }

  /**
   * Copies the scores of a weight to the host, as `score`, `rescore`, `confidence` or `prune` last left them: larger = kept
   * longer, and below 0 where the criterion scores no weight of the layer.
   *
   * @param name As for `weights`; only weights that pruning may remove have scores.
   * @throws {ShapeError} If the model has none of that name.
   * @throws {ConfigError} If it was not scored.
   */
  scores(name: string): Promise<NamedTensor> {
    return readTensor(this.#core, "scores", name);
  }

  /** Which channels of which layers go together: the units that `granularity: "channel"` removes. */
  groups(): Coupling {
    return coupleChannels(this.graph);
  }

  /** Copies parameters and masks to the host. @throws {StateError} If the model or its device was disposed of. */
  state(): Promise<ModelState> {
    return readModelState(this.#core);
  }

  /**
   * Puts parameters and masks back as they were, or as given. Weights under a mask of 0 are 0 from then on.
   *
   * @throws {ShapeError} If a name is not the model's, is missing, or has another number of values.
   * @throws {ConfigError} If a parameter is not finite, a variance is below 0, or a mask is neither 0 nor 1.
   * @throws {StateError} If a call on the model is under way. Whatever is thrown, nothing was replaced.
   */
  restore(state: ModelState): void {
    restoreModel(this.#core, state);
  }

  /** Another model of the same graph and task, with its first values drawn anew; `restore` gives it this one's. */
  copy(): Model {
    const { gpu, network: { graph }, task, examples, tools: { choose, evaluationBatch } } = this.#core;
    return new Model(gpu, graph, { task, choose, evaluationBatch, examples });
  }

  /**
   * The model as the bytes of a safetensors file: dense, for PyTorch's `load_state_dict`, or sparse, without removed weights.
   */
  encode(store: WeightStore = "dense"): Promise<Uint8Array> {
    return encodeModelState(this.#core, store);
  }

  /**
   * The model as the bytes of an ONNX file (docs/onnx.md). Removed weights are zeros.
   *
   * @throws {ConfigError} If it has layers of its own.
   */
  encodeOnnx(): Promise<Uint8Array> {
    return encodeModelAsOnnx(this.#core);
  }

  /**
   * Saves the model with its masks, whole or not at all, as safetensors or ONNX by the path's ending.
   *
   * @param files The file system. Default: the runtime's.
   * @throws {ConfigError} If the ending is another, or `.onnx` for `sparse` or for layers of one's own.
   * @throws {FileError} If the file cannot be written, or the runtime has no files.
   */
  async save(path: string, files?: Files, store: WeightStore = "dense"): Promise<void> {
    checkSavePath(path, store);
    const there = filesFor(files, "save", path);
    await there.write(path, await (isOnnxPath(path) ? this.encodeOnnx() : this.encode(store)));
  }

  /**
   * Loads a model that was saved.
   *
   * @param files The file system. Default: the runtime's.
   * @param options The layers that it may have beside the library's, as `parseGraph` takes them.
   * @throws {FileError | FormatError} If the file cannot be read, is damaged, or winnow did not write it.
   */
  static async load(gpu: Gpu, path: string, files?: Files, options: GraphOptions = {}): Promise<Model> {
    const bytes = await filesFor(files, "load", path).read(path);
    const stored = decodeModel(bytes, path, undefined, options.layers);
    const { graph, normalization, classes, examples } = stored;
    const task = { name: path, ...graph.input, ...normalization, classes };
    const model = new Model(gpu, graph, { task, examples });
    model.restore(stored);
    return model;
  }

  /**
   * Frees all that the model holds on the device; once more does nothing. Calls under way, and later ones, end with a
   * StateError.
   */
  [Symbol.dispose](): void {
    this.#core[Symbol.dispose]();
  }
}
