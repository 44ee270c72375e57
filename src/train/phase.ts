/**
 * The options and the results of a phase of training.
 *
 * @module
 */
import type { DeviceBuffer } from "../gpu/buffer.ts";
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import type { SlotPool } from "../gpu/slots.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Distillation } from "../plan/distillation.ts";
import type { Augmentation } from "../plan/images.ts";
import type { OptimizerSettings } from "../plan/optimizer.ts";
import type { Reconstruction } from "../plan/features.ts";
import type { Progress } from "./call_options.ts";
import type { Schedule } from "./schedule.ts";

/** Recalibration of batch norm for averaged values: none, on plain images, or on augmented images as in training. */
export type Recalibration = "none" | "plain" | "augmented";

/** The `firstEpoch` of each phase of a run is a multiple of this, so that no two phases draw the same batches. */
export const epochsPerPhase = 1000;

/** Early stopping. */
export interface EarlyStopping {
  /** Epochs without improvement after which training ends. 0 never ends early, but keeps the best epoch's values. */
  readonly patience: number;
  /** The measure on the validation examples that must improve. */
  readonly measure: "accuracy" | "loss";
}

/** The state of a phase of training between two steps, besides the network's arenas. */
export interface TrainState {
  /** Completed epochs. */
  readonly epoch: number;
  /** Steps made so far. */
  readonly step: number;
  /** Steps of the phase in all. */
  readonly steps: number;
  /** The counts of the current epoch's steps. */
  readonly tally: { readonly lossSum: number; readonly correct: number; readonly count: number };
  /** The results of the completed epochs. */
  readonly epochs: readonly EpochResult[];
  /** With early stopping: the best epoch so far, whose values lie in the arena `best`. */
  readonly best?: BestEpoch | undefined;
}

/** Checkpoints of a phase of training. */
export interface TrainCheckpoints {
  /** Called after each step, counted from 1 in the phase; true saves a checkpoint there. */
  readonly isDue: (step: number) => boolean;
  /** Called when the network's arenas match the state. Training waits for it. */
  readonly save: (state: TrainState) => Promise<void>;
}

/** Options of a phase of training. */
export interface TrainSettings {
  /** Passes over the examples. */
  readonly epochs: number;
  /** Examples per batch; the last, partial step of an epoch is skipped. */
  readonly batch: number;
  /**
   * Batches per step, whose gradients are averaged. Without batch norm that equals one batch of so many times the
   * size; batch norm uses each batch alone. Default: 1.
   */
  readonly accumulate?: number;
  /** Step size before the schedule's share of it. */
  readonly learningRate: number;
  /** The optimizer. Its state starts from zero. */
  readonly optimizer: OptimizerSettings;
  /** The seed of the examples' order and augmentation, together with `firstEpoch`. */
  readonly seed: number;
  /** Share of each label's probability that is spread over all classes, in [0, 1). Default: 0. */
  readonly labelSmoothing?: number;
  /** The augmentation of images. Default: none. */
  readonly augmentation?: Augmentation;
  /** Side in pixels of the square that each image loses at a random position. Default: 0. */
  readonly cutout?: number;
  /**
   * Alpha of the Beta distribution of the shares by which images and labels of a batch are mixed in pairs. Default:
   * 0, no mixing. Source: Zhang et al. 2018, arXiv 1710.09412.
   */
  readonly mixup?: number;
  /** Epochs of earlier phases, so that each phase draws other batches. */
  readonly firstEpoch?: number;
  /** The schedule of the learning rate and of averaging. */
  readonly schedule?: Schedule;
  /** True keeps the variance of every parameter over the averaged steps, for the criterion `snr`. */
  readonly keepsVariance?: boolean;
  /**
   * Recalibration of batch norm after values are averaged. Default: `none`. Its images are not mixed, because
   * predicted images are not.
   */
  readonly recalibration?: Recalibration;
  /** Distillation. A teacher must be given too. */
  readonly distillation?: Distillation;
  /** Early stopping. Validation examples must be given too. */
  readonly earlyStopping?: EarlyStopping;
  /** False keeps the examples in their order. Default: true. */
  readonly shuffle?: boolean;
  /** Steps between two readings of the loss; each waits for the device and costs a fixed time. */
  readonly stepsPerReading?: number;
  /** The state to resume from. Values, mean and the optimizer's state must match it. */
  readonly resume?: TrainState;
  /** Saves checkpoints of the phase. */
  readonly checkpoints?: TrainCheckpoints;
  /**
   * Aborting it ends training between two steps, with a checkpoint if there are any. The values are then those of the
   * last step. A phase that has made its last step ends normally.
   */
  readonly signal?: AbortSignal;
  /** Called every so many steps and at the end of each epoch. */
  readonly onProgress?: (progress: TrainProgress) => void;
}

