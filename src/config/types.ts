/**
 * A configuration as TypeScript sees it: what the schema gives, written out.
 *
 * @module
 */
import type { CriterionName } from "../criterion_names.ts";

/** Everything that a run can be told, with what was left out filled in. */
export interface RunConfig {
  /** Seed of initial weights, batch order, splits and augmentation. */
  readonly seed: number;
  /** The examples. */
  readonly data: DataConfig;
  /** The network. */
  readonly model: ModelConfig;
  /** The adapter, and how it computes. */
  readonly device: DeviceConfig;
  /** Training before the first removal; fine-tuning shares most of it. */
  readonly train: TrainConfig;
  /** Training examples that are held out to choose by. Default: none. */
  readonly validation?: ValidationConfig;
  /** What is pruned, how far and how. */
  readonly prune: PruneConfig;
  /** What is written. */
  readonly output: OutputConfig;
}

/** The branch `data` of a {@linkcode RunConfig}. */
export interface DataConfig {
  /** Folder of the data set. Default: ./data and the cache folder are searched. */
  readonly folder?: string;
  /** Whether examples stay in their files, and are read on the way. */
  readonly stream: "auto" | "on" | "off";
  /** Number of training examples, 0 for all. */
  readonly limit: number;
  /** Number of test examples, 0 for all. */
  readonly testLimit: number;
  /** Size that images of folders get, SIDE or WIDTHxHEIGHT. Default: the network's, else that of all images. */
  readonly size?: string;
  /** How they get it. Default: crop. */
  readonly resize?: "crop" | "stretch" | "pad";
  /** Share of each class that is held out for test where a folder of images has no test images. Default: 0.2. */
  readonly testShare?: number;
  /** Chooses those images and the order of all. Default: 0. */
  readonly splitSeed?: number;
  /** What becomes of an image that cannot be read. Default: refuse. */
  readonly damaged?: "refuse" | "skip";
  /** Maximum number of training examples that are held out to score weights on. */
  readonly calibration: number;
}

/** The branch `model` of a {@linkcode RunConfig}. */
export interface ModelConfig {
  /** A preset, or the path of a graph or of weights. */
  readonly source: string;
  /** File with weights for a preset or a graph. */
  readonly weights?: string;
  /** Preset that a file holds the weights of. Default: recognised. */
  readonly preset?: string;
  /** How many classes it gets: where it has others, its last layer is new. Default: those that it has. */
  readonly classes?: number;
  /** Mean of each channel of the images, 255 being 1. Default: the model file's or the data set's. */
  readonly mean?: readonly number[];
  /** Standard deviation of each channel, 255 being 1, together with the mean. */
  readonly std?: readonly number[];
}

/** The branch `device` of a {@linkcode RunConfig}. */
export interface DeviceConfig {
  /** The adapter to run on. */
  readonly adapter: "auto" | "high-performance" | "low-power" | "fallback";
  /** How matrix products read their operands. */
  readonly readPath: "auto" | "storage" | "texture" | "subgroup";
  /** Number of examples that evaluation takes at a time. Default: as many as fit, at most 256. */
  readonly evaluationBatch?: number;
  /** Whether matrix products are timed on the adapter. */
  readonly tune: "off" | "quick" | "full";
}

/** The branch `train` of a {@linkcode RunConfig}. */
export interface TrainConfig {
  /** Passes over the training examples before the first removal. */
  readonly epochs: number;
  /** Examples of a batch. */
  readonly batch: number;
  /** Batches of a step. */
  readonly accumulate: number;
  /** Learning rate, which the schedule starts from or rises to. */
  readonly learningRate: number;
  /** Share of each label that is spread over all classes, in [0, 1). */
  readonly labelSmoothing: number;
  /** Changes to training images. */
  readonly augmentation: "auto" | "none" | "flip" | "flip-crop";
  /** Side in pixels of the square that images lose, 0 for none. */
  readonly cutout: number;
  /** Alpha of the Beta distribution by which images are mixed, 0 for none. */
  readonly mixup: number;
  /** Rule that turns gradients into steps. */
  readonly optimizer: OptimizerConfig;
  /** How the learning rate moves. */
  readonly schedule: ScheduleConfig;
  /** What a phase ends with. */
  readonly averaging: AveragingConfig;
  /** What is learned from a teacher. Default: nothing. */
  readonly distillation?: DistillationConfig;
}

/** What every optimizer does to weights and gradients: part of an {@linkcode OptimizerConfig}. */
export interface RegularizationConfig {
  /** Pull of every weight towards zero. */
  readonly weightDecay: number;
  /** The same by one amount, whatever the size (L1). */
  readonly l1: number;
  /** Whether biases and batch norm's parameters are pulled too. */
  readonly decayBias: boolean;
  /** The most that the norm of all gradients, or the size of each, may be. Default: no limit. */
  readonly clip?: { readonly norm: number } | { readonly value: number };
}

