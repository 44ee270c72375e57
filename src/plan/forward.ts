/**
 * Plans of a forward pass alone: a teacher's, and the one that measures batch norm's statistics anew.
 *
 * @module
 */
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import type { ImageSource } from "./images.ts";
import { lowerPlan } from "./lower.ts";
import type { Plan } from "./plan.ts";

/** What a forward pass is lowered for. */
export interface ForwardOptions {
  /** Examples a step. */
  readonly batch: number;
  readonly choose: ProductChooser;
  /** Where the batch comes from; without it the host writes the tensor `x` before each step. */
  readonly images?: ImageSource;
  /** Mixes the batch in pairs, by the shares in the buffer `mix_shares`, as a teacher must see what its student sees. */
  readonly mixes?: boolean;
  /** Layers whose outputs are to be there as they are; see `Plan.outputs`. */
  readonly probes?: readonly string[];
}

/** Lowers a model's evaluation up to its logits. */
export function lowerForward(graph: Graph, options: ForwardOptions): Plan {
  const plan = lowerPlan(graph, { ...options, mode: "evaluate" });
  const loss = plan.dispatches.findIndex(({ kernel }) => kernel === "loss/softmax_cross_entropy");
  return { ...plan, name: "forward", dispatches: plan.dispatches.slice(0, loss) };
}

const runningKernel = "layer/batchnorm2d_running";

/**
 * Lowers a training pass up to the last batch norm, whose running statistics become the mean over the batches. Each
 * step takes `batch_weight`: 1 / k at the k-th batch.
 */
export function lowerRecalibration(graph: Graph, options: ForwardOptions): Plan {
  const plan = lowerPlan(graph, { ...options, mode: "train" });
  const last = plan.dispatches.findLastIndex(({ kernel }) => kernel === runningKernel);
  const dispatches = plan.dispatches.slice(0, last + 1).map((dispatch): Dispatch => {
    if (dispatch.kernel !== runningKernel) return dispatch;
    const { batch, running } = dispatch.bindings, { quads, offset, correction } = dispatch.params;
    const kernel = "layer/batchnorm2d_cumulative";
    return { ...dispatch, kernel, bindings: { batch, running }, params: { quads, offset, correction } };
  });
  return { ...plan, name: "recalibrate", dispatches };
}
