/**
 * Magnitude |mean|; of a group its L2 norm.
 *
 * @module
 */
import { arenaRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** Magnitude, L2 of groups. Source: Han et al. 2015, arXiv 1506.02626. */
export const magnitude: CriterionType = {
  needs: [],
  group: "squares",
  lower: (tensor) => [lowerScore(tensor, "magnitude", { bindings: { mean: arenaRef("mean") } })],
};
