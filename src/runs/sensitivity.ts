/**
 * How sensitive each layer is: every layer with prunable weights, or every set of coupled channels, pruned alone, at
 * several sparsities.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatChoices, rememberingChooser } from "../kernels/product_choices.ts";
import { layOutParameters } from "../plan/layout.ts";
import type { SensitivityCell, SensitivityReport } from "../report/compare_report.ts";
import { needsVariance, prunableTensors } from "../prune/score/criteria.ts";
import type { CriterionDefinition } from "../prune/score/own_criterion.ts";
import { maxRemovable } from "../prune/reach/reach.ts";
import { countRemovedWeights, type Removal } from "../prune/recipe.ts";
import { type RemovalOptions, TooManyError } from "../prune/select/removal.ts";
import { applyRecipe } from "../api/apply_recipe.ts";
import { getCore } from "../api/model_core.ts";
import { refusePattern } from "./compare_variants.ts";
import { removedBy } from "./check_reach.ts";
import { checkPrunable, readRecipe } from "./read_recipe.ts";
import { checkSameComparison, describeComparedOn } from "./compared_on.ts";
import { readCores } from "./cores.ts";
import { tuneRun } from "./plans.ts";
import { computeTarget, scanUnits } from "./scan_units.ts";
import { openTrained, type TrainedOptions } from "./trained_network.ts";
import type { RunProgress } from "../train/phase.ts";

/** What a scan of sensitivity is given. Its configuration holds validation examples out. */
export interface SensitivityOptions extends TrainedOptions {
  /** Fractions to remove of a layer's weights, or of those that go with a set of coupled channels. */
  readonly sparsities: readonly number[];
  /** Scores by a criterion of your own, in place of `config.prune.score.by`. */
  readonly by?: CriterionDefinition;
  /** How an earlier run computed its products, as its report says; others are as `choose` says. */
  readonly cores?: Readonly<Record<string, string>>;
  /** Versions of what computes, by name, for the report. */
  readonly versions: Readonly<Record<string, string>>;
  /** What an earlier run of the same scan found: its cells are not computed again, and its cores are taken. */
  readonly before?: SensitivityReport;
  /** Called once the network is trained and whenever there is more, with a new cell, so that it can be kept. */
  readonly onReport?: (report: SensitivityReport, found?: SensitivityCell) => Promise<void>;
}

/** Removes weights, or none where so many may not go: a layer keeps one group, and what others share with it. */
async function removeIfPossible(remove: () => Promise<Removal>): Promise<Removal | undefined> {
  try {
    return await remove();
  } catch (error) {
    if (error instanceof TooManyError) return undefined;
    throw error;
  }
}

/**
 * Prunes each layer alone, or where channels go each set of coupled ones, and measures what that costs on validation
 * examples. Where a layer may not lose as much as a sparsity asks for, that cell is left out.
 *
 * @throws {ConfigError} Where there are no validation examples, the temperature is to be chosen, no layer may lose so much, or
 *   what was found before is of another scan.
 * @throws {ShapeError} Where the model does not fit the data, or there are too few examples.
 * @throws {AdapterError} Where the device has not a core that the earlier run took.
 * @throws The reason of `options.signal` where it ends the scan.
 */
export async function runSensitivity(gpu: Gpu, options: SensitivityOptions): Promise<SensitivityReport> {
  const { config, dataset, graph, sparsities } = options, { score } = config.prune;
  const { by: criterion = score.by } = options;
  refusePattern(config, "scan at sparsities");
  if (score.by === "confidence" && score.temperature === "validation") {
    const current = "each removal would go by another", wanted = "a number";
    throw new ConfigError({ act: "scan at", thing: "prune.score.temperature validation", current, wanted });
  }
  const layout = layOutParameters(graph),
    recipe = readRecipe(config, dataset, criterion),
    masks = options.weights?.masks;
  checkPrunable({ layout, graph }, recipe);
  const refuse = (current: string, wanted: string) =>
    new ConfigError({ act: "scan the layers of", thing: graph.name, current, wanted });
  if (!config.validation) {
    throw refuse("no examples for validation", "a configuration with validation examples");
  }
  const tooMuch = () =>
    refuse("no layer may lose so much alone", "another granularity, criterion or sparsity");
  const removed = removedBy(masks), names = prunableTensors(layout).map(({ fullName }) => fullName);
  const removedInAll = names.reduce((sum, name) => sum + (removed.get(name) ?? 0), 0);
  const asked = scanUnits({ graph, layout, masks }, recipe.select).flatMap((unit) => {
    const own: RemovalOptions = { ...recipe.select, ...unit.options };
    const most = maxRemovable({ graph, layout }, { criterion, options: own, removed });
    const all = most.reduce((sum, count) => sum + count, 0);
    return sparsities.map((sparsity) => ({
      ...{ unit, sparsity, own, target: computeTarget(unit, sparsity, removedInAll) },
    })).filter(({ target }) => target <= all);
  });
  if (asked.length === 0) throw tooMuch();
  const { before } = options, choices = readCores(gpu, before?.cores ?? options.cores);
  const comparedOn = await describeComparedOn(gpu, {
    ...options,
    ...{ lists: { sparsities }, choices, criteria: options.by ? [options.by] : [] },
  });
  if (before) checkSameComparison(before, comparedOn);
  const choose = rememberingChooser(choices, options.choose ?? gpu.choose);
  await options.onStart?.();
  if (!options.choose) await tuneRun(gpu, { ...options, cores: before?.cores ?? options.cores });
  const { model: opened, splits, state } = await openTrained(gpu, {
    keepsVariance: needsVariance(criterion),
    ...options,
    choose,
  });
  using model = opened;
  const { train, calibration } = splits, validation = splits.validation!;
  const measure = async () => {
    const { accuracy, loss } = await model.evaluate(validation, { signal: options.signal });
    return { accuracy, loss };
  };
  const trained = { ...await measure(), validation: validation.count };
  let cells = before?.cells ?? [];
  const report = () => ({ ...comparedOn, cores: formatChoices(choices), trained, cells });
  await options.onReport?.(report());
  let isScored = false;
  for (const { unit, sparsity, own, target } of asked) {
    if (cells.some((cell) => cell.layer === unit.name && cell.sparsity === sparsity)) continue;
    options.signal?.throwIfAborted();
    model.restore(state);
    const onRefit = (progress: RunProgress) =>
      options.onProgress?.(`refit ${unit.name} at ${sparsity}`, progress);
    const inputs = { calibration, train, trainedOn: train.count, isScored, onRefit, signal: options.signal };
    const removal = await removeIfPossible(() =>
      applyRecipe(getCore(model), { ...recipe, select: own }, { weights: target }, inputs)
    );
    isScored = true;
    if (!removal) continue;
    const elsewhere = removedInAll - unit.removed, removed = countRemovedWeights(removal.layers) - elsewhere;
    const cell = { layer: unit.name, sparsity, removed, ...await measure() };
    cells = [...cells, cell];
    await options.onReport?.(report(), cell);
  }
  if (cells.length === 0) throw tooMuch();
  return report();
}
