/**
 * What methods of a model take and give.
 *
 * @module
 */
import type { Dataset, Split } from "../data/dataset.ts";
import type { NamedParameters, Network } from "../gpu/network.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { sgd } from "../plan/optimizer.ts";
import type { Prior } from "../prune/score/confidence.ts";
import type { Criterion } from "../prune/score/criteria.ts";
import type { FisherEstimate } from "../prune/score/accumulate.ts";
import type { PruneGoal, PruneSchedule } from "../prune/goal.ts";
import type { PruneRound } from "../prune/loop.ts";
import type { AfterRemoval } from "../prune/recipe.ts";
import type { RemovalOptions } from "../prune/select/removal.ts";
import type { RecalibrateSettings } from "../train/recalibrate.ts";
import type { RefitStage } from "../prune/refit/prune_with_refit.ts";
import type { RefitSettings } from "../prune/refit/settings.ts";
import type { TrainSettings } from "../train/settings.ts";

/** What a model needs to know of its data: sizes, class names, and the mean and deviation of each channel. */
export type ModelTask = Pick<Dataset, "name" | "channels" | "height" | "width" | "classes" | "mean" | "std">;

/** What a model is made for and with. */
export interface ModelOptions {
  /** The images and classes. */
  readonly task: ModelTask;
  /** What its first values are drawn from; 0 where left out. */
  readonly seed?: number | undefined;
  /** Picks how matrix products are computed; as the device does where left out. */
  readonly choose?: ProductChooser | undefined;
  /** Examples that evaluation takes at a time. Default: 256, or as many as the device can hold. */
  readonly evaluationBatch?: number | undefined;
  /**
   * How many examples its values were trained on, whose information the confidence counts. Default: not known until it is
   * trained.
   */
  readonly examples?: number | undefined;
}

/** What of some images is predicted. */
export interface ModelPredictOptions {
  /** The first images that are predicted. Default: all. */
  readonly count?: number | undefined;
  /** Ends the prediction between two batches. */
  readonly signal?: AbortSignal | undefined;
}

/** A model whose predictions are learned from: a `Model`, or what else has a network on the device. */
export interface TeacherModel {
  /**
   * The state on the device.
   *
   * @internal
   */
  readonly network: Network;
}

/** How a phase of training runs; what is left out is as in `trainDefaults`. */
export interface ModelTrainOptions extends Partial<TrainSettings> {
  /** The model whose predictions are learned from, with `distillation`; on the same device. */
  readonly teacher?: TeacherModel;
  /** The examples that tell the best epoch, with `earlyStopping`. */
  readonly validation?: Split;
}

/** How batch norm's statistics are measured anew; what is left out is as in training, without augmentation. */
export type ModelRecalibrateOptions = Partial<RecalibrateSettings>;

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
  /** What weights are scored by: a criterion by its name, or one that `defineCriterion` made. Default: `confidence`. */
  readonly criterion?: Criterion;
  /** How the prior precision of the confidence is found; `evidence` where left out. */
  readonly prior?: Prior;
  /**
   * Examples that the parameters were trained on, whose information the confidence counts. Default: `examples` of the
   * model, which its last training, its file or its options tell.
   */
  readonly examples?: number;
  /** Seed of the random criterion, and of drawn labels. */
  readonly seed?: number;
  /** What the information is divided by in the confidence, above 0; 1 where left out. */
  readonly temperature?: number;
  /** How the Fisher information is estimated; `batch` where left out. */
  readonly fisher?: FisherEstimate;
}

/** How a model is pruned. Where channels go to a cost, `scope` is `layer` and `roundTo` 4 where they are left out. */
export interface ModelPruneOptions
  extends Omit<ScoreOptions, "temperature">, Omit<RemovalOptions, "measure"> {
  /** A fraction of the weights to remove, a cost, the least signal to noise z of a weight that stays, or a pattern. */
  readonly goal: PruneGoal;
  /** How rounds share the way to a sparsity or a cost; `gradual` where left out. */
  readonly schedule?: PruneSchedule;
  /** The most rounds. Default: 3, with a threshold as many as it takes. */
  readonly rounds?: number;
  /** The most that accuracy on the validation examples may drop below where it was; any where left out. */
  readonly allowedDrop?: number;
  /**
   * With a threshold, whether the sparsest network is kept whose loss on the validation examples lies within one standard
   * error of the lowest, of all that the rounds led to. Default: false, the last network is kept.
   */
  readonly choosesRound?: boolean;
  /** Called after each round. */
  readonly onRound?: (round: PruneRound) => void;
  /**
   * What the information is divided by in the confidence, above 0; or `validation`, which has it chosen before each removal
   * by the loss on the validation examples. Default: 1.
   */
  readonly temperature?: number | "validation";
  /** The examples by which rounds are undone or chosen, and temperatures; needed for any of these. */
  readonly validation?: Split;
  /** What follows each removal before the training: kept weights are refitted, or batch norm measured anew. Default: nothing. */
  readonly after?: AfterRemoval;
  /** Examples that batch norm is measured anew on. Default: those of `calibration`. */
  readonly train?: Split;
  /** Examples that scores are computed on, and kept weights refitted; training must not have seen them. */
  readonly calibration: Split;
  /** Called to train what is kept; the round counts from 1. */
  readonly finetune: (round: number) => Promise<unknown>;
  /** Examples that accuracy is measured on after each step of a round. */
  readonly test: Split;
}

/**
 * How a model is pruned with refits; what is left out is as in `refitDefaults`, but single weights are selected in 3
 * steps.
 */
export interface PruneWithRefitOptions extends Partial<RefitSettings>, Omit<RemovalOptions, "measure"> {
  /** Fraction of the weights to remove. */
  readonly sparsity: number;
  /** Examples whose activations are fitted and on which weights are scored; training need not have missed them. */
  readonly calibration: Split;
  /** The sparsities that are reached one after the other, the last of them `sparsity`; `stagesTo` where left out. */
  readonly stages?: readonly number[];
  /** What weights are removed by at each stage; `magnitude`, of the weights as the stage before refitted them, where left out. */
  readonly scoring?: ScoreOptions;
  /** Called after each stage. */
  readonly onStage?: (stage: RefitStage) => Promise<void> | void;
}

/** How what a model keeps is refitted once; what is left out is as in `refitDefaults`. */
export interface RefitOptions extends Partial<RefitSettings> {
  /** Examples whose activations are fitted. */
  readonly calibration: Split;
  /** Removes weights, in any pattern; the model before it is the one whose activations are wanted. */
  readonly remove: () => Promise<unknown>;
}

/** Parameters and masks as they were at a moment, on the host. */
export interface ModelState {
  /** Parameters and statistics by full name, in PyTorch's order. */
  readonly parameters: NamedParameters;
  /** Masks by full name, 1 keeps, 0 removes: of the prunable weights, of others where any number is removed. */
  readonly masks: NamedParameters;
}
