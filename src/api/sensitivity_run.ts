/**
 * How sensitive each layer is: every layer with prunable weights pruned alone, at several sparsities.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { layerNameOf, layOutParameters } from "../plan/layout.ts";
import type { SensitivityCell, SensitivityReport } from "../prune/compare_report.ts";
import { prunableTensors } from "../prune/criteria.ts";
import { removedAt } from "../prune/goal.ts";
import type { LayerCount } from "../prune/mask.ts";
import { refusePattern } from "./compare_variants.ts";
import { checkPrunable, removalOf, scoringOf } from "./prune_options.ts";
import { openTrained, type TrainedOptions } from "./trained_network.ts";

/** What a scan of sensitivity is given. Its configuration holds validation examples out. */
export interface SensitivityOptions extends TrainedOptions {
  /** Fractions of a layer's weights to remove. */
  readonly sparsities: readonly number[];
  /** Versions of what computes, by name, for the report. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Removes weights, or none where so many may not go: a layer keeps one group, and what others share with it. */
async function removeIfPossible(remove: () => Promise<readonly LayerCount[]>) {
  try {
    return await remove();
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/**
 * Prunes each layer alone, and measures what that costs on validation examples. Where a layer may not lose as much as a
 * sparsity asks for, that cell is left out.
 *
 * @throws {ConfigError} Where there are no validation examples, the temperature is to be chosen, or no layer may lose so much.
 * @throws {ShapeError} Where the model does not fit the data, or there are too few examples.
 */
export async function runSensitivity(gpu: Gpu, options: SensitivityOptions): Promise<SensitivityReport> {
  const { config, dataset, graph, sparsities, versions } = options, { criterion } = config;
  refusePattern(config, "scan at sparsities");
  if (config.posteriorTemperature === "auto") {
    const current = "each removal would go by another", wanted = "a number";
    throw new ConfigError({ act: "scan at", thing: "posteriorTemperature auto", current, wanted });
  }
  checkPrunable({ layout: layOutParameters(graph), graph }, config);
  const { model: opened, splits, state, settler: opensWith } = await openTrained(gpu, options);
  using model = opened, settler = opensWith;
  const { train, calibration, validation } = splits;
  if (!validation) {
    const current = "no examples for validation", wanted = "a configuration with validation above 0";
    throw new ConfigError({ act: "scan the layers of", thing: graph.name, current, wanted });
  }
  const measure = async () => {
    const { accuracy, loss } = await model.evaluate(validation);
    return { accuracy, loss };
  };
  const trained = { ...await measure(), validation: validation.count };
  await model.score(calibration, scoringOf(config, { criterion, examples: train.count }));
  const tensors = prunableTensors(model.network.layout), names = tensors.map(layerNameOf);
  const before = (await model.pruner.count()).map(({ weights, kept }) => weights - kept);
  const removedBefore = before.reduce((sum, removed) => sum + removed, 0);
  const removal = removalOf(config), cells: SensitivityCell[] = [];
  for (const [i, { fullName, count }] of tensors.entries()) {
    if (removal.protect!.includes(names[i])) continue;
    const protect = names.filter((name) => name !== names[i]);
    for (const sparsity of sparsities) {
      model.restore(state);
      settler.restored(config);
      await settler.prepare(config);
      // What other layers lack already counts too.
      const target = removedBefore - before[i] + Math.max(before[i], removedAt(sparsity, count));
      const layers = await removeIfPossible(() => model.remove(target, { ...removal, protect }));
      if (!layers) continue;
      await settler.settle(config);
      const { weights, kept } = layers.find(({ name }) => name === fullName)!;
      cells.push({ layer: names[i], sparsity, removed: weights - kept, ...await measure() });
    }
  }
  if (cells.length === 0) {
    const current = "no layer may lose so much alone", wanted = "another granularity, criterion or sparsity";
    throw new ConfigError({ act: "scan the layers of", thing: graph.name, current, wanted });
  }
  const { name, source } = dataset;
  return {
    version: 1,
    versions,
    adapter: gpu.adapter.name,
    dataset: { name, source, train: dataset.train.count, test: dataset.test.count },
    model: graph.name,
    config,
    trained,
    cells,
  };
}
