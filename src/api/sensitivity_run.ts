/**
 * How sensitive each layer is: every layer with prunable weights pruned alone, at several sparsities.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { layerNameOf } from "../plan/layout.ts";
import type { SensitivityCell, SensitivityReport } from "../prune/compare_report.ts";
import { prunableTensors } from "../prune/criteria.ts";
import { removedAt } from "../prune/goal.ts";
import { refusePattern } from "./compare_variants.ts";
import { removalOf, scoringOf } from "./prune_options.ts";
import { openTrained, type TrainedOptions } from "./trained_network.ts";

/** What a scan of sensitivity is given. Its configuration holds validation examples out. */
export interface SensitivityOptions extends TrainedOptions {
  /** Fractions of a layer's weights to remove. */
  readonly sparsities: readonly number[];
  /** Versions of what computes, by name, for the report. */
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * Prunes each layer alone, and measures what that costs on validation examples.
 *
 * @throws {ConfigError} Where there are no validation examples, the temperature is to be chosen, or a layer cannot lose so much.
 * @throws {ShapeError} Where the model does not fit the data, or there are too few examples.
 */
export async function runSensitivity(gpu: Gpu, options: SensitivityOptions): Promise<SensitivityReport> {
  const { config, dataset, graph, sparsities, versions } = options, { criterion } = config;
  refusePattern(config, "scan at sparsities");
  if (config.posteriorTemperature === "auto") {
    const current = "each removal would go by another", wanted = "a number";
    throw new ConfigError({ act: "scan at", thing: "posteriorTemperature auto", current, wanted });
  }
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
      const layers = await model.remove(target, { ...removal, protect });
      await settler.settle(config);
      const { weights, kept } = layers.find(({ name }) => name === fullName)!;
      cells.push({ layer: names[i], sparsity, removed: weights - kept, ...await measure() });
    }
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
