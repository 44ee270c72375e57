/**
 * Signal to noise |mean| / deviation over the steps that training averaged, as SWAG takes the deviation for noise.
 *
 * @module
 */
import { arenaRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** Signal to noise over the steps of training. Source: Maddox et al. 2019, arXiv 1902.02476, section 3.2 (the diagonal). */
export const snr: CriterionType = {
  needs: ["variance"],
  group: "squares",
  lower: (
    tensor,
  ) => [lowerScore(tensor, "snr", { bindings: { mean: arenaRef("mean"), variance: arenaRef("variance") } })],
};
