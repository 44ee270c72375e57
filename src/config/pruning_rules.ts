/**
 * Which keys of pruning go together.
 *
 * @module
 */
import type { Fields } from "./fields.ts";
import { isPattern } from "./pruning_fields.ts";

/** The keys of which each is a goal; at most one is given. A pattern as the granularity is a goal too. */
export const goalKeys = [
  "sparsity",
  "confidence",
  "targetParameters",
  "targetMultiplyAdds",
  "targetBytes",
] as const;

/** Says that a key's value does not go with the others, and what would. */
export type Refuse = (key: keyof Fields, wanted: string) => void;

/** The criterion of a run: refits were measured by magnitude, on which its stages go by where nothing else is said. */
export function criterionOf(
  { criterion, refit, confidence }: Pick<Fields, "criterion" | "refit" | "confidence">,
): NonNullable<Fields["criterion"]> {
  return criterion ?? (refit && confidence === undefined ? "magnitude" : "confidence");
}

/** Refuses keys of pruning that contradict each other or that would do nothing. */
export function checkPruning(config: Fields, hasWeights: boolean, refuse: Refuse): void {
  const given = goalKeys.filter((key) => config[key] !== undefined);
  if (given.length > 1) refuse(given[0], `no ${given[0]} beside a ${given[1]}`);
  checkConfidence(config, refuse);
  const { granularity, pruneSchedule, rounds } = config;
  if (isPattern(granularity)) {
    const beside = `beside granularity ${granularity}`;
    if (given.length > 0) refuse(given[0], `no ${given[0]} ${beside}, which says how many weights go`);
    if (rounds !== undefined && rounds > 1) refuse("rounds", `1 ${beside}`);
    if (pruneSchedule === "iterative") refuse("pruneSchedule", `"one-shot" or "gradual" ${beside}`);
    if (config.scope === "layer") refuse("scope", `"global" ${beside}`);
    if (config.floor > 0) refuse("floor", `0 ${beside}`);
    if (config.compact) refuse("compact", `false ${beside}, whose groups it would shift`);
  }
  if (config.perCost && (granularity === "element" || isPattern(granularity))) {
    refuse("perCost", "false unless granularity is filter, channel or blocks: a weight costs one");
  }
  if (pruneSchedule === "one-shot" && rounds !== undefined && rounds > 1) {
    refuse("rounds", "1 under pruneSchedule one-shot");
  }
  if (config.refit && (config.recalibratePruned ?? "none") !== "none") {
    refuse("recalibratePruned", '"none" beside refit, which sets the statistics itself');
  }
  if (config.selection === "obs") {
    if (!config.refit) refuse("selection", '"score" without refit, which knows the covariance');
    if (granularity !== "element") refuse("selection", '"score" unless granularity is element');
    if (config.regrow !== undefined) refuse("selection", '"score" beside regrow');
  }
  if (config.roundTo !== undefined && config.roundTo > 1 && granularity !== "channel") {
    refuse("roundTo", "1 unless granularity is channel");
  }
  if (config.allowedDrop !== undefined && config.validation === 0) {
    refuse("allowedDrop", "none unless validation is above 0");
  }
  if (config.targetBytes !== undefined && config.store === "dense" && granularity !== "channel") {
    refuse("targetBytes", 'none unless store is "sparse" or granularity is channel: else no byte is saved');
  }
  if (granularity === "channel" && config.compact === false) {
    for (const key of ["targetParameters", "targetMultiplyAdds", "targetBytes"] as const) {
      if (config[key] !== undefined) refuse(key, "none without compact, which is what makes channels go");
    }
  }
  checkVariance(config, hasWeights, refuse);
}

/** A threshold on a score that is no confidence would mean nothing, and only beside it removed weights come back. */
function checkConfidence(config: Fields, refuse: Refuse): void {
  const { confidence, regrow } = config;
  if (confidence !== undefined) {
    if ((config.criterion ?? "confidence") !== "confidence") {
      refuse("criterion", '"confidence" beside a confidence threshold');
    }
    if (config.pruneSchedule !== "gradual") refuse("pruneSchedule", '"gradual" beside a confidence');
    if (config.scope === "layer") {
      refuse("scope", '"global" beside a confidence, which says what each layer loses');
    }
    if (config.perCost) refuse("perCost", "false beside a confidence, which is none for each unit of cost");
  }
  if (config.posteriorTemperature !== 1 && criterionOf(config) !== "confidence" && !config.compare) {
    refuse("posteriorTemperature", "1 unless criterion is confidence");
  }
  if (config.posteriorTemperature === "auto") {
    if (config.validation === 0) refuse("posteriorTemperature", "a number unless validation is above 0");
    if (confidence !== undefined) {
      refuse(
        "posteriorTemperature",
        "a number beside a confidence, whose meaning each temperature would move",
      );
    }
  }
  if (regrow === undefined) return;
  if (confidence === undefined) refuse("regrow", "none unless there is a confidence");
  else if (regrow <= confidence) {
    refuse("regrow", `above the confidence ${confidence}, or weights come and go`);
  }
  if (config.granularity !== "element") refuse("regrow", "none unless granularity is element");
  if (config.fisher === "sampled") {
    refuse("regrow", "none beside fisher sampled, whose gradients are of drawn labels");
  }
}

/** The signal to noise over steps needs steps that are averaged. */
function checkVariance(config: Fields, hasWeights: boolean, refuse: Refuse): void {
  if (config.criterion !== "snr") return;
  const trains = config.epochs === undefined ? !hasWeights : config.epochs > 0;
  if (!trains) refuse("criterion", "another than snr without epochs of training");
  if (config.averaging === "none") refuse("criterion", "another than snr under averaging none");
}
