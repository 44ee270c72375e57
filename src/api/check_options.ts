/**
 * Checks the arguments and options of a model's methods.
 *
 * @module
 */
import { checkNumbers, checkWords, describeValue, positiveCount, seedRule } from "../checks.ts";
import { ConfigError, ShapeError } from "../errors.ts";
import { isNormalization, normalizationWanted } from "../data/normalization.ts";
import type { ImageTask } from "../data/split.ts";
import type { PruneGoal } from "../prune/goal.ts";
import { criteria, getCriterionType } from "../prune/score/criteria.ts";
import { nameOfCriterion } from "../prune/score/own_criterion.ts";
import type { ModelOptions, ModelPruneOptions, ScoreOptions } from "./model_options.ts";

/** @throws {ConfigError} If a value is not possible. */
export function checkScoring({ by, prior, examples, seed, temperature, fisher }: ScoreOptions): void {
  const act = "score with";
  if (typeof by === "object") getCriterionType(by);
  else checkWords(act, { by: [by, criteria] });
  checkWords(act, {
    prior: [prior, ["matched", "evidence"]],
    fisher: [fisher, ["batch", "example", "sampled"]],
  });
  checkNumbers(act, {
    examples: [examples, { above: 0 }],
    seed: [seed, seedRule],
    temperature: [temperature, { above: 0 }],
  });
}

/** How a model is pruned, and to what. */
type Pruning = ModelPruneOptions & { readonly goal: PruneGoal };

/** @throws {ConfigError} If a goal, or how it is reached, is not possible. */
export function checkPruning(goal: PruneGoal, options: ModelPruneOptions): void {
  const act = "prune with", { schedule, rounds, allowedDrop, finetune, temperature } = options;
  checkScoring({ ...options, temperature: temperature === "validation" ? 1 : temperature });
  const pruning = { ...options, goal };
  if (temperature === "validation") checkChoosing(pruning);
  if (options.choosesRound) checkChoosingRounds(pruning);
  checkAfter(pruning);
  checkWords(act, { schedule: [schedule, ["one-shot", "iterative", "gradual"]] });
  checkNumbers(act, {
    rounds: [rounds === Infinity && "threshold" in goal ? undefined : rounds, positiveCount],
    allowedDrop: [allowedDrop, { atLeast: 0, atMost: 1 }],
    ...goalNumbers(goal),
  });
  if (finetune !== undefined && typeof finetune !== "function" && typeof finetune?.on !== "object") {
    const wanted = "examples to train on, with options of training, or a function that trains what is kept";
    throw new ConfigError({ act, thing: "finetune", current: describeValue(finetune), wanted });
  }
}

/** Refuses to choose a temperature that does nothing, or would move the meaning of a threshold. */
function checkChoosing({ by = "confidence", goal, validation }: Pruning): void {
  const refuse = (current: string, wanted: string) => {
    throw new ConfigError({ act: "prune with", thing: "temperature validation", current, wanted });
  };
  if (by !== "confidence") refuse(`the criterion is ${nameOfCriterion(by)}`, "confidence");
  if ("threshold" in goal) refuse("a threshold says what goes", "another goal");
  if (!validation) refuse("there are no validation examples", "some to choose by");
}

/** Refuses to choose a round where rounds lead to a goal of their own, or are undone. */
function checkChoosingRounds({ goal, allowedDrop, validation }: Pruning): void {
  const refuse = (current: string, wanted: string) => {
    throw new ConfigError({ act: "prune with", thing: "choosesRound", current, wanted });
  };
  if (!("threshold" in goal)) refuse(`the goal is ${Object.keys(goal)[0]}`, "a threshold");
  if (allowedDrop !== undefined) refuse("allowedDrop undoes rounds", "one of both");
  if (!validation) refuse("there are no validation examples", "some to choose by");
}

function checkAfter({ after = {}, granularity = "element", goal }: Pruning): void {
  const refuse = (thing: string, current: string, wanted: string) => {
    throw new ConfigError({ act: "prune with", thing, current, wanted });
  };
  const names = Object.keys(after), known = ["refit", "recalibrate"];
  if (names.length > 1 || names.some((name) => !known.includes(name))) {
    refuse("after", describeValue(names.join(", ")), "refit or recalibrate");
  }
  if (!("refit" in after)) return;
  const { selectionSteps = 0 } = after.refit;
  if (selectionSteps === 0) return;
  const wanted = "0, unless layers choose single weights that stay removed";
  if (
    granularity !== "element" || "pattern" in goal || "threshold" in goal && goal.regrowAbove !== undefined
  ) {
    refuse("after.refit.selectionSteps", `${selectionSteps}`, wanted);
  }
}

function goalNumbers(goal: PruneGoal): Parameters<typeof checkNumbers>[1] {
  if ("sparsity" in goal) return { "goal.sparsity": [goal.sparsity ?? NaN, { atLeast: 0, below: 1 }] };
  if ("cost" in goal) {
    checkWords("prune with", { "goal.cost": [goal.cost, ["parameters", "multiplyAdds", "bytes"]] });
    return { "goal.max": [goal.max ?? NaN, { above: 0 }] };
  }
  if ("threshold" in goal) {
    const notNegative = { atLeast: 0 };
    return {
      "goal.threshold": [goal.threshold ?? NaN, notNegative],
      "goal.regrowAbove": [goal.regrowAbove, notNegative],
    };
  }
  return {};
}

/**
 * Checks what a model is made for and with.
 *
 * @throws {ShapeError} If mean and deviation are not as many numbers as there are channels, or not such as floats of
 *   32 bits can be normalised by.
 * @throws {ConfigError} If the seed, the batch of evaluation or the number of examples is not possible.
 */
export function checkModelOptions(
  { seed, evaluationBatch, examples }: ModelOptions,
  task: ImageTask,
): void {
  checkNumbers("make model with", {
    seed: [seed, seedRule],
    evaluationBatch: [evaluationBatch, positiveCount],
    examples: [examples, positiveCount],
  });
  checkNormalization(task);
}

function checkNormalization({ channels, ...task }: ImageTask): void {
  for (const key of ["mean", "std"] as const) {
    const values: unknown = task[key];
    if (isNormalization(values, key, channels)) continue;
    const current = Array.isArray(values)
      ? `[${values.slice(0, 4).map(describeValue).join(", ")}]`
      : describeValue(values);
    const wanted = normalizationWanted(key, channels);
    throw new ShapeError({ act: "normalise by", thing: `task.${key}`, current, wanted });
  }
}
