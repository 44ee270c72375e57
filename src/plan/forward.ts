/**
 * Plans of a forward pass alone: a teacher's, and the one that recalibrates batch norm.
 *
 * @module
 */
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import type { ImageSource } from "./images.ts";
import type { ParameterLayout } from "./layout.ts";
import { lowerPlan } from "./lower.ts";
import type { Plan } from "./plan.ts";

/** Options of a forward pass. */
export interface ForwardOptions {
  /** Examples per batch. */
  readonly batch: number;
  readonly choose: ProductChooser;
  /** The layout of the network that the plan runs on. Default: all parameters in one window. */
  readonly layout?: ParameterLayout;
  /** The source of the batch. Default: the host writes the tensor `x` before each step. */
  readonly images?: ImageSource;
  /**
   * True mixes the batch in pairs by the shares in the input `mix_shares`: a teacher must get the same images as its
   * student.
   */
  readonly mixes?: boolean;
  /** Layers whose own outputs must be readable; see `Plan.outputs`. */
  readonly probes?: readonly string[];
}

/** Lowers a model's evaluation up to its logits. */
export function lowerForward(graph: Graph, options: ForwardOptions): Plan {
  const plan = lowerPlan(graph, { ...options, mode: "evaluate" });
  const loss = plan.dispatches.findIndex(({ kernel }) => kernel === "loss/softmax_cross_entropy");
  return { ...plan, name: "forward", dispatches: plan.dispatches.slice(0, loss) };
}

const runningKernel = "reduce/merge_moments:reduce/running_statistics";

/**
 * Lowers a training pass up to the last batch norm. The running statistics become the mean over the batches. The step
 * field `batch_weight` must be 1 / k at the k-th batch.
 */
export function lowerRecalibration(graph: Graph, options: ForwardOptions): Plan {
  const plan = lowerPlan(graph, { ...options, mode: "train" });
  const last = plan.dispatches.findLastIndex(({ kernel }) => kernel === runningKernel);
  const dispatches = plan.dispatches.slice(0, last + 1).map((dispatch): Dispatch => {
    if (dispatch.kernel !== runningKernel) return dispatch;
    const { tally: _, ...bindings } = dispatch.bindings, { momentum: __, ...params } = dispatch.params;
    const kernel = "reduce/merge_moments:reduce/cumulative_statistics";
    return { ...dispatch, kernel, bindings, params };
  });
  return { ...plan, name: "recalibrate", dispatches };
}
