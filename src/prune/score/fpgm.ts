/**
 * The distances of a filter to the others of its layer, for all its weights: what lies near the geometric median, the
 * others can stand in for.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { checkIterations, dispatchOver } from "../../kernels/dispatch.ts";
import type { PlacedParameter } from "../../plan/layout.ts";
import { type CriterionType, lowerRowScores, rowScratch } from "./criterion.ts";

/** Quads that one invocation compares, about. */
const quadsPerInvocation = 16384;

function chunksOf({ rows, rowQuads }: PlacedParameter) {
  const rowsPerChunk = Math.max(1, Math.min(rows, Math.floor(quadsPerInvocation / rowQuads)));
  return { rowsPerChunk, chunks: Math.ceil(rows / rowsPerChunk) };
}

/** Filter pruning by the geometric median. Source: He et al. 2019, arXiv 1811.00250, equation 4. */
export const fpgm: CriterionType = {
  needs: [],
  group: "mean",
  scratch(tensor) {
    return { ...rowScratch(tensor), "row_distances": tensor.rows * chunksOf(tensor).chunks };
  },
  lower(tensor) {
    const { fullName, rows, rowQuads, offset } = tensor, { rowsPerChunk, chunks } = chunksOf(tensor);
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
