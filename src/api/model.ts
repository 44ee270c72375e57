/**
 * A model on a device: train it, ask for the confidence in its parameters, prune it, load it; device_model.ts evaluates
 * and saves it.
 *
 * @module
 */
import { Owner } from "../dispose.ts";
import { channelDefaults } from "../config/prune.ts";
import { checkNumbers, positiveCount } from "../checks.ts";
import { loadStreamed } from "../data/shards_load.ts";
import { checkSplit, isStreamed, type Split } from "../data/split.ts";
import { ConfigError, ShapeError } from "../errors.ts";
import type { Files } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import type { NamedParameters } from "../gpu/network.ts";
import { decodeModel } from "../io/model_file.ts";
import type { GraphOptions } from "../model/graph.ts";
import type { Footprint } from "../plan/footprint.ts";
import type { CompactOptions } from "../prune/compact/compact.ts";
import { type CompactionReport, compactNetwork } from "../prune/compact/compact_network.ts";
import { countsExamples, type Criterion, needsGradients, prunableTensors } from "../prune/score/criteria.ts";
import { type PruneOutcome, pruneUntilStable } from "../prune/loop.ts";
import type { LayerCount } from "../prune/mask.ts";
import type { LayerConfidence } from "../prune/score/confidence.ts";
import { checkRemoval, type RemovalOptions } from "../prune/select/removal.ts";
import { pruneWithRefit, refitKept, type RefitStage } from "../prune/refit/prune_with_refit.ts";
import { Refit } from "../prune/refit/refit_network.ts";
import type { LayerRefitReport, RefitSettings } from "../prune/refit/settings.ts";
import { checkRecalibration, checkTrainOptions } from "../train/check_options.ts";
import { recalibrate } from "../train/recalibrate.ts";
import type { TrainOptions, TrainResult } from "../train/settings.ts";
import { trainingFootprint } from "../train/step_programs.ts";
import { train } from "../train/trainer.ts";
import { checkPruning, checkScoring } from "./check_options.ts";
import { filesFor } from "./host.ts";
import { DeviceModel } from "./device_model.ts";
import { scoringPlans, trainingPlans } from "./tuned_plans.ts";
import {
  type ModelPruneOptions,
  type ModelRecalibrateOptions,
  type ModelState,
  type ModelTrainOptions,
  type PruneWithRefitOptions,
  type RefitOptions,
  type ScoreOptions,
  trainDefaults,
} from "./model_options.ts";
import { HeldRefit } from "./held_refit.ts";
import { modelAsPruneTarget } from "./prune_target.ts";
import { refitStages } from "./refit_stages.ts";
import type { OpenSplit } from "./split_images.ts";

/** A model on a device. Dispose of it to free its memory; the device stays open. */
export class Model extends DeviceModel {
  readonly #refit = new HeldRefit();

  /**
   * Trains in place; afterwards the values are the running mean of the last quarter of the steps, or as the options'
   * schedule and early stopping say.
   *
   * @throws {ShapeError} Where a split is not what its interface says, or the device cannot hold the batch.
   * @throws {ConfigError} Where an option is not possible, or what it needs was not given.
   * @throws {NumericError} Where a loss or value is not finite; the values are then the last good ones.
   * @throws {StateError} Where the model, its teacher or its device was disposed of, before or meanwhile.
   */
  train(split: Split, options: ModelTrainOptions = {}): Promise<TrainResult> {
    return this.call("training", async () => {
      const { checkpoints } = options, save = checkpoints?.save;
      this.#refit.trained();
      using open = this.#openTraining(split, options);
      await this.tune(trainingPlans(this.graph, open.examples, open.options.batch));
      this.trainedOn(split.count);
      const settings = {
        ...open.options,
        ...this.tools,
        ...(save ? { checkpoints: { ...checkpoints, save: (state) => this.lend(() => save(state)) } } : {}),
      } satisfies TrainOptions;
      return await train(this.network, open.examples, settings);
    });
  }

