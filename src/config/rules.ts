/**
 * The rules that the tree of a configuration cannot hold: keys that contradict each other, or that would do nothing.
 *
 * @module
 */
import type { z } from "zod";
import { autoConfidence, choosesRound, mayChooseWeights } from "./prune.ts";
import { hasWeights, type Tree } from "./tree.ts";

/** Says that the value at a path does not go with the others, and what would. */
type Refuse = (path: string, wanted: string) => void;

/** Refuses values that contradict each other or that would do nothing. */
export function checkTogether(config: Tree, context: z.RefinementCtx): void {
  const refuse: Refuse = (path, message) =>
    context.addIssue({ code: "custom", path: path.split("."), message });
  checkTraining(config, refuse);
  checkGoal(config, refuse);
  checkScore(config, refuse);
  const { prune } = config;
  if (!("refit" in prune.after) || !prune.after.refit.selectionSteps || mayChooseWeights(prune)) return;
  refuse("prune.after.refit.selectionSteps", "0 unless single weights go, and beside regrow");
}

function checkTraining({ train, model, prune }: Tree, refuse: Refuse): void {
  const { optimizer, distillation } = train;
  if (train.epochs === 0 && !hasWeights(model)) {
    refuse("train.epochs", "a whole number, at least 1, or weights to start from");
  }
  if (!optimizer.decayBias && optimizer.weightDecay === 0 && optimizer.l1 === 0) {
    refuse("train.optimizer.decayBias", "true unless weightDecay or l1 is above 0");
  }
  if (train.mixup > 0 && train.batch === 1) {
    refuse("train.mixup", "0 beside a batch of 1, which makes no pairs");
  }
  if (distillation && distillation.teacher === undefined && prune.finetune.epochs === 0) {
    refuse("train.distillation", "none unless prune.finetune.epochs is above 0 or a teacher is given");
  }
}

/** What a goal asks of the other branches. */
function checkGoal({ prune: { goal, select }, output, validation }: Tree, refuse: Refuse): void {
  if ("pattern" in goal && output.compact) {
    refuse("output.compact", "false beside a pattern, whose groups it would shift");
  }
  if ("cost" in goal && select.granularity === "channel" && output.compact === false) {
    refuse("output.compact", "true beside a cost and granularity channel: it is what makes channels go");
  }
  if (
    "cost" in goal && goal.cost === "bytes" && output.store === "dense" && select.granularity !== "channel"
  ) {
    refuse("prune.goal.cost", 'another than bytes unless output.store is "sparse" or granularity is channel');
  }
  if ("regrow" in goal) {
    const confidence = goal.confidence === "auto" ? autoConfidence : goal.confidence;
    if (goal.regrow <= confidence) {
      refuse("prune.goal.regrow", `above the confidence ${confidence}, or weights come and go`);
    }
  }
  if (choosesRound(goal) && validation?.allowedDrop !== undefined) {
    refuse("validation.allowedDrop", "none beside confidence auto, by which validation chooses the round");
  }
}

/** What a criterion needs to have been done: steps that are averaged, or examples that choose. */
function checkScore({ train, model, validation, prune: { score } }: Tree, refuse: Refuse): void {
  if (score?.by === "confidence" && score.temperature === "validation" && !validation) {
    refuse("prune.score.temperature", "a number without validation examples");
  }
  if (score?.by !== "snr") return;
  const trains = train.epochs === undefined ? !hasWeights(model) : train.epochs > 0;
  if (!trains || train.averaging.kind === "none") {
    refuse("prune.score.by", "another than snr without epochs of training that are averaged");
  }
}
