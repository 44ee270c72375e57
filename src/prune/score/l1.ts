/**
 * The mean |weight| of a filter for all its weights, so that single weights go a filter at a time.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { dispatchOver } from "../../kernels/dispatch.ts";
import { type CriterionType, lowerRowScores, rowScratch } from "./criterion.ts";

/** Filters by their L1 norm over their size. Source: Li et al. 2017, arXiv 1608.08710. */
export const l1: CriterionType = {
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
