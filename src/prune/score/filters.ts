/**
 * Criteria that score filters: all weights of an output unit get the same score.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { checkIterations, dispatchOver } from "../../kernels/dispatch.ts";
import { resolveGraph } from "../../model/graph.ts";
import type { PlacedParameter } from "../../plan/layout.ts";
import { type CriterionModel, type CriterionType, lowerRowScores, rowScratch } from "./criterion.ts";

/** The mean |weight| of a filter. Source: Li et al. 2017, arXiv 1608.08710. */
const l1: CriterionType = {
  needs: [],
  group: "mean",
  scratch: rowScratch,
  lower(tensor) {
    const { fullName, rows, rowQuads, offset, taps, channels } = tensor;
    const norms = dispatchOver(rows, {
      kernel: "score/row_norms",
      label: `${fullName} row norms`,
      bindings: { mean: arenaRef("mean"), row_norms: inputRef("row_scores") },
      params: { rows, row_quads: rowQuads, offset, row_weights: taps * channels },
    });
    return [norms, lowerRowScores(tensor)];
  },
};

/** The approximate number of quads that one invocation compares. */
const quadsPerInvocation = 16384;

function splitFilters({ rows, rowQuads }: PlacedParameter) {
  const rowsPerChunk = Math.max(1, Math.min(rows, Math.floor(quadsPerInvocation / rowQuads)));
  return { rowsPerChunk, chunks: Math.ceil(rows / rowsPerChunk) };
}

/**
 * The sum of a filter's distances to the others of its layer. The others can replace a filter near the geometric
 * median. Source: He et al. 2019, arXiv 1811.00250, equation 4.
 */
const fpgm: CriterionType = {
  needs: [],
  group: "mean",
  scratch(tensor) {
    return { ...rowScratch(tensor), "row_distances": tensor.rows * splitFilters(tensor).chunks };
  },
  lower(tensor) {
    const { fullName, rows, rowQuads, offset } = tensor, { rowsPerChunk, chunks } = splitFilters(tensor);
    checkIterations("score/row_distances", rowsPerChunk * (rowQuads + 1));
    const distances = dispatchOver(rows * chunks, {
      kernel: "score/row_distances",
      label: `${fullName} distances, chunks`,
      bindings: { mean: arenaRef("mean"), distances: inputRef("row_distances") },
      params: { rows, row_quads: rowQuads, offset, rows_per_chunk: rowsPerChunk, chunks },
    });
    const sums = dispatchOver(rows, {
      kernel: "score/row_totals",
      label: `${fullName} distances, sum`,
      bindings: { parts: inputRef("row_distances"), row_scores: inputRef("row_scores") },
      params: { rows, chunks },
    });
    return [distances, sums, lowerRowScores(tensor)];
  },
};

/** The scale of the batch norm that reads the output of a weight's layer, if there is one. */
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
const bnScale: CriterionType = {
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

/** The criteria of this file by name. */
export const filterCriteria = { l1, fpgm, "bn-scale": bnScale } as const;
