/**
 * What of a configuration contradicts itself or would do nothing, beyond what the tree cannot hold.
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
  const { rounds, schedule, after, allowedDrop, finetune } = config.prune;
  if (schedule === "one-shot" && rounds !== undefined && rounds > 1) {
    refuse("prune.rounds", "1 under prune.schedule one-shot");
  }
  if (allowedDrop !== undefined && !config.validation) {
    refuse("prune.allowedDrop", "none without validation examples");
  }
  if (finetune.epochs === 0 && finetune.rewind !== 0.75) {
    refuse("prune.finetune.rewind", "0.75 unless prune.finetune.epochs is above 0");
  }
  if (!("refit" in after) || !after.refit.selectionSteps || mayChooseWeights(config.prune)) return;
  refuse("prune.after.refit.selectionSteps", "0 unless single weights go, and beside regrow");
}

function checkTraining({ train, model, prune }: Tree, refuse: Refuse): void {
  const { optimizer, distillation } = train;
  if (train.epochs === 0 && !hasWeights(model)) {
    refuse("train.epochs", "a whole number, at least 1, or weights to start from");
  }
  if (optimizer.kind === "sgd" && optimizer.nesterov && optimizer.momentum === 0) {
    refuse("train.optimizer.momentum", "above 0 under nesterov");
  }
  if (optimizer.clipNorm !== undefined && optimizer.clipValue !== undefined) {
    refuse("train.optimizer.clipValue", "none beside a clipNorm");
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

/** What a goal leaves to say: a pattern how many weights of each group go, a confidence which, and a cost of what. */
function checkGoal({ prune, output }: Tree, refuse: Refuse): void {
  const { goal, schedule, rounds, score, select } = prune;
  if ("pattern" in goal) {
    const beside = "beside a pattern, which says how many weights of each group go";
    if (rounds !== undefined && rounds > 1) refuse("prune.rounds", `1 ${beside}`);
    if (schedule === "iterative") refuse("prune.schedule", `"one-shot" or "gradual" ${beside}`);
    if (select.granularity !== "element") refuse("prune.select.granularity", `"element" ${beside}`);
    if (select.scope === "layer") refuse("prune.select.scope", `"global" ${beside}`);
    if (select.floor > 0) refuse("prune.select.floor", `0 ${beside}`);
    if (output.compact) refuse("output.compact", "false beside a pattern, whose groups it would shift");
  }
  if ("confidence" in goal) {
    if (score && score.by !== "confidence") {
      refuse("prune.score.by", '"confidence" beside a confidence threshold');
    }
    if (schedule !== "gradual") refuse("prune.schedule", '"gradual" beside a confidence');
    if (select.scope === "layer") {
      refuse("prune.select.scope", '"global" beside a confidence, which says what each layer loses');
    }
    if ("perCost" in select && select.perCost) {
      refuse(
        "prune.select.perCost",
        "false beside a confidence, because a threshold is not a score per cost",
      );
    }
    checkRegrow(prune, refuse);
    if (choosesRound(goal) && prune.allowedDrop !== undefined) {
      refuse("prune.allowedDrop", "none beside confidence auto, by which validation chooses the round");
    }
  }
  if (!("cost" in goal)) return;
  if (goal.cost === "bytes" && output.store === "dense" && select.granularity !== "channel") {
    refuse("prune.goal.cost", 'another than bytes unless output.store is "sparse" or granularity is channel');
  }
  if (select.granularity === "channel" && output.compact === false) {
    refuse("output.compact", "true beside a cost and granularity channel: it is what makes channels go");
  }
}

/** Single weights come back by the gradients of the given labels. */
function checkRegrow({ goal, select, score }: Tree["prune"], refuse: Refuse): void {
  if (!("confidence" in goal) || goal.regrow === undefined) return;
  const confidence = goal.confidence === "auto" ? autoConfidence : goal.confidence;
  if (goal.regrow <= confidence) {
    refuse("prune.goal.regrow", `above the confidence ${confidence}, or weights come and go`);
  }
  if (select.granularity !== "element") refuse("prune.goal.regrow", "none unless granularity is element");
  if (score?.by === "confidence" && score.fisher === "sampled") {
    refuse("prune.goal.regrow", "none beside fisher sampled, whose gradients are of drawn labels");
  }
}

/** What a criterion needs to have been done: steps that are averaged, or examples that choose. */
function checkScore({ train, model, validation, prune: { score, goal } }: Tree, refuse: Refuse): void {
  if (score?.by === "confidence" && score.temperature === "validation") {
    if (!validation) refuse("prune.score.temperature", "a number without validation examples");
    if ("confidence" in goal) {
      refuse(
        "prune.score.temperature",
        "a number beside a confidence, whose meaning each temperature would move",
      );
    }
  }
  if (score?.by !== "snr") return;
  const trains = train.epochs === undefined ? !hasWeights(model) : train.epochs > 0;
  if (!trains) refuse("prune.score.by", "another than snr without epochs of training");
  if (train.averaging.kind === "none") {
    refuse("prune.score.by", "another than snr under averaging none");
  }
}
