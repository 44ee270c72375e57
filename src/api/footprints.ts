/**
 * The device memory that calls of a model need, before they are made.
 *
 * @module
 */
import type { Split } from "../data/split.ts";
import { Owner } from "../dispose.ts";
import type { Footprint } from "../plan/footprint.ts";
import { pruningFootprint } from "../prune/footprint.ts";
import { evaluationFootprint, trainingFootprint } from "../train/footprints.ts";
import type { ModelCore } from "./model_core.ts";
import type { ModelTrainOptions, PruningMemoryOptions } from "./model_options.ts";
import { openSampled } from "./open_refit.ts";
import { openTraining } from "./train_model.ts";

/** See `Model.footprint`. */
export function computeFootprint(core: ModelCore, split: Split, options: ModelTrainOptions): Footprint {
  const { network } = core;
  using open = openTraining(core, split, options);
  return trainingFootprint(network, open.examples, open.options);
}

/** See `Model.evaluationFootprint`. */
export function computeEvaluationFootprint(core: ModelCore, split: Split): Footprint {
  using open = core.images.open(split, { name: "split" });
  return evaluationFootprint(core.network, open.examples, core.tools);
}

/** See `Model.pruningFootprint`. */
export async function computePruningFootprint(
  core: ModelCore,
  calibration: Split,
  { by = "confidence", after = {}, ...options }: PruningMemoryOptions,
): Promise<Footprint> {
  using stack = new Owner();
  const { choose } = core.tools, settings = "refit" in after ? after.refit : undefined;
  const sampled = settings && stack.use(await openSampled(core, calibration, settings.batch));
  const { examples } = stack.use(core.images.open(calibration, { name: "calibration" }));
  const refit = sampled && settings ? { examples: sampled.examples, settings } : undefined;
  return pruningFootprint(core.network, examples, { ...options, by, choose, refit });
}