  /**
   * Measures batch norm's running statistics anew on a split, as its values or weights were averaged, refitted or
   * removed; a model without batch norm stays as it is.
   *
   * @returns the batches that were measured
   * @throws {ShapeError} Where the split is not what its interface says.
   * @throws {ConfigError} Where an option is not possible.
   * @throws {StateError} Where the model or its device was disposed of, before or meanwhile.
   */
  recalibrate(split: Split, options: ModelRecalibrateOptions = {}): Promise<number> {
    return this.call("recalibrating", async () => {
      const { batch, seed } = trainDefaults, settings = { batch, seed, ...options, ...this.tools };
      checkRecalibration(settings);
      using open = this.images.open(split, { name: "split", rows: settings.batch });
      await this.tune(trainingPlans(this.graph, open.examples, settings.batch));
      return await recalibrate(this.network, open.examples, settings);
    });
  }

  /**
   * The device memory that training on a split needs at its peak, by what it is for.
   *
   * @throws {ShapeError} Where a split is not what its interface says, or the device cannot hold the batch.
   * @throws {ConfigError} Where an option is not possible, or what it needs was not given.
   * @throws {StateError} Where the model or its device was disposed of.
   */
  footprint(split: Split, options: ModelTrainOptions = {}): Footprint {
    const { network } = this;
    using open = this.#openTraining(split, options);
    return trainingFootprint(network, open.examples, open.options);
  }

  /**
   * Scores every prunable weight at the present values on examples that training has not seen.
   *
   * @throws {ShapeError} Where the split is not what its interface says.
   * @throws {ConfigError} Where an option is not possible, or the criterion scores no weight of the model.
   * @throws {StateError} Where the model or its device was disposed of, before or meanwhile.
   */
  score(calibration: Split, options: ScoreOptions = {}): Promise<void> {
    return this.call("scoring", () => this.#score(calibration, options));
  }

  async #score(calibration: Split, options: ScoreOptions = {}): Promise<void> {
    checkScoring(options);
    const { criterion = "confidence", seed = 0, fisher } = options;
    this.#examplesFor(criterion, options.examples);
    // A split that does not fit is refused by every criterion.
    using open = this.images.open(calibration, { name: "calibration" });
    if (needsGradients(criterion)) {
      await this.tune(scoringPlans(this.network, open.examples, { fisher, choose: this.tools.choose }));
      const estimate = fisher ? { estimate: fisher, seed } : {};
      await this.pruner.accumulate(open.examples, { ...this.tools, ...estimate });
    }
    await this.#rescore(options);
  }

  /**
   * Scores again by other options, such as another prior or temperature, from the gradients and the Fisher information
   * that `score` accumulated, which hold for the values that it found.
   *
   * @throws {ConfigError} Where the criterion needs what was not accumulated.
   */
  rescore(options: Omit<ScoreOptions, "fisher">): Promise<void> {
    return this.call("scoring", () => this.#rescore(options));
  }

  async #rescore(options: Omit<ScoreOptions, "fisher">): Promise<void> {
    checkScoring(options);
    const { criterion = "confidence", prior = "evidence", seed = 0, temperature } = options;
    const examples = this.#examplesFor(criterion, options.examples);
    this.network.copyArena("values", "mean");
    const settings = { examples, seed, prior, ...(temperature === undefined ? {} : { temperature }) };
    await this.pruner.score(criterion, settings);
  }

  /** Computes the confidence in every prunable weight: by name in PyTorch's order, and how it is distributed. */
  confidence(
    calibration: Split,
    options: Omit<ScoreOptions, "criterion"> = {},
  ): Promise<{ readonly values: NamedParameters; readonly layers: readonly LayerConfidence[] }> {
    return this.call("scoring", async () => {
      await this.#score(calibration, { ...options, criterion: "confidence" });
      const layers = await this.pruner.confidences();
      const all = await this.network.readParameters("confidence");
      const names = prunableTensors(this.network.layout).map(({ fullName }) => fullName);
      return { values: new Map(names.map((name) => [name, all.get(name)!])), layers };
    });
  }

  /**
   * Removes what has the smallest scores, in place, until `removed` of all weights are removed: exactly so many, or of
   * groups as few as give at least so many. Where more are removed already, they stay removed.
   *
   * @throws {ShapeError} Where there are not so many weights.
   * @throws {ConfigError} Where `score` was not called before, an option is not possible, or fewer may go.
   */
  remove(removed: number, options: RemovalOptions = {}): Promise<readonly LayerCount[]> {
    return this.call("removing weights of", async () => {
      const { prunableCount } = this.network.layout;
      if (!Number.isInteger(removed) || removed < 0 || removed > prunableCount) {
        const wanted = `an integer from 0 to ${prunableCount}, the prunable weights of ${this.graph.name}`;
        const current = "not a possible count";
        throw new ShapeError({ act: "remove weights", thing: `${removed}`, current, wanted });
      }
      return await this.pruner.remove(removed, options);
    });
  }

