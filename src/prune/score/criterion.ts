/**
 * The contract of a criterion: what it needs, what a group of its scores is worth, and how it scores a tensor.
 * docs/extending.md shows how to add one.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import type { Graph } from "../../model/graph.ts";
import type { ParameterLayout, PlacedParameter } from "../../plan/layout.ts";
import { quadsOf } from "../../shape.ts";

/** What a criterion reads beside the mean: arenas that calibration or training fills. */
export type CriterionNeed = "fisher" | "gradient_mean" | "variance";

/**
 * What a group of weights is worth by the scores s of those that it keeps:
 *
 * - `deviate`: s = z; by how many deviations the sum of s^2 lies above what as many weights without a signal give;
 * - `squares`: the root of the sum of s^2;
 * - `sum`: the sum of s;
 * - `mean`: the root mean square of s, for scores that all weights of a filter share;
 * - `random`: a hash of the seed and the group.
 */
export type GroupRule = "deviate" | "squares" | "sum" | "mean" | "random";

/** A model as criteria see it. */
export interface CriterionModel {
  readonly layout: ParameterLayout;
  readonly graph: Graph;
}

/** What the dispatches of a criterion depend on beside the tensor. */
export interface CriterionContext extends CriterionModel {
  /** The tensor's index among the prunable ones. */
  readonly layer: number;
  /** Examples whose information the confidence counts. */
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
  /** True if it reads the buffer `prior_precision` (layers), which is filled before. */
  readonly readsPrior?: boolean;
  /** True if it counts the examples that the model was trained on. */
  readonly readsExamples?: boolean;
  /** The name of a criterion that is none of the library's, whose scores are looked at before they count. */
  readonly ownName?: string;
  /** Scores on the host, after its dispatches. */
  readonly hostScores?: HostScores;
  /** Words of the buffers that it needs for one tensor, by name; tensors share them one after the other. */
  scratch?(tensor: PlacedParameter): Readonly<Record<string, number>>;
  /** Whether it can score a tensor. Default: it scores all. */
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
    params: { quads, offset, inner: quadsOf(channels), channels, ...params },
  });
}

/** The dispatch that gives every weight what the buffer `row_scores` says of its filter (output unit). */
export function lowerRowScores(tensor: PlacedParameter): Dispatch {
  const params = { "row_quads": tensor.rowQuads };
  return lowerScore(tensor, "score/rows", { bindings: { "row_scores": inputRef("row_scores") }, params });
}

/** The buffer that `lowerRowScores` reads. */
export function rowScratch({ rows }: PlacedParameter): Readonly<Record<string, number>> {
  return { "row_scores": rows };
}
