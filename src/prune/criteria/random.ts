/**
 * A random order, the baseline that any criterion must beat.
 *
 * @module
 */
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** A hash of the seed and the weight's place, or of the seed and the group. */
export const random: CriterionType = {
  needs: [],
  group: "random",
  lower: (tensor, { seed }) => [lowerScore(tensor, "random", { params: { seed } })],
};