/** Options of a phase of training, with the objects that it uses. */
export interface TrainOptions extends TrainSettings {
  readonly choose: ProductChooser;
  readonly slots: SlotPool;
  /** The teacher, with `distillation` or a `reconstruction`. */
  readonly teacher?: Network;
  /** The loss is the distance from the teacher's layer outputs alone, without labels. */
  readonly reconstruction?: Reconstruction;
  /**
   * Most bytes on the device for the teacher's outputs of all examples, which are then computed once, where neither
   * augmentation nor mixing changes the examples. Default: 0.
   */
  readonly teacherCacheBytes?: number;
  /** The examples that choose the best epoch, with `earlyStopping`. */
  readonly validation?: Examples;
  /** Changes each step's gradient before the optimizer's step. A step is then two submits instead of one. */
  readonly reduceGradients?: GradientReducer;
  /** Validation examples per batch. Default: 256, or as many as the device can hold. */
  readonly evaluationBatch?: number | undefined;
}

/**
 * Changes a step's gradient, for example to its mean over several devices.
 *
 * @param gradients The gradient of every trained parameter, at the offsets of the network's layout. The work that
 *   computes it is submitted already; the optimizer runs when the promise is fulfilled.
 */
export type GradientReducer = (gradients: DeviceBuffer) => Promise<void>;

/** The progress of training. */
export interface TrainProgress extends Progress {
  /** Zero-based epoch of the phase. */
  readonly epoch: number;
  /** Mean loss in nats over the steps of this epoch so far, each before its update. */
  readonly loss: number;
  /**
   * Fraction predicted right over the steps of this epoch so far, each before its update; for mixed images, by the
   * label of the larger share.
   */
  readonly accuracy: number;
  /** Examples trained on per second since the phase began. */
  readonly examplesPerSecond: number;
}

/** The progress of a phase of a run: training, or a refit, which reports only its steps. */
export type RunProgress = Progress & Partial<TrainProgress>;

/** The result on the validation examples after an epoch. */
export interface EpochValidation {
  /** Fraction of the validation examples that were predicted right. */
  readonly accuracy: number;
  /** Mean loss in nats on the validation examples. */
  readonly loss: number;
}

/** The epoch whose values a phase of training returned, chosen by validation examples. */
export interface BestEpoch extends EpochValidation {
  /** Zero-based epoch of the phase. */
  readonly epoch: number;
}

/** The result of an epoch. */
export interface EpochResult {
  /** Mean loss in nats over the epoch, each step's before its update. */
  readonly loss: number;
  /** Fraction predicted right over the epoch, each step's before its update. */
  readonly accuracy: number;
  /** With early stopping: the result of the values that training would return if it ended after this epoch. */
  readonly validation?: EpochValidation;
}

/** The result of a phase of training, epoch by epoch. */
export interface PhaseResult {
  /** The result of each epoch, in order. */
  readonly epochs: readonly EpochResult[];
  /** With early stopping: the epoch of the values. */
  readonly best?: BestEpoch;
}

/** The result of a phase of training. */
export interface TrainResult extends PhaseResult {
  /** Steps made. */
  readonly steps: number;
  /** Mean loss in nats over the last epoch, each step's before its update. */
  readonly loss: number;
  /** Fraction predicted right over the last epoch, each step's before its update. */
  readonly accuracy: number;
  /** Time of the steps, in seconds. */
  readonly seconds: number;
}
