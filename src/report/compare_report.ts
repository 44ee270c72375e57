/**
 * What comparisons found: by variant, sparsity and seed, and by layer. The schemas document the keys.
 *
 * @module
 */
import { z } from "zod";
import { type ImageFacts, imageFactsSchema } from "../data/image_options.ts";
import { type RunConfig, runConfigSchema, type Schema } from "../config/config.ts";
import { upgradeReport } from "../config/upgrade.ts";
import { type GpuIdentity, gpuIdentitySchema } from "../gpu/identity.ts";
import { type TemperatureChoice, temperatureChoiceSchema } from "../prune/score/temperature.ts";

/** How a network did on the validation examples, by which variants may be chosen: test images choose nothing. */
export interface ValidationResult {
  /** Accuracy in [0, 1]. */
  readonly accuracy: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
}

/** What one trained network of a comparison is. */
export interface TrainedResult {
  /** The seed of its initial weights, splits and batches. */
  readonly seed: number;
  /** Test accuracy. */
  readonly accuracy: number;
  /** On the validation examples, where the configuration holds some out. */
  readonly validation?: ValidationResult;
}

/** Accuracy of one variant at one sparsity with one seed. */
export interface CompareCell {
  /** The variant's name, such as `confidence/matched`. */
  readonly variant: string;
  /** The sparsity that was asked for. */
  readonly sparsity: number;
  /** The seed of the trained network, its splits and batches. */
  readonly seed: number;
  /** Fraction of the prunable weights that is removed: groups may be a little more than was asked for. */
  readonly removed: number;
  /** Test accuracy right after the removal. */
  readonly accuracy: number;
  /** Test accuracy after fine-tuning, where there was any. */
  readonly accuracyFinetuned?: number;
  /** On the validation examples right after the removal, where the configuration holds some out. */
  readonly validation?: ValidationResult;
  /** On the validation examples after fine-tuning, which takes its best epoch by them, where there was any. */
  readonly validationFinetuned?: ValidationResult;
  /** Layers of which no weight is left, by name, where there are some. */
  readonly emptyLayers?: readonly string[];
  /** Layers that keep something, but under 5 % of their channels, filters or weights, by name, where there are some. */
  readonly thinLayers?: readonly string[];
  /** True where test accuracy at the end is no better than chance. */
  readonly isAtChance?: true;
  /** The temperatures chosen on them, where the variant has them chosen: one a removal, several with a refit. */
  readonly posteriorTemperatures?: readonly TemperatureChoice[];
}

/** What a comparison was asked for, beside its configuration. */
export interface ComparedLists {
  /** Variants by name; absent in scans of sensitivity. */
  readonly variants?: readonly string[];
  /** Fractions to remove. */
  readonly sparsities: readonly number[];
  /** Seeds; absent in scans of sensitivity. */
  readonly seeds?: readonly number[];
}

/** What computed something, and from what; with these the same run gives the same numbers. */
export interface ComparedOn {
  /** Version of this format. */
  readonly version: 3;
  /** Versions of what computed it, by name. */
  readonly versions: Readonly<Record<string, string>>;
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
    /** Examples that it has, of which the configuration takes its share. */
    readonly train: number;
    readonly test: number;
    /** What became of the files of images; absent for other data sets. */
    readonly images?: ImageFacts;
  };
  /** Digests of the examples, the graph and the weights to start from, by name; absent in older reports. */
  readonly contents?: Readonly<Record<string, string>>;
  /** Name of the model. */
  readonly model: string;
  /** All that was asked for and does not differ between variants, defaults filled in. */
  readonly config: RunConfig;
  /** By name, the expression of each criterion that was given by value, or that it is a function; absent without any. */
  readonly ownCriteria?: Readonly<Record<string, string>>;
  /** What was asked for last; absent in older reports. */
  readonly lists?: ComparedLists;
}

