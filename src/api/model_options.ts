/**
 * What methods of a model take and give.
 *
 * @module
 */
import type { ImageTask, Split } from "../data/split.ts";
import type { NamedParameters } from "../gpu/network.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import { sgd } from "../plan/optimizer.ts";
import type { LayerConfidence, Prior } from "../prune/score/confidence.ts";
import type { Criterion } from "../prune/score/criteria.ts";
import type { FisherEstimate } from "../prune/score/accumulate.ts";
import type { PruneSchedule } from "../prune/goal.ts";
import type { PruneRound } from "../prune/loop.ts";
import type { AfterRemoval } from "../prune/recipe.ts";
import type { RemovalOptions } from "../prune/select/removal.ts";
import type { CallOptions } from "../train/call_options.ts";
import type { RecalibrateSettings } from "../train/recalibrate.ts";
import type { RefitStage } from "../prune/refit/prune_with_refit.ts";
import type { RefitSettings } from "../prune/refit/settings.ts";
import type { TrainSettings } from "../train/phase.ts";

/** What a model is made for and with. */
export interface ModelOptions {
  /**
   * Its images and classes, such as a data set. Default: those that its graph was made for, as a preset makes it for a data
   * set or a split of one.
   */
  readonly task?: ImageTask | undefined;
  /** What its first values are drawn from. Default: 0. */
  readonly seed?: number | undefined;
  /** Picks how matrix products are computed. Default: as the device does, which measures them. */
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
export interface ModelPredictOptions extends CallOptions {
  /** The first images that are predicted. Default: all. */
  readonly count?: number | undefined;
}

/** How a phase of training runs; what is left out is as in `trainDefaults`. */
export interface ModelTrainOptions extends Partial<TrainSettings> {
  /** The `Model` whose predictions are learned from, with `distillation`; on the same device. */
  readonly teacher?: { readonly graph: Graph };
  /** The examples that tell the best epoch, with `earlyStopping`. */
  readonly validation?: Split;
}

/** How batch norm's statistics are measured anew; what is left out is as in training, without augmentation. */
export interface ModelRecalibrateOptions extends Partial<RecalibrateSettings>, CallOptions {}

/** Training unless told otherwise. */
export const trainDefaults: TrainSettings = {
  epochs: 8,
  batch: 64,
  learningRate: 0.02,
  optimizer: sgd({ weightDecay: 5e-4 }),
  seed: 0,
};

/** How weights are scored. */
export interface ScoreOptions extends CallOptions {
  /** What weights are scored by: a criterion by its name, or one that `defineCriterion` made. Default: `confidence`. */
  readonly by?: Criterion;
  /** How the prior precision of the confidence is found. Default: `evidence`. */
  readonly prior?: Prior;
  /**
   * Examples that the parameters were trained on, whose information the confidence counts. Default: `examples` of the
   * model, which its last training, its file or its options tell.
   */
  readonly examples?: number;
  /** Seed of the random criterion, and of drawn labels. */
  readonly seed?: number;
  /** What the information is divided by in the confidence, above 0. Default: 1. */
  readonly temperature?: number;
  /** How the Fisher information is estimated. Default: `batch`. */
  readonly fisher?: FisherEstimate;
}

/** How a model is pruned. Where channels go to a cost, `scope` is `layer` and `roundTo` 4 where they are left out. */
export interface ModelPruneOptions
  extends Omit<ScoreOptions, "temperature">, Omit<RemovalOptions, "measure"> {
  /** How rounds share the way to a sparsity or a cost. Default: `gradual`. */
  readonly schedule?: PruneSchedule;
  /** The most rounds. Default: 3, with a threshold as many as it takes. */
  readonly rounds?: number;
  /** The most that accuracy on the validation examples may drop below where it was. Default: any. */
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
  /**
   * How what is kept is trained after each removal: on examples, with options of training, or by a function that is called
   * with the round, counted from 1. Default: not at all.
   */
  readonly finetune?: FinetuneOptions | ((round: number) => Promise<unknown>);
  /** Examples that accuracy is measured on after each step of a round. Default: those of `calibration`. */
  readonly test?: Split;
}

/** What the device memory of a removal depends on. */
export type PruningMemoryOptions = Pick<
  ModelPruneOptions,
  "by" | "fisher" | "prior" | "granularity" | "after"
>;

/** How a model is trained after each removal; what is left out is as in `trainDefaults`. */
export interface FinetuneOptions extends ModelTrainOptions {
  /** The examples that it is trained on. */
  readonly on: Split;
}

/**
 * How a model is pruned with refits; what is left out is as in `refitDefaults`, but single weights are selected in 3
 * steps.
 */
export interface PruneWithRefitOptions
  extends Partial<RefitSettings>, Omit<RemovalOptions, "measure">, CallOptions {
  /** Fraction of the weights to remove. */
  readonly sparsity: number;
  /** Examples whose activations are fitted and on which weights are scored; training need not have missed them. */
  readonly calibration: Split;
  /** The sparsities that are reached one after the other, the last of them `sparsity`. Default: `stagesTo`. */
  readonly stages?: readonly number[];
  /** What weights are removed by at each stage. Default: `magnitude`, of the weights as the stage before refitted them. */
  readonly scoring?: ScoreOptions;
  /** Called after each stage. */
  readonly onStage?: (stage: RefitStage) => Promise<void> | void;
}

/** How what a model keeps is refitted once; what is left out is as in `refitDefaults`. */
export interface RefitOptions extends Partial<RefitSettings>, CallOptions {
  /** Examples whose activations are fitted. */
  readonly calibration: Split;
  /** Removes weights, in any pattern; the model before it is the one whose activations are wanted. */
  readonly remove: () => Promise<unknown>;
}

/** The numbers of a parameter on the host. */
export interface NamedTensor {
  /** Its full name, such as `conv1.weight`. */
  readonly name: string;
  /** Its shape in PyTorch's order: (out, in, height, width) of a convolution, (out, in) of a linear layer. */
  readonly shape: readonly number[];
  /** Its numbers, flat, in PyTorch's order. */
  readonly values: Float32Array;
}

/** How confident one can be in the weights of a model. */
export interface Confidences {
  /** The confidence in each weight, in [0, 1], by the full name of the prunable tensor. */
  readonly tensors: ReadonlyMap<string, NamedTensor>;
  /** How they are distributed, layer by layer. */
  readonly layers: readonly LayerConfidence[];
}

/** Parameters and masks as they were at a moment, on the host. */
export interface ModelState {
  /** Parameters and statistics by full name, in PyTorch's order. */
  readonly parameters: NamedParameters;
  /** Masks by full name, 1 keeps, 0 removes: of the prunable weights, of others where any number is removed. */
  readonly masks: NamedParameters;
}
