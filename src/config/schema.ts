/**
 * The schema of a run's configuration: its tree, the rules on what goes together, and what follows from other keys where
 * it is left out.
 *
 * @module
 */
import { joinKeys, nodeAt } from "./nodes.ts";
import {
  autoValidation,
  channelDefaults,
  choosesRound,
  mayChooseWeights,
  scoreTree,
  selectionSteps,
} from "./prune.ts";
import { checkTogether } from "./rules.ts";
import { defaultEpochs } from "./train.ts";
import { hasWeights, type Tree, tree } from "./tree.ts";

/** Fills in the rounds: at once, with refits, or else; to the fixed point of a confidence as many as it takes. */
function completeRounds({ goal, schedule, after, rounds }: Tree["prune"]): Pick<Tree["prune"], "rounds"> {
  if (rounds !== undefined || "confidence" in goal) return {};
  const isAtOnce = "pattern" in goal || schedule === "one-shot";
  return { rounds: isAtOnce ? 1 : "refit" in after ? 5 : 3 };
}

/** Fills in how groups are selected: channels go to a cost by defaults of their own. */
function completeSelect({ goal, select }: Tree["prune"]) {
  const usual = "cost" in goal && select.granularity === "channel"
    ? channelDefaults
    : { scope: "global", roundTo: 1 } as const;
  const scope = select.scope ?? usual.scope;
  return select.granularity === "channel"
    ? { ...select, scope, roundTo: select.roundTo ?? usual.roundTo }
    : { ...select, scope };
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

/** Fills in the keys that follow from others. */
function complete(config: Tree) {
  const { train, prune, output } = config,
    isByMagnitude = "refit" in prune.after && !("confidence" in prune.goal);
  return inOrder({
    ...config,
    ...completeValidation(config),
    train: { ...train, epochs: train.epochs ?? (hasWeights(config.model) ? 0 : defaultEpochs) },
    prune: {
      ...prune,
      ...completeRounds(prune),
      score: prune.score ?? scoreTree.parse({ by: isByMagnitude ? "magnitude" : "confidence" }),
      select: completeSelect(prune),
      after: completeAfter(prune),
    },
    output: { ...output, compact: output.compact ?? !("pattern" in prune.goal) },
  });
}

/** A configuration with its keys in the schema's order, told or filled in, so that a report's bytes follow from its values. */
function inOrder<Config>(config: Config): Config {
  return tree.parse(config) as Config;
}

/** How weights are scored. */
type Score = ReturnType<typeof complete>["prune"]["score"];

/** How weights are scored by another criterion: with what it has in common with this one, and else as usual. */
export function scoreBy(score: Score, by: Score["by"]): Score {
  return scoreTree.parse(joinKeys(score, { by }, nodeAt({}, ["prune", "score"])));
}

/** The schema of a configuration. */
export const schema = tree.superRefine(checkTogether).transform(complete);
