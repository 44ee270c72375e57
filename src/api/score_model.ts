/**
 * Scores of a model's weights, the confidence in them, and their removal by these.
 *
 * @module
 */
import type { Split } from "../data/split.ts";
import { ConfigError, ShapeError } from "../errors.ts";
import type { LayerCount } from "../prune/mask.ts";
import { countsExamples, type Criterion, needsGradients, prunableTensors } from "../prune/score/criteria.ts";
import type { RemovalOptions } from "../prune/select/removal.ts";
import { checkScoring } from "./check_options.ts";
import type { ModelCore } from "./model_core.ts";
import type { Confidences, ScoreOptions } from "./model_options.ts";
import { readTensors } from "./read_model.ts";
import { scoringPlans } from "./tuned_plans.ts";

/** See `Model.score`. */
export function scoreModel(core: ModelCore, calibration: Split, options: ScoreOptions): Promise<void> {
  return core.call("scoring", () => score(core, calibration, options), options.signal);
}

async function score(core: ModelCore, calibration: Split, options: ScoreOptions): Promise<void> {
  checkScoring(options);
  const { by = "confidence", seed = 0, fisher, signal, onProgress } = options;
  const { network, tools } = core;
  examplesFor(core, by, options.examples);
  // A split that does not fit is refused by every criterion.
  using open = core.images.open(calibration, { name: "calibration" });
  if (needsGradients(by)) {
    await core.tune(scoringPlans(network, open.examples, { fisher, choose: tools.choose }), signal);
    const estimate = fisher ? { estimate: fisher, seed } : {};
    await core.pruner.accumulate(open.examples, { ...tools, ...estimate, signal, onProgress });
  }
  await rescore(core, options);
}

/** See `Model.rescore`. */
export function rescoreModel(core: ModelCore, options: Omit<ScoreOptions, "fisher">): Promise<void> {
  return core.call("scoring", () => rescore(core, options), options.signal);
}

async function rescore(core: ModelCore, options: Omit<ScoreOptions, "fisher">): Promise<void> {
  checkScoring(options);
  const { by = "confidence", prior = "evidence", seed = 0, temperature } = options;
  const examples = examplesFor(core, by, options.examples);
  core.network.copyArena("values", "mean");
  const settings = { examples, seed, prior, ...(temperature === undefined ? {} : { temperature }) };
  await core.pruner.score(by, settings);
}

/** See `Model.confidence`. */
export function measureConfidence(
  core: ModelCore,
  calibration: Split,
  options: Omit<ScoreOptions, "by">,
): Promise<Confidences> {
  return core.call("scoring", async () => {
    await score(core, calibration, { ...options, by: "confidence" });
    const layers = await core.pruner.confidences();
    const tensors = await readTensors(core, "confidence", prunableTensors(core.network.layout));
    return { tensors, layers };
  }, options.signal);
}

/** How many examples a criterion counts: as given, or as the model knows; criteria may count none. */
export function examplesFor(
  core: ModelCore,
  criterion: Criterion = "confidence",
  given: number | undefined,
): number {
  const examples = given ?? core.examples ?? (countsExamples(criterion) ? undefined : 1);
  if (examples !== undefined) return examples;
  const current = "not given, and neither a training nor a file tells";
  const wanted = "how many examples its values were trained on";
  throw new ConfigError({ act: "score with", thing: "examples", current, wanted });
}

/** See `Model.remove`. */
export function removeWeights(
  core: ModelCore,
  removed: number,
  options: RemovalOptions,
): Promise<readonly LayerCount[]> {
  return core.callAndCount("removing weights of", async () => {
    const { prunableCount } = core.network.layout;
    if (!Number.isInteger(removed) || removed < 0 || removed > prunableCount) {
      const wanted = `an integer from 0 to ${prunableCount}, the prunable weights of ${core.graph.name}`;
      const current = "not a possible count";
      throw new ShapeError({ act: "remove weights", thing: `${removed}`, current, wanted });
    }
    return await core.pruner.remove(removed, options);
  });
}
