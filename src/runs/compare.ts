/**
 * Compares criteria, and other variants of pruning, on the same trained networks: accuracy by variant, sparsity and seed,
 * right after the removal and, where asked for, after fine-tuning; on validation examples too, where some are held out.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatChoices, rememberingChooser } from "../kernels/product_choices.ts";
import { layOutParameters } from "../plan/layout.ts";
import { removedAt } from "../prune/goal.ts";
import { emptyLayers, type LayerCount } from "../prune/mask.ts";
import { countRemovedWeights } from "../prune/recipe.ts";
import { stagesTo } from "../prune/refit/prune_with_refit.ts";
import { needsVariance } from "../prune/score/criteria.ts";
import type { CriterionDefinition } from "../prune/score/own_criterion.ts";
import type { TemperatureChoice } from "../prune/score/temperature.ts";
import {
  type CompareCell,
  type CompareReport,
  isWhole,
  type TrainedResult,
  type ValidationResult,
} from "../report/compare_report.ts";
import { type CompareVariant, readVariant } from "./compare_variants.ts";
import { isAtChance, thinLayers } from "../report/warnings.ts";
import { applyRecipe } from "../api/apply_recipe.ts";
import { getCore } from "../api/model_core.ts";
import { checkReachable } from "./check_reach.ts";
import { checkPrunable, readRecipe } from "./read_recipe.ts";
import { checkSameComparison, describeComparedOn } from "./compared_on.ts";
import { readCores } from "./cores.ts";
import { tuneRun } from "./plans.ts";
import type { RunProgress } from "../train/phase.ts";
import { openTrained, type TrainedNetwork, type TrainedOptions } from "./trained_network.ts";

/** What a comparison is given. */
export interface CompareOptions extends TrainedOptions {
  /** Variants by name, such as `confidence/matched`. */
  readonly variants: readonly string[];
  /** Criteria of your own, which the names of variants may begin with. */
  readonly criteria?: readonly CriterionDefinition[];
  /** Fractions of the weights to remove. */
  readonly sparsities: readonly number[];
  /** Seeds of initial weights, splits, batches and random scores. */
  readonly seeds: readonly number[];
  /** Versions of what computes, by name, for the report. */
  readonly versions: Readonly<Record<string, string>>;
  /** What an earlier run of the same comparison found: its cells are not computed again, and its cores are taken. */
  readonly before?: CompareReport;
  /** How an earlier run computed its products, as its report says; those of `before` where that is given. */
  readonly cores?: Readonly<Record<string, string>>;
  /** Called whenever there is more, with a new cell where that is it, so that it can be kept. */
  readonly onReport?: (report: CompareReport, found?: CompareCell) => Promise<void>;
}

/**
 * Compares variants of pruning. Each finished cell is reported at once.
 *
 * @throws {ConfigError} Where a variant is none, takes what the model has not or removes more than may go, or what was
 *   found before is of another comparison.
 * @throws {ShapeError} Where the model does not fit the data, or there are too few examples.
 * @throws {AdapterError} Where the device has not a core that the earlier run took.
 * @throws The reason of `options.signal` where it ends the comparison.
 */
export async function runCompare(gpu: Gpu, options: CompareOptions): Promise<CompareReport> {
  const { config, dataset, graph, seeds, sparsities, before, variants: names, criteria = [] } = options;
  const variants = names.map((name) => readVariant(name, config, criteria));
  const layout = layOutParameters(graph);
  for (const variant of variants) {
    checkPrunable({ layout, graph }, readRecipe(variant.config, dataset, variant.by));
    for (const sparsity of sparsities) {
      const act = `compare ${variant.name} at`, masks = options.weights?.masks;
      checkReachable({ layout, graph }, variant.config, { goal: { sparsity }, masks, act, by: variant.by });
    }
  }
  const choices = readCores(gpu, before?.cores ?? options.cores),
    lists = { variants: names, sparsities, seeds };
  const comparedOn = await describeComparedOn(gpu, { ...options, lists, choices, criteria });
  const choose = rememberingChooser(choices, options.choose ?? gpu.choose);
  let report: CompareReport = { ...comparedOn, trained: before?.trained ?? [], cells: before?.cells ?? [] };
  if (before) checkSameComparison(before, report);
  await options.onStart?.();
  const prunings = variants.map(({ config }) => config.prune);
  if (!options.choose) await tuneRun(gpu, { ...options, prunings, cores: before?.cores ?? options.cores });
  const isDone = (seed: number, variant: string, sparsity: number) =>
    report.cells.some((cell) =>
      cell.seed === seed && cell.variant === variant && cell.sparsity === sparsity && isWhole(report, cell)
    );
  const add = async (
    { trained, cell }: { readonly trained?: TrainedResult; readonly cell?: CompareCell },
  ) => {
    const { cells, trained: networks } = report;
    report = {
      ...report,
      cores: formatChoices(choices),
      trained: trained ? [...networks.filter(({ seed }) => seed !== trained.seed), trained] : networks,
      cells: cell ? [...cells.filter((other) => !isSame(other, cell)), cell] : cells,
    };
    await options.onReport?.(report, cell);
  };
  for (const seed of seeds) {
    const missing = variants.map((variant) => ({
      variant,
      sparsities: sparsities.filter((sparsity) => !isDone(seed, variant.name, sparsity)),
    })).filter(({ sparsities }) => sparsities.length > 0);
    if (missing.length === 0) continue;
    const keepsVariance = missing.some(({ variant }) => needsVariance(variant.by));
    const trained = await openTrained(gpu, {
      ...options,
      choose,
      config: { ...config, seed },
      keepsVariance,
    });
    using _model = trained.model;
    if (!report.trained.some((one) => one.seed === seed && isWhole(report, one))) {
      const { validation, accuracy } = await measure(trained, options.signal);
      await add({ trained: { seed, accuracy, ...(validation ? { validation } : {}) } });
    }
    options.signal?.throwIfAborted();
    for (const { variant, sparsities } of missing) {
      for await (const cell of compareVariant(trained, variant, { ...options, seed, sparsities })) {
        await add({ cell });
        options.signal?.throwIfAborted();
      }
    }
  }
  return report;
}

