/**
 * The size of the mean gradient.
 *
 * @module
 */
import { arenaRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** The size of the mean gradient. */
export const gradient: CriterionType = {
  needs: ["gradient_mean"],
  group: "squares",
  lower: (
    tensor,
  ) => [lowerScore(tensor, "gradient", { bindings: { "gradient_mean": arenaRef("gradient_mean") } })],
};
