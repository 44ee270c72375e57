/**
 * The scale of the batch norm behind a convolution, for all weights of the channel's filter.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { dispatchOver } from "../../kernels/dispatch.ts";
import { resolveGraph } from "../../model/graph.ts";
import type { PlacedParameter } from "../../plan/layout.ts";
import { type CriterionModel, type CriterionType, lowerRowScores, rowScratch } from "./criterion.ts";

/** The scale of the batch norm that takes the output of a weight's layer, where one does. */
function scaleBehind(
  tensor: PlacedParameter,
  { layout, graph }: CriterionModel,
): PlacedParameter | undefined {
  const nodes = resolveGraph(graph);
  const layer = nodes.findIndex(({ spec }) => `${spec.name}.${tensor.name}` === tensor.fullName);
  const norm = nodes.find(({ type, sources }) => type.normForm !== undefined && sources[0] === layer);
  const form = norm?.type.normForm?.(norm.spec);
  return layout.parameters.find(({ fullName }) => form && fullName === `${norm!.spec.name}.${form.scale}`);
}

/** Batch norm's |scale|. Source: Liu et al. 2017, "Network slimming", arXiv 1708.06519. */
export const bnScale: CriterionType = {
  needs: [],
  group: "mean",
  scratch: rowScratch,
  scores: (tensor, model) => scaleBehind(tensor, model) !== undefined,
  lower(tensor, context) {
    const scale = scaleBehind(tensor, context);
    if (!scale) return [];
    const { fullName, rows } = tensor;
    const scales = dispatchOver(rows, {
      kernel: "score/row_scales",
      label: `${fullName} scales`,
      bindings: { mean: arenaRef("mean"), row_scores: inputRef("row_scores") },
      params: { rows, first: 4 * scale.offset },
    });
    return [scales, lowerRowScores(tensor)];
  },
};