/** The branch `train.optimizer` of a {@linkcode RunConfig}. */
export type OptimizerConfig =
  | RegularizationConfig & { readonly kind: "sgd"; readonly momentum: number }
  | RegularizationConfig & { readonly kind: "nesterov"; readonly momentum: number }
  | RegularizationConfig & {
    readonly kind: "adam" | "adamw";
    readonly beta1: number;
    readonly beta2: number;
    readonly epsilon: number;
  };

/** The branch `train.schedule` of a {@linkcode RunConfig}; all but the learning rate's factors are fractions of training. */
export type ScheduleConfig =
  | {
    readonly kind: "step";
    readonly milestones: readonly number[];
    readonly gamma: number;
    readonly warmup: number;
  }
  | { readonly kind: "constant"; readonly warmup: number }
  | { readonly kind: "cosine"; readonly floor: number; readonly warmup: number }
  | { readonly kind: "one-cycle"; readonly peakAt: number };

/** Whether batch norm's statistics are measured anew, and on which images. */
export type RecalibrationConfig = "none" | "plain" | "augmented";

/** The branch `train.averaging` of a {@linkcode RunConfig}: `from` is a fraction of a phase. */
export type AveragingConfig =
  | { readonly kind: "mean"; readonly from: number; readonly recalibrate: RecalibrationConfig }
  | {
    readonly kind: "ema";
    readonly from: number;
    readonly recalibrate: RecalibrationConfig;
    readonly decay: number;
  }
  | { readonly kind: "none" };

/** The branch `train.distillation` of a {@linkcode RunConfig}. */
export interface DistillationConfig {
  /** Share of the loss that follows the teacher's predictions, in (0, 1]. */
  readonly share: number;
  /** What the logits of both are divided by. */
  readonly temperature: number;
  /** File of the teacher. Default: fine-tuning follows the trained network. */
  readonly teacher?: string;
  /** Weight in the loss of the distance from the teacher's features, and which. Default: none. */
  readonly features?: { readonly weight: number; readonly maps: "last" | "stages" };
}

/** The branch `validation` of a {@linkcode RunConfig}. */
export interface ValidationConfig {
  /** Number of training examples that are held out. */
  readonly examples: number;
  /** Epochs without a better one that end a phase, 0 for no end. */
  readonly patience: number;
  /** What makes an epoch better. */
  readonly measure: "accuracy" | "loss";
  /** Drop of accuracy since before pruning, in [0, 1), above which a round is undone. Default: none is. */
  readonly allowedDrop?: number;
}

/** The branch `prune` of a {@linkcode RunConfig}: what each kind of goal leaves to say. */
export type PruneConfig =
  | PruneShared & {
    readonly goal: AmountGoal;
    readonly score: ScoreConfig;
    readonly select: RankedSelect;
  }
  | PruneShared & {
    readonly goal: ConfidenceGoal;
    readonly score: ConfidenceScore;
    readonly select: ThresholdSelect;
  }
  | PruneShared & {
    readonly goal: ConfidenceGoal & { readonly regrow: number };
    readonly score: ConfidenceScore & { readonly fisher: "batch" | "example" };
    readonly select: SelectLimits & { readonly granularity: "element" };
  }
  | PruneShared & {
    readonly goal: { readonly pattern: { readonly keep: number; readonly of: number } };
    readonly score: ScoreConfig;
    readonly select: Pick<SelectLimits, "protect"> & { readonly granularity: "element" };
  };

/** What a {@linkcode PruneConfig} has whatever the goal. */
export interface PruneShared {
  /** What follows each removal: batch norm measured anew, or a refit of the kept weights. */
  readonly after: { readonly recalibrate: RecalibrationConfig } | { readonly refit: RefitConfig };
  /** Passes over the training examples after each removal, and the fraction of training whose rates they go back to. */
  readonly finetune: { readonly epochs: number; readonly rewind: number } | { readonly epochs: 0 };
  /** Whether the trained network is pruned by other criteria too. */
  readonly compare: boolean;
}

/** A goal of a {@linkcode PruneConfig}: a fraction of the weights to remove, or a cost, and the way to it. */
export type AmountGoal =
  & (
    | { readonly sparsity: number }
    | { readonly cost: "parameters" | "multiplyAdds" | "bytes"; readonly max: number }
  )
  & (
    | { readonly schedule: "gradual" | "iterative"; readonly rounds: number }
    | { readonly schedule: "one-shot" }
  );

