/**
 * Magnitude |mean|, as criterion magnitude of single weights; of a group its L1 norm.
 *
 * @module
 */
import { arenaRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** Magnitude, L1 of groups. Source: Li et al. 2017, arXiv 1608.08710. */
export const magnitudeL1: CriterionType = {
  needs: [],
  group: "sum",
  lower: (tensor) => [lowerScore(tensor, "magnitude", { bindings: { mean: arenaRef("mean") } })],
};