/** What a comparison found so far. */
export interface CompareReport extends ComparedOn {
  /** Each trained network. */
  readonly trained: readonly TrainedResult[];
  /** What was found, in the order in which it was. */
  readonly cells: readonly CompareCell[];
}

/** True where a result has all that a comparison reports; those of before validation was reported may lack that. */
export function isWhole(
  { config }: Pick<ComparedOn, "config">,
  { validation }: Pick<CompareCell | TrainedResult, "validation">,
): boolean {
  return config.validation === undefined || validation !== undefined;
}

/** One layer, or set of coupled channels, pruned alone. */
export interface SensitivityCell {
  /** The layer's name, such as `conv1`; of channels the layers that make them, such as `conv1 + block1.conv2`. */
  readonly layer: string;
  /** Fraction that was to be removed of its weights, or of those that go with the channels. */
  readonly sparsity: number;
  /** Those of them that are removed. */
  readonly removed: number;
  /** Accuracy and mean loss in nats on the validation examples, right after the removal. */
  readonly accuracy: number;
  /** Mean loss in nats on the validation examples. */
  readonly loss: number;
}

/** How sensitive each layer is to being pruned alone. */
export interface SensitivityReport extends ComparedOn {
  /** The trained network on the validation examples. */
  readonly trained: { readonly accuracy: number; readonly loss: number; readonly validation: number };
  /** What was found, layer by layer. */
  readonly cells: readonly SensitivityCell[];
}

const count = z.int().min(0), fraction = z.number().min(0).max(1);

const comparedOn = {
  version: z.literal(3),
  versions: z.record(z.string(), z.string()),
  adapter: z.string(),
  gpu: gpuIdentitySchema.exactOptional(),
  cores: z.record(z.string(), z.string()).exactOptional(),
  dataset: z.strictObject({
    name: z.string(),
    source: z.string(),
    train: count,
    test: count,
    images: imageFactsSchema.exactOptional(),
  }),
  contents: z.record(z.string(), z.string()).exactOptional(),
  model: z.string(),
  lists: z.strictObject({
    variants: z.array(z.string()).exactOptional(),
    sparsities: z.array(fraction),
    seeds: z.array(count).exactOptional(),
  }).exactOptional(),
  config: z.custom<RunConfig>((value) => runConfigSchema.safeParse(value).success, "a prune config"),
  ownCriteria: z.record(z.string(), z.string()).exactOptional(),
};

const validation = z.strictObject({ accuracy: fraction, loss: z.number().min(0) });

const compare = z.strictObject({
  ...comparedOn,
  trained: z.array(z.strictObject({
    seed: count,
    accuracy: fraction,
    validation: validation.exactOptional(),
  })),
  cells: z.array(z.strictObject({
    variant: z.string(),
    sparsity: fraction,
    seed: count,
    removed: fraction,
    emptyLayers: z.array(z.string()).exactOptional(),
    thinLayers: z.array(z.string()).exactOptional(),
    isAtChance: z.literal(true).exactOptional(),
    accuracy: fraction,
    accuracyFinetuned: fraction.exactOptional(),
    validation: validation.exactOptional(),
    validationFinetuned: validation.exactOptional(),
    posteriorTemperatures: z.array(temperatureChoiceSchema).exactOptional(),
  })),
});

const sensitivity = z.strictObject({
  ...comparedOn,
  trained: z.strictObject({ accuracy: fraction, loss: z.number(), validation: count }),
  cells: z.array(z.strictObject({
    layer: z.string(),
    sparsity: fraction,
    removed: count,
    accuracy: fraction,
    loss: z.number(),
  })),
});

/** The schema of `compare.json`. */
export const compareReportSchema: Schema<CompareReport> = z.preprocess(upgradeReport, compare);

/** The schema of `sensitivity.json`. */
export const sensitivityReportSchema: Schema<SensitivityReport> = z.preprocess(upgradeReport, sensitivity);
