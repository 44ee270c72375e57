/**
 * What a phase of training is told, and what it tells.
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
import type { Schedule } from "./schedule.ts";

/** How batch norm's statistics are measured anew for averaged values: not at all, on plain images, or as trained. */
export type Recalibration = "none" | "plain" | "augmented";

/** When training ends before its last epoch. */
export interface EarlyStopping {
  /** Epochs without improvement after which training ends; 0 never ends early, but keeps the best epoch's values. */
  readonly patience: number;
  /** What is to improve on the validation examples. */
  readonly measure: "accuracy" | "loss";
}

/** Where a phase of training is between two steps, beside what the network's arenas hold. */
export interface TrainState {
  /** Whole epochs that are done. */
  readonly epoch: number;
  /** Steps made so far. */
  readonly step: number;
  /** Steps of the phase in all. */
  readonly steps: number;
  /** What the steps of the epoch under way counted. */
  readonly tally: { readonly lossSum: number; readonly correct: number; readonly count: number };
  /** What the whole epochs came to. */
  readonly epochs: readonly EpochResult[];
  /** With early stopping: the best epoch so far, whose values lie in the arena `best`. */
  readonly best?: BestEpoch | undefined;
}

/** Says where a phase of training is, now and then. */
export interface TrainCheckpoints {
  /** Asked after each step, counted from 1 in the phase: true saves a checkpoint there. */
  readonly isDue: (step: number) => boolean;
  /** Called when the network's arenas hold what goes with the state; training waits for it. */
  readonly save: (state: TrainState) => Promise<void>;
}

/** What a phase of training does. */
export interface TrainSettings {
  /** Passes over the examples. */
  readonly epochs: number;
  /** Examples per batch; the last, partial step of an epoch is skipped. */
  readonly batch: number;
  /**
   * Batches a step, whose gradients are averaged: without batch norm, which sees each batch alone, the same as one
   * batch of so many times the size. Default: 1.
   */
  readonly accumulate?: number;
  /** Step size before the schedule's share of it. */
  readonly learningRate: number;
  /** The rule that turns gradients into steps; its state starts from zero. */
  readonly optimizer: OptimizerSettings;
  /** Chooses the order of the examples and their augmentation, together with `firstEpoch`. */
  readonly seed: number;
  /** Share of each label's probability that is spread over all classes, in [0, 1). Default: 0. */
  readonly labelSmoothing?: number;
  /** How images are varied. Default: not at all. */
  readonly augmentation?: Augmentation;
  /** Side in pixels of the square that each image loses at a random place. Default: 0. */
  readonly cutout?: number;
  /**
   * Alpha of the Beta distribution of the shares in which each batch's images, and their labels, are mixed in pairs; 0,
   * for none, where left out. Source: Zhang et al. 2018, arXiv 1710.09412.
   */
  readonly mixup?: number;
  /** Counts the steps of earlier phases, so that each phase draws other batches. */
  readonly firstEpoch?: number;
  /** How the learning rate falls and from when on parameters are averaged. */
  readonly schedule?: Schedule;
  /** True keeps the variance of every parameter over the steps that are averaged, for the criterion `snr`. */
  readonly keepsVariance?: boolean;
  /**
   * How batch norm's statistics are measured anew once values are averaged. Default: `none`. Images are not mixed
   * for it, since those that are predicted later are not.
   */
  readonly recalibration?: Recalibration;
  /** What is learned from the predictions of a teacher, which must be given too. */
  readonly distillation?: Distillation;
  /** When training ends early, by validation examples, which must be given too. */
  readonly earlyStopping?: EarlyStopping;
  /** False takes the examples in their order. */
  readonly shuffle?: boolean;
  /** Steps between two readings of the loss; each waits for the device and costs a fixed time. */
  readonly stepsPerReading?: number;
  /** Where the phase goes on; values, mean and the optimizer's state must be those of then. */
  readonly resume?: TrainState;
  /** What is told where the phase is. */
  readonly checkpoints?: TrainCheckpoints;
  /**
   * Ends training between two steps once it is aborted, with a checkpoint where there are any; the values are then those
   * of the last step. A phase whose last step is made ends as always.
   */
  readonly signal?: AbortSignal;
  /** Called every so many steps and at the end of each epoch. */
  readonly onProgress?: (progress: TrainProgress) => void;
}

/** What a phase of training does, and what it runs on. */
export interface TrainOptions extends TrainSettings {
  readonly choose: ProductChooser;
  readonly slots: SlotPool;
  /** The network whose predictions are learned from, with `distillation`. */
  readonly teacher?: Network;
  /** The examples that tell the best epoch, with `earlyStopping`. */
  readonly validation?: Examples;
  /** Changes each step's gradient before the optimizer takes it; then a step is two submits in place of one. */
  readonly reduceGradients?: GradientReducer;
  /** Validation examples at a time. Default: 256, or as many as the device can hold. */
  readonly evaluationBatch?: number | undefined;
}

/**
 * Changes a step's gradient, for example to its mean over several devices.
 *
 * @param gradients The gradient of every trained parameter, in the places of the network's layout. The work that
 *   computes it was submitted, and the optimizer runs once the promise is fulfilled.
 */
export type GradientReducer = (gradients: DeviceBuffer) => Promise<void>;

/** Where training is. */
export interface TrainProgress {
  /** Steps made so far in this phase. */
  readonly step: number;
  /** Steps of the phase in all. */
  readonly steps: number;
  /** Zero-based epoch of the phase. */
  readonly epoch: number;
  /** Mean loss in nats over the steps of this epoch so far, each before its update. */
  readonly loss: number;
  /**
   * Fraction predicted right over the steps of this epoch so far, each before its update; of mixed images by the label
   * of the larger share.
   */
  readonly accuracy: number;
  /** Examples trained on a second since the phase began. */
  readonly examplesPerSecond: number;
}

/** How far a phase of a run is: its epochs of training, or the layers of a refit, which tells the steps alone. */
export type RunProgress = Pick<TrainProgress, "step" | "steps"> & Partial<TrainProgress>;

/** What a network does on the validation examples after an epoch. */
export interface EpochValidation {
  /** Fraction of the validation examples that were predicted right. */
  readonly accuracy: number;
  /** Mean loss in nats on the validation examples. */
  readonly loss: number;
}

/** The epoch whose values a phase of training returned, by its validation examples. */
export interface BestEpoch extends EpochValidation {
  /** Zero-based epoch of the phase. */
  readonly epoch: number;
}

/** What an epoch came to. */
export interface EpochResult {
  /** Mean loss in nats over the epoch, each step's before its update. */
  readonly loss: number;
  /** Fraction predicted right over the epoch, each step's before its update. */
  readonly accuracy: number;
  /** With early stopping: of the values that training returns where it ends after the epoch. */
  readonly validation?: EpochValidation;
}

/** What a phase of training came to, epoch by epoch. */
export interface PhaseResult {
  /** What each epoch came to, in order. */
  readonly epochs: readonly EpochResult[];
  /** With early stopping: the epoch that the values are of. */
  readonly best?: BestEpoch;
}

/** What a phase of training came to. */
export interface TrainResult extends PhaseResult {
  /** Steps made. */
  readonly steps: number;
  /** Mean loss in nats over the last epoch, each step's before its update. */
  readonly loss: number;
  /** Fraction predicted right over the last epoch, each step's before its update. */
  readonly accuracy: number;
  /** Time that the steps took, in seconds. */
  readonly seconds: number;
}
