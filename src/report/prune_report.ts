/**
 * The report of a prune run, `report.json`: its schema is the documentation of its keys.
 *
 * @module
 */
import { z } from "zod";
import { type RunConfig, runConfigSchema, type Schema } from "../config/config.ts";
import { upgradeReport } from "../config/upgrade.ts";
import { type GpuIdentity, gpuIdentitySchema } from "../gpu/identity.ts";
import { type ImageFacts, imageFactsSchema } from "../data/image_options.ts";
import type { ClassChange, Flips } from "./analysis.ts";
import type { CompactionReport } from "../prune/compact/compact_network.ts";
import type { Cost } from "../prune/cost.ts";
import type { PhaseResult } from "../train/phase.ts";
import type { PruneOutcome, PruneRound } from "../prune/loop.ts";
import type { PatternCount } from "../prune/select/pattern.ts";
import type { Pattern } from "../prune/select/removal.ts";
import { type TemperatureChoice, temperatureChoiceSchema } from "../prune/score/temperature.ts";

/** The time of a batch, of the network before and after compaction. */
export interface Latency {
  /** Images of the batch. */
  readonly batch: number;
  /** The median of seven batches before, in ms. */
  readonly beforeMs: number;
  /** The same after, measured in turn with those before. */
  readonly afterMs: number;
}

/**
 * When a run was made and how long things took, as `times.json` holds it. No time is ever the same twice, so a report,
 * which follows from configuration and adapter alone, does not hold it.
 */
export interface RunTimes {
  /** When the command started that ended the run, in ISO 8601. */
  readonly started: string;
  /** Seconds from then to the end of the run. */
  readonly seconds: number;
  /** True if that command went on with a run that was stopped; its seconds are then those of the rest. */
  readonly isResumed: boolean;
  /** The time of a batch; absent if no layer became smaller. */
  readonly batch?: Latency;
}

/** The classes that test examples were taken for: counts by class and prediction. */
export type Confusion = readonly (readonly number[])[];

/** Accuracy of one criterion at the final sparsity, removed at once from the same trained network. */
export interface CriterionResult {
  /** The criterion, such as `magnitude`. */
  readonly criterion: string;
  /** Fraction of the prunable weights removed. */
  readonly sparsity: number;
  /** Test accuracy right after the removal. */
  readonly accuracy: number;
  /** Test accuracy after fine-tuning, the same for every criterion. */
  readonly accuracyFinetuned: number;
  /** The temperature of the posterior that was chosen for the removal, where one was. */
  readonly posteriorTemperature?: TemperatureChoice;
}

/** A number for the network in each of its states. */
export interface NetworkStates {
  /** As the run started: with random or with given weights. */
  readonly untrained: number;
  /** After the run's own training; as it started where there was none. */
  readonly trained: number;
  /** After the last removal, before the training that follows it. */
  readonly pruned: number;
  /** At the end. */
  readonly finetuned: number;
}

/** A phase of training, epoch by epoch. */
export interface PhaseReport extends PhaseResult {
  /** Its name, such as `train`, `fine-tune 1/3` or `compare magnitude`. */
  readonly phase: string;
}

/** What became of one prunable tensor. */
export interface LayerReport {
  /** PyTorch's name, such as `conv1.weight`. */
  readonly name: string;
  /** Its weights in all. */
  readonly weights: number;
  /** Those that the pruned network keeps. */
  readonly kept: number;
  /** Output channels in all, and those left without a weight. */
  readonly channels: number;
  /** Output channels left without a weight. */
  readonly emptyChannels: number;
  /** Weights of the trained network by confidence, in equal bins from 0 to 1. */
  readonly confidenceHistogram: readonly number[];
  /** Prior precision of the layer at the trained network. */
  readonly priorPrecision: number;
}

/**
 * Everything that a prune run found out. The same configuration, with the same cores on the same adapter, gives the same
 * report, but for times.
 */