  /**
   * Prunes in rounds of scoring, removal and fine-tuning, until stable or the goal is reached; goes on from the weights
   * that are removed already.
   *
   * @throws {ConfigError} Where less may go than the goal asks for, or what it takes is not there.
   */
  prune(options: ModelPruneOptions): Promise<PruneOutcome> {
    return this.call("pruning", async () => {
      checkPruning(options);
      const { goal, schedule, allowedDrop, choosesRound, onRound, finetune, after = {}, ...others } = options;
      const { rounds = "threshold" in goal ? Infinity : 3 } = options;
      const { calibration, test, validation, train = calibration, examples, ...parts } = others;
      const { criterion = "confidence", prior, fisher, temperature, seed, ...given } = parts;
      const select = given.granularity === "channel" && "cost" in goal
        ? { ...channelDefaults, ...given }
        : given;
      // The next call's target is the model as it is then.
      using _refit = { [Symbol.dispose]: () => this.#refit.drop() };
      using _kept = this.keepOnDevice(...[calibration, train, test, validation ?? []].flat());
      const recipe = { score: { by: criterion, prior, fisher, temperature, seed }, select, after };
      const trainedOn = this.#examplesFor(others.criterion, examples);
      const inputs = { calibration, train, validation, trainedOn };
      const target = modelAsPruneTarget(this, { recipe, goal, inputs, test, finetune });
      return await this.lend(() =>
        pruneUntilStable(target, { goal, schedule, rounds, allowedDrop, choosesRound, onRound })
      );
    });
  }

  /**
   * Prunes without training: weights are removed in stages, and after each of them those that stay are refitted so that
   * the model's activations come as near as they can to those that it had before. Goes on from the weights that are removed
   * already.
   *
   * @throws {ConfigError} Where stages do not rise to the sparsity, or a number is not positive.
   * @throws {ShapeError} Where the adapter's limits do not allow the samples of a layer.
   * @throws {NumericError} Where activations are not finite; the values are then those of the start.
   */
  pruneWithRefit(options: PruneWithRefitOptions): Promise<readonly RefitStage[]> {
    return this.call("pruning", async () => {
      const steps = refitStages(this, options, this.tools.choose), { remove, onStage } = steps;
      using open = await this.#openSampled(options.calibration, steps.batch);
      return await pruneWithRefit(this.network, open.examples, {
        ...steps,
        remove: (sparsity) => this.lend(() => remove(sparsity)),
        onStage: onStage && ((stage) => this.lend(() => onStage(stage))),
      });
    });
  }

  /**
   * Removes weights as asked, and refits those that stay so that the model's activations come as near as they can to
   * those that it had before.
   *
   * @throws {ConfigError} Where a number is not positive.
   * @throws {ShapeError} Where the adapter's limits do not allow the samples of a layer.
   * @throws {NumericError} Where activations are not finite; the values are then those of the start.
   */
  refit(
    { calibration, remove, ...settings }: RefitOptions,
  ): Promise<readonly LayerRefitReport[]> {
    return this.call("refitting weights of", async () => {
      using open = await this.#openSampled(calibration, settings.batch);
      const mask = async () => void await this.lend(remove);
      return await refitKept(this.network, open.examples, { ...settings, choose: this.tools.choose, mask });
    });
  }

  /**
   * The refit whose target is the model as training, or another state, last left it; `apply` of it gives the kept weights
   * new values. The model frees it: before training, and where none is asked for.
   *
   * @throws {ConfigError} Where a number is not positive.
   * @throws {ShapeError} Where the adapter's limits do not allow the samples of a layer.
   * @internal
   */
  async holdRefit(
    calibration: Split,
    settings: Partial<RefitSettings> | undefined,
  ): Promise<Refit | undefined> {
    if (!settings) {
      this.#refit.drop();
      return undefined;
    }
    const open = async (calibration: Split, settings: Partial<RefitSettings>) => {
      const owned = await this.#openSampled(calibration, settings.batch), { choose } = this.tools;
      try {
        return await Refit.open(this.network, owned.examples, { ...settings, choose, owned });
      } catch (error) {
        owned[Symbol.dispose]();
        throw error;
      }
    };
    return await this.#refit.take(open, calibration, settings);
  }

  /** Has a state that was read of the model, by whatever way, known as one of it, for `holdRefit`. @internal */
  noteState(state: ModelState): void {
    this.#refit.note(state);
  }

  /** Copies parameters and masks to the host. @throws {StateError} Where the model or its device was disposed of. */
  override async state(): Promise<ModelState> {
    const state = await super.state();
    this.#refit.note(state);
    return state;
  }

  /** Puts parameters and masks back, as `DeviceModel.restore` does. */
  override restore(state: ModelState): void {
    super.restore(state);
    this.#refit.restored(state);
  }

  /** Opens a split of which examples are taken in any order; one that lies in files is read into memory for it. */
  async #openSampled(calibration: Split, rows: number | undefined): Promise<OpenSplit> {
    checkNumbers("refit weights with", { batch: [rows, positiveCount] });
    const use = { name: "calibration", ...(rows === undefined ? {} : { rows }) };
    if (!isStreamed(calibration)) return this.images.open(calibration, use);
    checkSplit(calibration, "calibration", this.task);
    return this.images.open(await loadStreamed(calibration), use);
  }

