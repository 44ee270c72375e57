/**
 * The schema of a run's configuration: its tree, the rules on what goes together, and what follows from other keys where
 * it is left out.
 *
 * @module
 */
import { joinKeys, nodeAt } from "./nodes.ts";
import {
  type AmountKeys,
  autoValidation,
  channelDefaults,
  choosesRound,
  hasAmount,
  hasPattern,
  mayChooseWeights,
  scoreTree,
  selectionSteps,
} from "./prune.ts";
import { checkTogether } from "./rules.ts";
import { defaultEpochs } from "./train.ts";
import { hasWeights, type Tree, tree } from "./tree.ts";
import type { PruneConfig, RunConfig, ScoreConfig } from "./types.ts";

/** Fills in how groups are selected: channels go to a cost by defaults of their own. */
function completeSelect({ goal, select }: Pick<AmountKeys, "goal" | "select">) {
  const usual = "cost" in goal && select.granularity === "channel"
    ? channelDefaults
    : { scope: "global", roundTo: 1 } as const;
  const scope = select.scope ?? usual.scope;
  return select.granularity === "channel"
    ? { ...select, scope, roundTo: select.roundTo ?? usual.roundTo }
    : { ...select, scope };
}

/** Fills in the rounds of a way that has any. */
function completeRounds({ goal, after }: Pick<AmountKeys, "goal" | "after">) {
  return goal.schedule === "one-shot" ? goal : { ...goal, rounds: goal.rounds ?? ("refit" in after ? 5 : 3) };
}

/** Fills in the criterion: stages of a refit were measured by magnitude. */
function completeScore({ score, after }: Pick<AmountKeys, "score" | "after">) {
  return score ?? scoreTree.parse({ by: "refit" in after ? "magnitude" : "confidence" });
}

/** Fills in what follows a removal: single weights are chosen by the covariance where they are refitted. */
function completeAfter({ after, ...prune }: Tree["prune"]) {
  if (!("refit" in after)) return after;
  const usual = mayChooseWeights(prune) ? selectionSteps.obs : selectionSteps.score;
  const { refit } = after, selection = { selectionSteps: refit.selectionSteps ?? usual };
  return { refit: "steps" in refit ? { ...refit, ...selection } : { by: "layers", ...selection } as const };
}

/** Fills in the examples by which a confidence `auto` chooses the round. */
function completeValidation(
  { data: { limit }, validation, prune: { goal } }: Tree,
): Pick<Tree, "validation"> {
  if (validation || !choosesRound(goal)) return {};
  const examples = limit > 0 ? Math.max(1, Math.min(autoValidation, Math.floor(limit / 10))) : autoValidation;
  return { validation: tree.shape.validation.parse({ examples }) };
}

/** Fills in what follows from the goal, and what follows a removal. */
function completePrune(prune: Tree["prune"]): PruneConfig {
  const after = completeAfter(prune);
  if (hasAmount(prune)) {
    const goal = completeRounds(prune), select = completeSelect(prune);
    return { ...prune, goal, score: completeScore(prune), select, after };
  }
  return hasPattern(prune) ? { ...prune, score: completeScore(prune), after } : { ...prune, after };
}

/** True where the model starts from weights of a file, and keeps the last layer, which a new one would have to learn. */
function knowsClasses(model: Tree["model"]): boolean {
  return hasWeights(model) && model.classes === undefined;
}

/** Fills in the keys that follow from others. */
function complete(config: Tree): RunConfig {
  const { train, prune, output } = config;
  return inOrder({
    ...config,
    ...completeValidation(config),
    train: { ...train, epochs: train.epochs ?? (knowsClasses(config.model) ? 0 : defaultEpochs) },
    prune: completePrune(prune),
    output: { ...output, compact: output.compact ?? !("pattern" in prune.goal) },
  });
}

/** A configuration with its keys in the schema's order, told or filled in, so that a report's bytes follow from its values. */
function inOrder<Config>(config: Config): Config {
  return tree.parse(config) as Config;
}

/** How weights are scored by another criterion: with what it has in common with this one, and else as usual. */
export function scoreBy(score: ScoreConfig, by: ScoreConfig["by"]): ScoreConfig {
  return scoreTree.parse(joinKeys(score, { by }, nodeAt({}, ["prune", "score"])));
}

/** The schema of a configuration. */
export const schema = tree.superRefine(checkTogether).transform(complete);
