/**
 * A model on a device: train it, ask for the confidence in its parameters, prune it, load it; device_model.ts evaluates
 * and saves it.
 *
 * @module
 */
import type { Split } from "../data/dataset.ts";
import { ShapeError } from "../errors.ts";
import type { Files } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import type { NamedParameters } from "../gpu/network.ts";
import { decodeModel } from "../io/model_file.ts";
import type { Footprint } from "../plan/footprint.ts";
import type { CompactOptions } from "../prune/compact.ts";
import { type CompactionReport, compactNetwork } from "../prune/compact_network.ts";
import { needsGradients, prunableTensors } from "../prune/criteria.ts";
import { type PruneOutcome, pruneUntilStable } from "../prune/loop.ts";
import type { LayerCount } from "../prune/mask.ts";
import type { LayerConfidence } from "../prune/layer_confidence.ts";
import { checkRemoval, type RemovalOptions } from "../prune/removal.ts";
import {
  pruneByReplacement,
  replaceKept,
  type ReplacementStage,
} from "../prune/replace/prune_by_replacement.ts";
import { Replacement } from "../prune/replace/replacement.ts";
import type { LayerReplacement, ReplaceSettings } from "../prune/replace/replace_settings.ts";
import { recalibrate } from "../train/recalibrate.ts";
import type { TrainOptions, TrainResult } from "../train/settings.ts";
import { trainingFootprint } from "../train/step_programs.ts";
import { train } from "../train/trainer.ts";
import { DeviceModel } from "./device_model.ts";
import {
  type ModelPruneOptions,
  type ModelRecalibrateOptions,
  type ModelRefitOptions,
  type ModelReplaceOptions,
  type ModelTrainOptions,
  type ScoreOptions,
  trainDefaults,
} from "./model_options.ts";
import { replacementSteps } from "./replacement_steps.ts";
import { pruneSteps } from "./prune_steps.ts";

/** A model on a device. Dispose of it to free its memory; the device stays open. */
export class Model extends DeviceModel {
  /**
   * Trains in place; afterwards the values are the running mean of the last quarter of the steps, or as the options'
   * schedule and early stopping say.
   *
   * @throws {NumericError} Where a loss or value is not finite; the values are then the last good ones.
   */
  train(split: Split, options: ModelTrainOptions = {}): Promise<TrainResult> {
    const settings = { ...this.#trainOptions(options), slots: this.tools.slots };
    return train(this.network, this.images.of(split, settings.batch), settings);
  }

  /**
   * Measures batch norm's running statistics anew on a split, as its values or weights were averaged, replaced or
   * removed; a model without batch norm stays as it is.
   *
   * @returns the batches that were measured
   */
  recalibrate(split: Split, options: ModelRecalibrateOptions = {}): Promise<number> {
    const { batch, seed } = trainDefaults, settings = { batch, seed, ...options, ...this.tools };
    return recalibrate(this.network, this.images.of(split, settings.batch), settings);
  }

  /** The device memory that training on a split needs at its peak, by what it is for. */
  footprint(split: Split, options: ModelTrainOptions = {}): Footprint {
    const settings = this.#trainOptions(options);
    return trainingFootprint(this.network, this.images.of(split, settings.batch), settings);
  }

  /** Scores every prunable weight at the present values on examples that training has not seen. */
  async score(calibration: Split, options: ScoreOptions): Promise<void> {
    const { criterion = "confidence", seed = 0, fisher } = options;
    if (needsGradients(criterion)) {
      const estimate = fisher ? { estimate: fisher, seed } : {};
      await this.pruner.accumulate(this.images.of(calibration), { ...this.tools, ...estimate });
    }
    await this.rescore(options);
  }

  /**
   * Scores again by other options, such as another prior or temperature, from the gradients and the Fisher information
   * that `score` accumulated, which hold for the values that it found.
   *
   * @throws {ConfigError} Where the criterion needs what was not accumulated.
   */
  async rescore(options: Omit<ScoreOptions, "fisher">): Promise<void> {
    const { criterion = "confidence", prior = "evidence", examples, seed = 0, temperature } = options;
    this.network.copyArena("values", "mean");
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
    const images = this.images.of(options.calibration);
    return await pruneByReplacement(this.network, images, replacementSteps(this, options, this.tools.choose));
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
    const options = { ...settings, choose: this.tools.choose, mask: async () => void await remove() };
    return await replaceKept(this.network, this.images.of(calibration), options);
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
    return Replacement.open(this.network, this.images.of(calibration), {
      ...settings,
      choose: this.tools.choose,
    });
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
  async compact(examples: Split, options: CompactOptions = {}): Promise<CompactionReport> {
    const { protect = [] } = options;
    checkRemoval(this.network.layout, { protect });
    const tools = { ...this.tools, protect };
    const { network, report } = await compactNetwork(this.network, this.images.of(examples), tools);
    this.become(network);
    return report;
  }

  /** Another model of the same graph and task, with its first values drawn anew; `restore` gives it this one's. */
  copy(): Model {
    return new Model(this.gpu, this.graph, { task: this.task, choose: this.tools.choose });
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

  #trainOptions({ teacher, validation, ...settings }: ModelTrainOptions): Omit<TrainOptions, "slots"> {
    return {
      ...trainDefaults,
      ...settings,
      choose: this.tools.choose,
      ...(teacher ? { teacher: teacher.network } : {}),
      ...(validation ? { validation: this.images.of(validation) } : {}),
    };
  }
}
