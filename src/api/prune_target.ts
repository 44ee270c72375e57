/**
 * A model as the pruning loop knows it.
 *
 * @module
 */
import type { Split } from "../data/dataset.ts";
import { ConfigError } from "../errors.ts";
import { decodeModel } from "../io/model_file.ts";
import type { PruneGoal } from "../prune/goal.ts";
import type { PruneTarget } from "../prune/loop.ts";
import type { LayerCount } from "../prune/mask.ts";
import { measureCost } from "../prune/reach/reach_cost.ts";
import type { Recipe } from "../prune/recipe.ts";
import { standardError, standardErrorOfMean } from "../train/evaluate.ts";
import { applyRecipe, type RecipeInputs } from "./apply_recipe.ts";
import { evaluateModel } from "./evaluate_model.ts";
import type { ModelCore } from "./model_core.ts";
import { encodeModelState, restoreModel } from "./read_model.ts";
import type { ModelState } from "./model_options.ts";

/** Does steps that have a name, each once however often a run is started. */
export interface RecordedSteps {
  /** Does a step whose result is JSON, and returns what it comes to. */
  step<Result>(name: string, act: () => Promise<Result>): Promise<Result>;
  /** Makes the bytes of a file that later steps need, or reads what was made. */
  keep(name: string, make: () => Promise<Uint8Array>): Promise<Uint8Array>;
}

/** What a model is pruned by and with. */
export interface PruneTargetOptions {
  readonly recipe: Recipe;
  readonly goal: PruneGoal;
  readonly inputs: RecipeInputs;
  /** Examples that accuracy is measured on after each step of a round. */
  readonly test: Split;
  /** Trains what is kept; the round counts from 1. */
  readonly finetune: (round: number) => Promise<unknown>;
  /** Does each step, or says what it came to in an earlier run. Default: does it. */
  readonly steps?: RecordedSteps;
}

const plainSteps: RecordedSteps = {
  step: (_, act) => act(),
  keep: (_, make) => make(),
};

/** A model as the loop prunes it, by a recipe. */
export function modelAsPruneTarget(core: ModelCore, options: PruneTargetOptions): PruneTarget {
  const { recipe, goal, inputs, test, finetune, steps: { step, keep } = plainSteps } = options;
  const { signal } = inputs;
  const accuracyOn = async (split: Split) => (await evaluateModel(core, split, { signal })).accuracy;
  const stateOf = async (layers: readonly LayerCount[]) => ({
    layers,
    ...("cost" in goal ? { cost: await measureCost(core.network, layers, goal, recipe.select) } : {}),
  });
  const saved = new Map<number, ModelState>();
  return {
    start: () =>
      step("start", async () => {
        core.pruner.forgetRounds();
        return await stateOf(await core.countKept());
      }),
    remove: (amount, isFinal) =>
      step("remove", async () => {
        const removal = await applyRecipe(core, recipe, amount, { ...inputs, isFinal });
        return { ...removal, ...await stateOf(removal.layers) };
      }),
    finetune: async (round) => void await finetune(round),
    evaluate: () => step("evaluate", () => accuracyOn(test)),
    validate() {
      const { validation } = inputs;
      if (validation) {
        return step("validate", async () => {
          const { accuracy, loss, losses } = await evaluateModel(core, validation, { signal });
          return {
            accuracy,
            accuracyError: standardError(accuracy, validation.count),
            loss,
            lossError: standardErrorOfMean(losses),
          };
        });
      }
      const current = "there are no validation examples", wanted = "some to measure it on";
      throw new ConfigError({ act: "prune by", thing: "validation", current, wanted });
    },
    async save(round) {
      const name = `after-round-${round}.safetensors`;
      const state = decodeModel(await keep(name, () => encodeModelState(core, "dense")), name, core.graph);
      core.refit.note(state);
      saved.set(round, state);
    },
    restore: (round) => step("restore", () => Promise.resolve(restoreModel(core, saved.get(round)!))),
    forget: (round) => void saved.delete(round),
  };
}
