/**
 * First-order Taylor, |mean x mean gradient|; of a group the root of the sum of squares.
 *
 * @module
 */
import { arenaRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** First-order Taylor expansion. Source: Molchanov et al. 2019, arXiv 1906.10771. */
export const taylor: CriterionType = {
  needs: ["gradient_mean"],
  group: "squares",
  lower: (
    tensor,
  ) => [
    lowerScore(tensor, "taylor", {
      bindings: { mean: arenaRef("mean"), "gradient_mean": arenaRef("gradient_mean") },
    }),
  ],
};
