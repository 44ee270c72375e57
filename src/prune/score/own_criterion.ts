/**
 * Criteria that a program brings along, by value.
 *
 * @module
 */
import { checkWords, describeValue } from "../../checks.ts";
import { criteria, type CriterionName } from "../../criterion_names.ts";
import { ConfigError } from "../../errors.ts";
import type { CriterionNeed, CriterionType } from "./criterion.ts";
import { expressionCriterion } from "./expression.ts";

/** What a group of weights is worth by the scores of those that it keeps; see `CriterionOptions`. */
export type OwnGroupRule = "sum" | "squares" | "mean" | "deviate";

/** The options of every criterion of your own. */
export interface CriterionOptions {
  /**
   * Its name in reports, in messages and in variants of a comparison: letters, digits, `.`, `_` and `-`. It must not
   * be the name of a criterion of the library.
   */
  readonly name: string;
  /**
   * The worth of a group (a filter, a block, or a coupled group of channels) from the scores s of its kept weights.
   * `sum`: their sum. `squares`: the root of the sum of s^2, as for magnitudes. `mean`: the root mean square of s,
   * for scores that all weights of a filter share. `deviate`: for signals to noise, the number of standard deviations
   * by which the sum of s^2 exceeds that of weights without a signal. Default: `sum`.
   */
  readonly group?: OwnGroupRule | undefined;
}

/** A criterion as an expression of WGSL. */
export interface ExpressionCriterion extends CriterionOptions {
  /**
   * The score of one weight, at least 0, larger = kept longer: an expression of numbers (f32) with the operators and
   * functions of WGSL. It may name `mean`, the weight's value; `gradient_mean`, the loss's mean gradient on the
   * calibration examples; `fisher`, the diagonal Fisher information of one example; `variance`, the variance of the
   * value over the steps of training (`keepsVariance`); `prior_precision` of the weight's layer; and `examples`, the
   * number of training examples divided by the temperature. The named numbers are computed first. A removed weight
   * scores 0.
   */
  readonly expression: string;
}

/** A weight that a function scores. */
export interface ScoredTensor {
  /** Its full name, such as `conv1.weight`. */
  readonly name: string;
  /** Its shape in PyTorch's order, such as (out, in, height, width). */
  readonly shape: readonly number[];
}

/** The inputs of a scoring function: copies of a weight's numbers, flat, in PyTorch's order. */
export type ScoredArrays =
  & Readonly<Record<"mean" | "mask", Float32Array>>
  & Readonly<Partial<Record<CriterionNeed, Float32Array>>>;

/** A criterion as a function on the host. */
export interface FunctionCriterion extends CriterionOptions {
  /**
   * Its further inputs besides the values (`mean`) and the mask (1 keeps, 0 removes); see `expression`. Default:
   * none.
   */
  readonly reads?: readonly CriterionNeed[] | undefined;
  /**
   * Scores all weights of a tensor: one number for each, at least 0, larger = kept longer, in the order of the
   * arrays. Scores of removed weights are ignored.
   */
  readonly scores: (tensor: ScoredTensor, arrays: ScoredArrays) => Float32Array | Promise<Float32Array>;
}

/** A criterion that `defineCriterion` made. */
export interface CriterionDefinition {
  /** Its name. */
  readonly name: string;
  /** Its expression; absent if it is a function. */
  readonly expression?: string;
}

/** A criterion of the library by its name, or one of your own. */
export type Criterion = CriterionName | CriterionDefinition;

const made = new WeakMap<CriterionDefinition, CriterionType>();

/**
 * Defines a criterion for scoring, pruning and comparing.
 *
 * Scores are checked before anything is removed: a score that is not finite, or below 0, is refused with the name of
 * its weight. A run that is resumed must be given the same criterion.
 *
 * @example
 * ```ts
 * import { defineCriterion } from "./own_criterion.ts";
 *
 * const byFisher = defineCriterion({ name: "fisher-magnitude", expression: "abs(mean) * sqrt(fisher)", group: "squares" });
 * const byColumn = defineCriterion({
 *   name: "wanda-like",
 *   reads: ["gradient_mean"],
 *   scores: ({ shape }, { mean, gradient_mean: gradient }) =>
 *     mean.map((value, i) => Math.abs(value * gradient![i]) / shape[0]),
 * });
 * byFisher.name; // "fisher-magnitude"
 * byColumn.expression; // undefined
 * ```
 * @throws {ConfigError} If the name is taken or none, or the expression names what there is not.
 */
export function defineCriterion(criterion: ExpressionCriterion | FunctionCriterion): CriterionDefinition {
  const { name, group = "sum" } = criterion, act = "define criterion";
  const refuse = (current: string, wanted: string): never => {
    throw new ConfigError({ act, thing: describeValue(name), current, wanted });
  };
  if (typeof name !== "string" || !/^[A-Za-z][\w.-]*$/.test(name)) {
    refuse("no name that variants can be called by", 'letters, digits, ".", "_" and "-"');
  }
  if ((criteria as readonly string[]).includes(name)) {
    refuse("the library has one of that name", "another name");
  }
  checkWords(`${act} ${name} with`, { group: [group, ["sum", "squares", "mean", "deviate"]] });
  if ("expression" in criterion) {
    const { expression } = criterion;
    if (typeof expression !== "string") refuse(describeValue(expression), "an expression as text");
    const definition = Object.freeze({ name, expression });
    made.set(definition, { ...expressionCriterion({ name, expression, group, isOwn: true }), ownName: name });
    return definition;
  }
  const { scores, reads = [] } = criterion, known = ["fisher", "gradient_mean", "variance"];
  for (const need of reads) checkWords(`${act} ${name} with`, { reads: [need, known] });
  if (typeof scores !== "function") refuse(describeValue(scores), "an expression, or a function scores");
  const definition = Object.freeze({ name });
  made.set(definition, {
    ownName: name,
    needs: [...reads],
    group,
    lower: () => [],
    hostScores: async ({ fullName, shape }, arrays) =>
      await scores({ name: fullName, shape: [...shape] }, arrays as ScoredArrays),
  });
  return definition;
}

/** The criterion of a definition; undefined if `defineCriterion` did not make it. */
export function typeOfDefinition(definition: CriterionDefinition): CriterionType | undefined {
  return made.get(definition);
}

/** Criteria in reports: by name, the expression or the word for a function; undefined if there are none. */
export function describeDefinitions(
  definitions: readonly (CriterionDefinition | undefined)[],
): { readonly ownCriteria?: Readonly<Record<string, string>> } {
  const own = definitions.flatMap((one) => one ? [[one.name, one.expression ?? "a function"] as const] : []);
  return own.length > 0 ? { ownCriteria: Object.fromEntries(own) } : {};
}

/** A criterion's name. */
export function nameOfCriterion(criterion: Criterion): string {
  return typeof criterion === "string" ? criterion : criterion.name;
}
