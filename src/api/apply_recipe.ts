/**
 * Applies a recipe to a model: the only place that knows in which order a removal goes.
 *
 * @module
 */
import type { Split } from "../data/dataset.ts";
import { readFloats } from "../gpu/readback.ts";
import { reachCost } from "../prune/reach/reach_cost.ts";
import { type Amount, type Recipe, type RecipeScore, type Removal, weightsBelow } from "../prune/recipe.ts";
import type { RemovalOptions } from "../prune/select/removal.ts";
import {
  pickTemperature,
  posteriorTemperatures,
  type TemperatureChoice,
} from "../prune/score/temperature.ts";
import type { Progress } from "../train/call_options.ts";
import { evaluateModel } from "./evaluate_model.ts";
import type { ModelCore } from "./model_core.ts";
import type { ScoreOptions } from "./model_options.ts";
import { holdRefit } from "./open_refit.ts";
import { removeWeights, rescoreModel, scoreModel } from "./score_model.ts";
import { recalibrateModel } from "./train_model.ts";

/** What a recipe is applied with. */
export interface RecipeInputs {
  /** Examples that weights are scored, and refitted, on; training must not have seen them. */
  readonly calibration: Split;
  /** Examples that batch norm's statistics are measured anew on. */
  readonly train: Split;
  /** Examples that a temperature is chosen by. */
  readonly validation?: Split | undefined;
  /** Examples that the parameters were trained on, whose information the confidence counts. */
  readonly trainedOn: number;
  /** True where the model was scored by this recipe before, at the same values: they are not scored again. */
  readonly isScored?: boolean;
  /** False where another removal follows: a refit then fits single layers alone. Default: true. */
  readonly isFinal?: boolean;
  /** Called before the first layer of a refit, and after each. */
  readonly onRefit?: ((progress: Progress) => void) | undefined;
  /** Ends the removal between two of its steps; see `Model.prune` for the state of the model then. */
  readonly signal?: AbortSignal | undefined;
}

/** How a model is scored by a recipe; at temperature 1 where it is to be chosen yet. */
export function toScoreOptions(
  { by, temperature, ...others }: RecipeScore,
  { trainedOn: examples }: Pick<RecipeInputs, "trainedOn">,
): ScoreOptions {
  return { ...others, by, examples, temperature: temperature === "validation" ? 1 : temperature };
}

/**
 * Does one removal: takes the target of a refit, scores the weights, chooses the temperature, removes, brings back what
 * asks for it, and refits what is kept or measures batch norm's statistics anew.
 *
 * @throws {TooManyError} If so much may not go.
 * @throws {ConfigError} If a part of the recipe is not possible, or what it needs is not there.
 * @throws {NumericError} If a loss or an activation is not finite.
 * @throws The reason of the signal if it ends the removal.
 */
export async function applyRecipe(
  core: ModelCore,
  recipe: Recipe,
  amount: Amount,
  inputs: RecipeInputs,
): Promise<Removal> {
  const { score, select, after } = recipe, { calibration, isScored = false, onRefit } = inputs;
  const settings = "refit" in after ? after.refit : undefined, { signal } = inputs;
  const refit = await holdRefit(core, calibration, { settings, signal });
  if (!isScored) await scoreModel(core, calibration, { ...toScoreOptions(score, inputs), signal });
  const isChosen = score.temperature === "validation" && amount !== "nothing";
  const temperature = isChosen ? await chooseTemperature(core, recipe, amount, inputs) : undefined;
  const { below, regrown = 0 } = await remove(core, select, amount);
  if (refit) await refit.apply({ signal, onProgress: onRefit, isFinal: inputs.isFinal });
  else await recalibrate(core, recipe, inputs);
  return {
    layers: await core.countKept(),
    regrown,
    ...(below === undefined ? {} : { below }),
    ...(temperature ? { temperature } : {}),
  };
}

/** What a removal by a threshold found: the kept weights below it, and how many came back. */
type Found = Partial<Pick<Removal, "below" | "regrown">>;

/** Removes so much, by the scores that there are. */
async function remove(core: ModelCore, select: RemovalOptions, amount: Amount): Promise<Found> {
  const { network, pruner } = core;
  if (amount === "nothing") return {};
  if (!("threshold" in amount)) {
    if ("pattern" in amount) await pruner.removePattern(amount.pattern, select);
    else if ("cost" in amount) await reachCost(network, pruner, amount, select);
    else await removeWeights(core, amount.weights, select);
    return {};
  }
  const { threshold, regrowAbove } = amount, { protect } = select;
  // Before the removal: the gradients of what it removes are not those at 0.
  const regrown = regrowAbove === undefined ? 0 : await pruner.regrow(regrowAbove, { protect });
  // The score of a group would mix those of the spared weights.
  if ((select.granularity ?? "element") === "element") await pruner.spareFallen(threshold);
  const below = await pruner.countBelow(threshold, select), removed = amount.removed - regrown;
  await removeWeights(core, weightsBelow({ ...amount, removed }, below), select);
  return { below, regrown };
}

/** Measures batch norm's statistics anew where a recipe says so. */
async function recalibrate(
  core: ModelCore,
  { after }: Recipe,
  { train, signal }: RecipeInputs,
): Promise<void> {
  if ("recalibrate" in after) await recalibrateModel(core, train, { ...after.recalibrate, signal });
}

/**
 * Tries a removal at each temperature on a model, and leaves the model as it was, scored at the temperature whose loss on
 * the validation examples was lowest. The Fisher information stays what the last scoring accumulated. Kept weights are not
 * refitted after a trial: that takes minutes.
 */
async function chooseTemperature(
  core: ModelCore,
  recipe: Recipe,
  amount: Amount,
  inputs: RecipeInputs,
): Promise<TemperatureChoice> {
  const { network } = core, scoring = toScoreOptions(recipe.score, inputs);
  const scoreAt = (temperature: number) => rescoreModel(core, { ...scoring, temperature });
  // A removal to a cost keeps values in `snapshot` on its way.
  const mask = await readFloats(network.gpu, network.arena("mask"));
  network.copyState("values", "held");
  const tried = [];
  for (const temperature of posteriorTemperatures) {
    try {
      await scoreAt(temperature);
      await remove(core, recipe.select, amount);
      await recalibrate(core, recipe, inputs);
      tried.push({
        temperature,
        loss: (await evaluateModel(core, inputs.validation!, { signal: inputs.signal })).loss,
      });
    } finally {
      network.copyState("held", "values");
      network.arena("mask").write(mask);
    }
  }
  const choice = pickTemperature(tried);
  await scoreAt(choice.temperature);
  return choice;
}