export interface PruneReport {
  /** Version of this format. */
  readonly version: 3;
  /** Versions of what computed it, by name, where they were told. */
  readonly versions?: Readonly<Record<string, string>>;
  /** Name of the adapter that computed it. */
  readonly adapter: string;
  /** What else identifies the device; absent in older reports. */
  readonly gpu?: GpuIdentity;
  /** The core and the splits by which each matrix product was computed, by operation and sizes; absent in older reports. */
  readonly cores?: Readonly<Record<string, string>>;
  /** What was learned from. */
  readonly dataset: {
    readonly name: string;
    /** Where it came from: a folder, an address or a package. */
    readonly source: string;
    readonly classes: readonly string[];
    /** Examples trained on, scored on and tested on. */
    readonly train: number;
    readonly calibration: number;
    readonly test: number;
    /** What became of the files of images; absent for other data sets. */
    readonly images?: ImageFacts;
  };
  /** Name of the model, `seed` for the built-in one. */
  readonly model: string;
  /** Seed of weights, batches, splits and augmentation. */
  readonly seed: number;
  /** All that was asked for, defaults filled in. */
  readonly config: RunConfig;
  /**
   * By name, the expression of the criterion that was given by value in place of the configuration's, or that it is a
   * function; absent without one.
   */
  readonly ownCriteria?: Readonly<Record<string, string>>;
  /** What is worth a warning, a sentence each; empty where nothing is, absent in older reports. */
  readonly warnings?: readonly string[];
  /** What the run started from: random weights, or given ones; absent in older reports. */
  readonly start?: "random" | "given";
  /** Test accuracy of the network in its four states, in [0, 1]. */
  readonly accuracy: NetworkStates & {
    /** The standard error of each, by the number of test examples; absent in older reports. */
    readonly standardError?: NetworkStates;
  };
  /** Mean cross-entropy on the test examples in nats; absent in older reports. */
  readonly loss?: Omit<NetworkStates, "pruned">;
  /**
   * The classes that test examples were taken for, before pruning and at the end: a row for each class of examples, a
   * column for each predicted class; absent in older reports, and for more than 256 classes.
   */
  readonly confusion?: { readonly trained: Confusion; readonly finetuned: Confusion };
  /** Every phase of training that had an epoch, in order; absent in older reports. */
  readonly training?: readonly PhaseReport[];
  /** Every compared criterion; empty where none was asked for. */
  readonly criteria: readonly CriterionResult[];
  /** Trained parameters in all, those of them that pruning may remove, and those removed. */
  readonly parameters: { readonly total: number; readonly prunable: number; readonly removed: number };
  /** Bytes of all parameters as floats, and of those that are kept with a bit a weight for the mask. */
  readonly bytes: { readonly before: number; readonly after: number };
  /** What the whole network costs, and the pruned one: as it is stored, and smaller where it was compacted. */
  readonly cost: { readonly before: Cost; readonly after: Cost };
  /** Bytes of the whole network's file, and of the pruned one's as it was written. */
  readonly fileBytes: { readonly before: number; readonly after: number };
  /** What compaction gained; null where there was none. */
  readonly compaction: CompactionReport | null;
  /** Every round of scoring, removal and fine-tuning. */
  readonly rounds: readonly PruneRound[];
  /** Why the loop ended. */
  readonly end: PruneOutcome["end"];
  /** The round whose network is kept, where validation examples chose it; 0 for the trained network. */
  readonly chosenRound?: number;
  /** What became of every prunable tensor. */
  readonly layers: readonly LayerReport[];
  /** Of granularity N:M, how the written weights hold it along PyTorch's columns; absent for others. */
  readonly pattern?: Pattern & { readonly layers: readonly PatternCount[] };
  /** Every class before pruning (trained) and after it (fine-tuned). */
  readonly classes: readonly ClassChange[];
  /** Test examples by whether they were right before and after. */
  readonly flips: Flips;
}

const count = z.int().min(0), fraction = z.number().min(0).max(1);

const cost = z.strictObject({ parameters: count, multiplyAdds: z.number().min(0), bytes: count });
const compactionCost = z.strictObject({ parameters: count, multiplyAdds: count, sizeBytes: count });

const states = { untrained: fraction, trained: fraction, pruned: fraction, finetuned: fraction };
const onExamples = { accuracy: fraction, loss: z.number() };
const training = z.array(z.strictObject({
  phase: z.string(),
  epochs: z.array(z.strictObject({ ...onExamples, validation: z.strictObject(onExamples).exactOptional() })),
  best: z.strictObject({ epoch: count, ...onExamples }).exactOptional(),
}));