/** A goal of a {@linkcode PruneConfig}: a threshold of the confidence, and how many rounds may be taken. Default: all. */
export interface ConfidenceGoal {
  /** The confidence below which weights go, in (0, 1); `auto` has validation choose the round. */
  readonly confidence: number | "auto";
  /** Maximum number of rounds. Default: as many as it takes. */
  readonly rounds?: number;
}

/** An estimate of the Fisher information. */
export type FisherConfig = "batch" | "example" | "sampled";

/** How weights are scored: the branch `prune.score` of a {@linkcode RunConfig}. */
export type ScoreConfig =
  | Omit<ConfidenceScore, "temperature"> & { readonly temperature: number | "validation" }
  | { readonly by: "obd"; readonly fisher: FisherConfig }
  | { readonly by: Exclude<CriterionName, "confidence" | "obd"> };

/** How the confidence is computed: the branch `prune.score` beside a {@linkcode ConfidenceGoal}. */
export interface ConfidenceScore {
  /** The criterion. */
  readonly by: "confidence";
  /** The prior. */
  readonly prior: "evidence" | "matched";
  /** The estimate of the Fisher information. */
  readonly fisher: FisherConfig;
  /** What the information is divided by. */
  readonly temperature: number;
}

/** What keeps weights from going, in the branch `prune.select`. */
export interface SelectLimits {
  /** Least fraction of its weights, filters, channels or blocks that a layer keeps. */
  readonly floor: number;
  /** Layers that lose nothing. */
  readonly protect: readonly string[];
}

/** What else goes as one than single weights and channels: filters, or blocks of rows and columns. */
export type FilterOrBlock = "filter" | { readonly rows: number; readonly channels: number };

/** The branch `prune.select` beside an {@linkcode AmountGoal}. */
export type RankedSelect =
  & SelectLimits
  & { readonly scope: "global" | "layer" }
  & (
    | { readonly granularity: "element" }
    | { readonly granularity: "channel"; readonly roundTo: number; readonly perCost: boolean }
    | { readonly granularity: FilterOrBlock; readonly perCost: boolean }
  );

/** The branch `prune.select` beside a {@linkcode ConfidenceGoal}. */
export type ThresholdSelect =
  & SelectLimits
  & (
    | { readonly granularity: "element" }
    | { readonly granularity: "channel"; readonly roundTo: number }
    | { readonly granularity: FilterOrBlock }
  );

/** How kept weights are refitted: the branch `prune.after.refit` of a {@linkcode RunConfig}. */
export type RefitConfig =
  | { readonly by: "layers"; readonly selectionSteps: number }
  | {
    readonly by: "blocks" | "end-to-end";
    readonly selectionSteps: number;
    readonly steps: number;
    readonly learningRate: number;
  };

/** The branch `output` of a {@linkcode RunConfig}. */
export interface OutputConfig {
  /** Folder that is written to. Default: a new one, out/DATE-NAME. */
  readonly folder?: string;
  /** Whether a folder that is not empty is written into. */
  readonly force: boolean;
  /** Training steps between two checkpoints, 0 for none. Default: one every 5 minutes. */
  readonly checkpointEvery?: number;
  /** Whether the pruned model is shrunk by its empty channels. */
  readonly compact: boolean;
  /** Whether removed weights are left out of the file. */
  readonly store: "dense" | "sparse";
  /** Whether the model is written as ONNX too. Default: where it was read from ONNX. */
  readonly onnx?: boolean;
}

/**
 * A key, given its name and value, where it must be written: those that have no default where they may stand, and those that
 * tell kinds apart, of kinds that are not taken by default.
 */
export type NeededKey<Key, Value> = Key extends
  | ("confidence" | "regrow" | "cost" | "max" | "pattern" | "keep" | "of" | "rows" | "channels")
  | ("examples" | "share" | "weight" | "norm" | "value" | "refit") ? Key
  : Key extends "epochs" ? number extends Value ? never : Key
  : Key extends "kind" | "by" | "granularity" | "schedule" | "goal" ? [Value] extends [
      | ("sgd" | "step" | "mean" | "confidence" | "layers" | "element" | "gradual" | "iterative")
      | (AmountGoal | ScheduleConfig),
    ] ? never
    : Key
  : never;

/** What may be written for a part of a configuration: keys that have a default may be left out. */
export type PartInput<Part> = Part extends readonly unknown[] ? Part
  : Part extends object ?
      & { readonly [Key in keyof Part as NeededKey<Key, Part[Key]>]: PartInput<Part[Key]> }
      & { readonly [Key in keyof Part as Exclude<Key, NeededKey<Key, Part[Key]>>]?: PartInput<Part[Key]> }
  : Part;

/** What a run may be told: each key may be left out that has a default. */
export type RunConfigInput = PartInput<RunConfig>;
