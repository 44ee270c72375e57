/**
 * The contract of a criterion: its inputs, the worth of a group of its scores, and how it scores a tensor.
 * docs/extending.md shows how to add one.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import type { Graph } from "../../model/graph.ts";
import type { ParameterLayout, PlacedParameter } from "../../plan/layout.ts";
import { countQuads } from "../../shape.ts";

/** The arenas that a criterion reads besides the mean, filled by calibration or training. */
export type CriterionNeed = "fisher" | "gradient_mean" | "variance";

/**
 * The worth of a group from the scores s of its kept weights:
 *
 * - `deviate`: s = z; the number of standard deviations by which the sum of s^2 exceeds that of as many weights
 *   without a signal;
 * - `squares`: the root of the sum of s^2;
 * - `sum`: the sum of s;
 * - `mean`: the root mean square of s, for scores that all weights of a filter share;
 * - `random`: a hash of the seed and the group.
 */
export type GroupRule = "deviate" | "squares" | "sum" | "mean" | "random";

/** A model, for criteria. */
export interface CriterionModel {
  readonly layout: ParameterLayout;
  readonly graph: Graph;
}

/** The context of a criterion's dispatches. */
export interface CriterionContext extends CriterionModel {
  /** The tensor's index among the prunable ones. */
  readonly layer: number;
  /** The number of training examples. */
  readonly examples: number;
  readonly seed: number;
}

/** Scores one tensor on the host: its numbers by arena, in PyTorch's order, to a score per weight. */
export type HostScores = (
  tensor: PlacedParameter,
  arrays: Readonly<Record<string, Float32Array>>,
) => Promise<Float32Array>;

/** A criterion. */
export interface CriterionType {
  readonly needs: readonly CriterionNeed[];
  readonly group: GroupRule;
  /** True if it reads the buffer `prior_precision` (layers), which is filled first. */
  readonly readsPrior?: boolean;
  /** True if it uses the number of training examples. */
  readonly readsExamples?: boolean;
  /** The name of a criterion that is not in the library. Its scores are checked. */
  readonly ownName?: string;
  /** Scores on the host, after its dispatches. */
  readonly hostScores?: HostScores;
  /** Words of its buffers for one tensor, by name. Tensors use them one after the other. */
  scratch?(tensor: PlacedParameter): Readonly<Record<string, number>>;
  /** True if it can score a tensor. Default: it scores all tensors. */
  scores?(tensor: PlacedParameter, model: CriterionModel): boolean;
  /** The dispatches that score one tensor, into the arena `scores`. */
  lower(tensor: PlacedParameter, context: CriterionContext): readonly Dispatch[];
}

/** The dispatch of the score core with a criterion's operation, such as `score/lamp`, over one tensor. */
export function lowerScore(
  { fullName, quads, offset, channels }: PlacedParameter,
  operation: string,
  { text, bindings = {}, params = {} }: Partial<Pick<Dispatch, "text" | "bindings" | "params">>,
): Dispatch {
  return dispatchOver(quads, {
    kernel: `score/score:${operation}`,
    ...(text === undefined ? {} : { text }),
    label: `${fullName} ${operation.replace("score/", "")}`,
    bindings: { ...bindings, scores: arenaRef("scores") },
    params: { quads, offset, inner: countQuads(channels), channels, ...params },
  });
}

/** The dispatch that gives every weight the number in the buffer `row_scores` for its filter (output unit). */
export function lowerRowScores(tensor: PlacedParameter): Dispatch {
  const params = { "row_quads": tensor.rowQuads };
  return lowerScore(tensor, "score/rows", { bindings: { "row_scores": inputRef("row_scores") }, params });
}

/** The buffer that `lowerRowScores` reads. */
export function rowScratch({ rows }: PlacedParameter): Readonly<Record<string, number>> {
  return { "row_scores": rows };
}