  /**
   * Shrinks the model in place by the channels and branches that its mask makes superfluous; what it computes stays.
   *
   * @param examples Examples on which the logits of the masked and the smaller model are compared.
   * @throws {ConfigError} Where a protected layer is none.
   * @throws {ShapeError} Where there are no examples.
   * @throws {NumericError} Where a logit is not finite; the model then stays as it was.
   * @throws {KernelError} Where logits differ by more than 1e-4 of the largest; the model then stays as it was.
   */
  compact(examples: Split, options: CompactOptions = {}): Promise<CompactionReport> {
    return this.call("compacting", async () => {
      const { protect = [] } = options;
      checkRemoval(this.network.layout, { protect });
      using open = this.images.open(examples, { name: "examples" });
      const { network, report } = await compactNetwork(this.network, open.examples, {
        ...this.tools,
        protect,
      });
      this.#refit.trained();
      this.become(network);
      return report;
    });
  }

  /** Another model of the same graph and task, with its first values drawn anew; `restore` gives it this one's. */
  copy(): Model {
    const { choose, evaluationBatch } = this.tools;
    const { gpu, network: { graph }, task, examples } = this;
    return new Model(gpu, graph, { task, choose, evaluationBatch, examples });
  }

  /**
   * Loads a model that was saved.
   *
   * @param files The file system. Default: the runtime's.
   * @param options The layers that it may have beside the library's, as `parseGraph` takes them.
   * @throws {FileError | FormatError} Where the file cannot be read, is damaged, or winnow did not write it.
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

  /** Frees all that the model holds on the device, as `DeviceModel` does. */
  override [Symbol.dispose](): void {
    this.#refit.drop();
    super[Symbol.dispose]();
  }

  /** How many examples a criterion counts: as given, or as the model knows; criteria may count none. */
  #examplesFor(criterion: Criterion = "confidence", given: number | undefined): number {
    const examples = given ?? this.examples ?? (countsExamples(criterion) ? undefined : 1);
    if (examples !== undefined) return examples;
    const current = "not given, and neither a training nor a file tells";
    const wanted = "how many examples its values were trained on";
    throw new ConfigError({ act: "score with", thing: "examples", current, wanted });
  }

  /** Opens what training takes, and checks its options. */
  #openTraining(split: Split, { teacher, validation, ...given }: ModelTrainOptions) {
    using stack = new Owner();
    const settings = {
      ...trainDefaults,
      ...given,
      ...this.tools,
      ...(teacher ? { teacher: teacher.network } : {}),
    };
    checkTrainOptions({ ...settings, hasValidation: validation !== undefined });
    const { batch: rows } = settings;
    const { examples } = stack.use(this.images.open(split, { name: "split", rows }));
    const held = validation && stack.use(this.images.open(validation, { name: "validation" }));
    const owned = stack.move();
    return {
      examples,
      options: { ...settings, ...(held ? { validation: held.examples } : {}) },
      [Symbol.dispose]: () => owned[Symbol.dispose](),
    };
  }
}
