/**
 * Pruning of a model: removals, the loop, refits and compaction.
 *
 * @module
 */
import { channelDefaults } from "../config/prune.ts";
import type { Split } from "../data/split.ts";
import type { PruneGoal } from "../prune/goal.ts";
import type { CompactOptions } from "../prune/compact/compact.ts";
import { type CompactionReport, compactNetwork } from "../prune/compact/compact_network.ts";
import { type PruneOutcome, pruneUntilStable } from "../prune/loop.ts";
import { pruneWithRefit, refitKept, type RefitStage } from "../prune/refit/prune_with_refit.ts";
import type { LayerRefitReport } from "../prune/refit/settings.ts";
import { checkRemoval } from "../prune/select/removal.ts";
import type { CallOptions } from "../train/call_options.ts";
import { epochsPerPhase } from "../train/phase.ts";
import { checkPruning } from "./check_options.ts";
import type { ModelCore } from "./model_core.ts";
import type { ModelPruneOptions, PruneWithRefitOptions, RefitOptions } from "./model_options.ts";
import { openSampled } from "./open_refit.ts";
import { modelAsPruneTarget } from "./prune_target.ts";
import { refitStages } from "./refit_stages.ts";
import { examplesFor } from "./score_model.ts";
import { trainModel } from "./train_model.ts";
import { refitPlans } from "./tuned_plans.ts";

/** See `Model.prune`. */
export function pruneModel(
  core: ModelCore,
  goal: PruneGoal,
  options: ModelPruneOptions,
): Promise<PruneOutcome> {
  return core.callAndCount("pruning", async () => {
    checkPruning(goal, options);
    const { schedule, allowedDrop, choosesRound, onRound, finetune, after = {}, ...others } = options;
    const { rounds = "threshold" in goal ? Infinity : 3 } = options;
    const { calibration, test = calibration, validation, train = calibration, ...rest } = others;
    const { examples, signal, onProgress, ...parts } = rest;
    const { by = "confidence", prior, fisher, temperature, seed, ...given } = parts;
    const select = given.granularity === "channel" && "cost" in goal
      ? { ...channelDefaults, ...given }
      : given;
    // The next call's target is the model as it is then.
    using _refit = { [Symbol.dispose]: () => core.refit.drop() };
    using _kept = core.keepOnDevice({ calibration, train, test, ...(validation ? { validation } : {}) });
    const recipe = { score: { by, prior, fisher, temperature, seed }, select, after };
    const inputs = {
      calibration,
      train,
      validation,
      trainedOn: examplesFor(core, by, examples),
      signal,
    };
    const trainKept = async (round: number) => {
      if (typeof finetune === "function") return await finetune(round);
      if (!finetune) return;
      const { on, ...settings } = finetune;
      await trainModel(core, on, { signal, firstEpoch: epochsPerPhase * round, ...settings });
    };
    const target = modelAsPruneTarget(core, { recipe, goal, inputs, test, finetune: trainKept });
    let round = 0;
    onProgress?.({ step: round, steps: rounds });
    return await core.lend(() =>
      pruneUntilStable(target, {
        ...{ goal, schedule, rounds, allowedDrop, choosesRound },
        onRound(done) {
          onRound?.(done);
          onProgress?.({ step: ++round, steps: rounds });
        },
      })
    );
  }, options.signal);
}

/** See `Model.pruneWithRefit`. */
export function pruneModelWithRefit(
  core: ModelCore,
  options: PruneWithRefitOptions,
): Promise<readonly RefitStage[]> {
  return core.callAndCount("pruning", async () => {
    const steps = refitStages(core, options), { remove, onStage } = steps;
    using open = await openSampled(core, options.calibration, steps.batch);
    const { choose } = core.tools;
    await core.tune(refitPlans(core.network, open.examples, { ...steps, choose }), options.signal);
    return await pruneWithRefit(core.network, open.examples, {
      ...steps,
      choose,
      remove: (sparsity) => core.lend(() => remove(sparsity)),
      onStage: onStage && ((stage) => core.lend(() => onStage(stage))),
    });
  }, options.signal);
}

/** See `Model.refit`. */
export function refitModel(
  core: ModelCore,
  { calibration, remove, ...settings }: RefitOptions,
): Promise<readonly LayerRefitReport[]> {
  return core.callAndCount("refitting weights of", async () => {
    using open = await openSampled(core, calibration, settings.batch);
    const mask = async () => void await core.lend(remove);
    const { choose } = core.tools;
    await core.tune(refitPlans(core.network, open.examples, { ...settings, choose }), settings.signal);
    return await refitKept(core.network, open.examples, { ...settings, choose, mask });
  }, settings.signal);
}

/** See `Model.compact`. */
export function compactModel(
  core: ModelCore,
  examples: Split,
  { protect = [], ...watched }: CompactOptions & CallOptions,
): Promise<CompactionReport> {
  return core.callAndCount("compacting", async () => {
    checkRemoval(core.network.layout, { protect });
    using open = core.images.open(examples, { name: "examples" });
    const tools = { ...core.tools, ...watched, protect };
    const { network, report } = await compactNetwork(core.network, open.examples, tools);
    core.refit.trained();
    core.become(network);
    return report;
  }, watched.signal);
}