const nats = z.number().min(0);
const confusion = z.array(z.array(count));

const compaction = z.strictObject({
  before: compactionCost,
  after: compactionCost,
  removedLayers: z.array(z.string()),
  channels: z.array(z.strictObject({ name: z.string(), before: count, after: count })),
  largestDifference: z.number().min(0),
});

const schema = z.strictObject({
  version: z.literal(3),
  versions: z.record(z.string(), z.string()).exactOptional(),
  adapter: z.string(),
  gpu: gpuIdentitySchema.exactOptional(),
  cores: z.record(z.string(), z.string()).exactOptional(),
  dataset: z.strictObject({
    name: z.string(),
    source: z.string(),
    classes: z.array(z.string()),
    train: count,
    calibration: count,
    test: count,
    images: imageFactsSchema.exactOptional(),
  }),
  model: z.string(),
  seed: count,
  config: z.custom<RunConfig>((value) => runConfigSchema.safeParse(value).success, "a prune config"),
  ownCriteria: z.record(z.string(), z.string()).exactOptional(),
  warnings: z.array(z.string()).exactOptional(),
  start: z.enum(["random", "given"]).exactOptional(),
  accuracy: z.strictObject({ ...states, standardError: z.strictObject(states).exactOptional() }),
  loss: z.strictObject({ untrained: nats, trained: nats, finetuned: nats }).exactOptional(),
  confusion: z.strictObject({ trained: confusion, finetuned: confusion }).exactOptional(),
  training: training.exactOptional(),
  criteria: z.array(z.strictObject({
    criterion: z.string(),
    sparsity: fraction,
    accuracy: fraction,
    accuracyFinetuned: fraction,
    posteriorTemperature: temperatureChoiceSchema.exactOptional(),
  })),
  parameters: z.strictObject({ total: count, prunable: count, removed: count }),
  bytes: z.strictObject({ before: count, after: count }),
  cost: z.strictObject({ before: cost, after: cost }),
  fileBytes: z.strictObject({ before: count, after: count }),
  compaction: compaction.nullable(),
  rounds: z.array(z.strictObject({
    round: z.int().min(1),
    removed: count,
    sparsity: fraction,
    outflow: count,
    inflow: count,
    below: count.exactOptional(),
    above: count.exactOptional(),
    accuracyPruned: fraction,
    accuracyFinetuned: fraction,
    accuracyValidation: fraction.exactOptional(),
    lossValidation: z.number().min(0).exactOptional(),
    lossErrorValidation: z.number().min(0).exactOptional(),
    posteriorTemperature: temperatureChoiceSchema.exactOptional(),
    isUndone: z.boolean(),
  })),
  end: z.enum([
    "asked sparsity",
    "asked size",
    "asked pattern",
    "fixed point",
    "validation",
    "rounds",
    "allowed drop",
  ]),
  chosenRound: count.exactOptional(),
  layers: z.array(z.strictObject({
    name: z.string(),
    weights: count,
    kept: count,
    channels: count,
    emptyChannels: count,
    confidenceHistogram: z.array(count),
    priorPrecision: z.number().min(0),
  })),
  pattern: z.strictObject({
    keep: count,
    of: count,
    layers: z.array(z.strictObject({ name: z.string(), groups: count, fitting: count })),
  }).exactOptional(),
  classes: z.array(z.strictObject({
    name: z.string(),
    count,
    before: fraction,
    after: fraction,
    change: z.int(),
    mistakenFor: z.strictObject({ name: z.string(), count }).nullable(),
  })),
  flips: z.strictObject({ rightToWrong: count, wrongToRight: count, stayedRight: count, stayedWrong: count }),
});

/** The schema of `times.json`. */
export const runTimesSchema: Schema<RunTimes> = z.strictObject({
  started: z.iso.datetime(),
  seconds: z.number().min(0),
  isResumed: z.boolean(),
  batch: z.strictObject({ batch: count, beforeMs: z.number().min(0), afterMs: z.number().min(0) })
    .exactOptional(),
});

/** The schema of `report.json`; parsing checks a report that was read. */
export const pruneReportSchema: Schema<PruneReport> = z.preprocess(upgradeReport, schema);