function isSame(a: CompareCell, b: CompareCell): boolean {
  return a.seed === b.seed && a.variant === b.variant && a.sparsity === b.sparsity;
}

/** Measures a network on the test examples, and on those for validation where there are some. */
async function measure(
  { model, splits: { test, validation } }: Pick<TrainedNetwork, "model" | "splits">,
  signal: AbortSignal | undefined,
): Promise<{ readonly accuracy: number; readonly validation: ValidationResult | undefined }> {
  const { accuracy } = await model.evaluate(test, { signal });
  if (!validation) return { accuracy, validation: undefined };
  const { accuracy: right, loss } = await model.evaluate(validation, { signal });
  return { accuracy, validation: { accuracy: right, loss } };
}

/** Removes from a trained network at each sparsity. */
async function* compareVariant(
  trained: TrainedNetwork,
  { name, config: base, by, isStaged }: CompareVariant,
  { seed, sparsities, onProgress, signal }: Pick<CompareOptions, "sparsities" | "onProgress" | "signal"> & {
    readonly seed: number;
  },
): AsyncGenerator<CompareCell> {
  const { model, splits, state } = trained, config: RunConfig = { ...base, seed };
  const { prunableCount } = getCore(model).network.layout, recipe = readRecipe(config, splits.limited, by);
  const inputs = { ...splits, trainedOn: splits.train.count, signal };
  for (const [i, sparsity] of sparsities.entries()) {
    model.restore(state);
    // Weights are scored anew on the way, since removing so much at once would choose worse.
    const stages = isStaged ? stagesTo(sparsity) : [sparsity];
    const posteriorTemperatures: TemperatureChoice[] = [];
    let layers: readonly LayerCount[] = [];
    for (const stage of stages) {
      const onRefit = (progress: RunProgress) =>
        onProgress?.(`refit ${name} at ${stage}, seed ${seed}`, progress);
      const amount = { weights: removedAt(stage, prunableCount) };
      const isFinal = stage === sparsity;
      const options = { ...inputs, isScored: !isStaged && i > 0, isFinal, onRefit };
      const removal = await applyRecipe(getCore(model), recipe, amount, options);
      if (removal.temperature) posteriorTemperatures.push(removal.temperature);
      layers = removal.layers;
    }
    const { accuracy, validation } = await measure(trained, signal);
    const removed = countRemovedWeights(layers);
    const empty = emptyLayers(layers), thin = thinLayers(layers, config.prune.select.granularity);
    const chance = { classes: splits.limited.classes.length, examples: splits.test.count };
    const chanceOf = (accuracy: number) => isAtChance(accuracy, chance) ? { isAtChance: true } as const : {};
    const cell = {
      ...{ variant: name, sparsity, seed, removed: removed / prunableCount, accuracy },
      ...(empty.length > 0 ? { emptyLayers: empty } : {}),
      ...(thin.length > 0 ? { thinLayers: thin.map(({ name }) => name) } : {}),
      ...(validation ? { validation } : {}),
      ...(posteriorTemperatures.length > 0 ? { posteriorTemperatures } : {}),
    };
    if (config.prune.finetune.epochs === 0) {
      yield { ...cell, ...chanceOf(accuracy) };
      continue;
    }
    await trained.finetune(`${name} at ${sparsity}, seed ${seed}`);
    const finetuned = await measure(trained, signal);
    yield {
      ...cell,
      accuracyFinetuned: finetuned.accuracy,
      ...chanceOf(finetuned.accuracy),
      ...(finetuned.validation ? { validationFinetuned: finetuned.validation } : {}),
    };
  }
}
