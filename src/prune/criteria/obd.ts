/**
 * Optimal brain damage, mean^2 F / 2: the loss that the diagonal Fisher information expects of a removal.
 *
 * @module
 */
import { arenaRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** Optimal brain damage. Source: LeCun, Denker and Solla 1989. */
export const obd: CriterionType = {
  needs: ["fisher"],
  group: "sum",
  lower: (
    tensor,
  ) => [lowerScore(tensor, "obd", { bindings: { mean: arenaRef("mean"), fisher: arenaRef("fisher") } })],
};
