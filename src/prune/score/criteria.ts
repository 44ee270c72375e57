/**
 * The criteria: one score per prunable weight in the arena `scores`; larger = kept longer.
 *
 * @module
 */
import type { CriterionName } from "../../criterion_names.ts";
import { describeValue } from "../../checks.ts";
import { ConfigError } from "../../errors.ts";
import type { Dispatch } from "../../kernels/dispatch.ts";
import type { ParameterLayout, PlacedParameter } from "../../plan/layout.ts";
import { inWindow } from "../../plan/windows.ts";
import { filterCriteria } from "./filters.ts";
import { pointwiseCriteria } from "./pointwise.ts";
import type { CriterionModel, CriterionType } from "./criterion.ts";
import { lamp } from "./lamp.ts";
import { type Criterion, nameOfCriterion, typeOfDefinition } from "./own_criterion.ts";

export { criteria, type CriterionName } from "../../criterion_names.ts";
export type { Criterion } from "./own_criterion.ts";

// Names without a type do not compile, and types without a name cannot be asked for.
const types: Readonly<Record<CriterionName, CriterionType>> = {
  ...pointwiseCriteria,
  ...filterCriteria,
  lamp,
};

/** The settings of criteria. */
export interface ScoreSettings {
  /** The number N of training examples, for the confidence. */
  readonly examples: number;
  /** Seed of the random criterion. */
  readonly seed: number;
}

/**
 * The implementation of a criterion.
 *
 * @throws {ConfigError} If it is neither a name nor made by `defineCriterion`.
 */
export function getCriterionType(criterion: Criterion): CriterionType {
  const type = typeof criterion === "string"
    ? Object.hasOwn(types, criterion) ? types[criterion] : undefined
    : typeOfDefinition(criterion);
  if (type) return type;
  const wanted = `${Object.keys(types).join(", ")}, or the result of defineCriterion`;
  throw new ConfigError({ act: "score by", thing: "criterion", current: describeValue(criterion), wanted });
}

/** The prunable tensors of a model, in the order of their layers. */
export function prunableTensors({ parameters }: ParameterLayout): readonly PlacedParameter[] {
  return parameters.filter(({ prunable }) => prunable);
}

/** True for criteria that need gradients on calibration examples. */
export function needsGradients(criterion: Criterion): boolean {
  return getCriterionType(criterion).needs.some((need) => need !== "variance");
}

/** True for criteria that read the variance of the weights over the steps. Training keeps it only for them. */
export function needsVariance(criterion: Criterion): boolean {
  return getCriterionType(criterion).needs.includes("variance");
}

/** True for criteria that use the number of training examples. */
export function countsExamples(criterion: Criterion): boolean {
  const { readsExamples = false, needs } = getCriterionType(criterion);
  return readsExamples || needs.includes("fisher");
}

/** True for criteria that read the Fisher information, which can be estimated in several ways. */
export function readsFisher(criterion: Criterion): boolean {
  return getCriterionType(criterion).needs.includes("fisher");
}

/**
 * The prunable tensors that a criterion scores.
 *
 * @throws {ConfigError} If it scores none.
 */
export function scoredTensors(model: CriterionModel, criterion: Criterion): readonly PlacedParameter[] {
  const { scores } = getCriterionType(criterion), all = prunableTensors(model.layout);
  const scored = scores ? all.filter((tensor) => scores(tensor, model)) : all;
  if (scored.length > 0) return scored;
  const current = `no layer of ${model.graph.name} has what it needs`;
  throw new ConfigError({
    act: "score by",
    thing: nameOfCriterion(criterion),
    current,
    wanted: "another criterion",
  });
}

/** The buffers of a criterion for a model, besides the arenas and `prior_precision`: words by name. */
export function criterionScratch(model: CriterionModel, criterion: Criterion): ReadonlyMap<string, number> {
  const words = new Map<string, number>(), { scratch } = getCriterionType(criterion);
  for (const tensor of scoredTensors(model, criterion)) {
    for (const [name, count] of Object.entries(scratch?.(tensor) ?? {})) {
      words.set(name, Math.max(count, words.get(name) ?? 0));
    }
  }
  return words;
}

/** The dispatches that score the weights. Criteria that read `prior_precision` expect it to be there. */
export function lowerScores(
  model: CriterionModel,
  criterion: Criterion,
  { examples, seed }: ScoreSettings,
): readonly Dispatch[] {
  const layers = prunableTensors(model.layout), type = getCriterionType(criterion);
  return scoredTensors(model, criterion).flatMap((tensor) => {
    const context = { ...model, layer: layers.indexOf(tensor), examples, seed };
    return type.lower(tensor, context).map((dispatch) => inWindow(tensor.window, dispatch));
  });
}
