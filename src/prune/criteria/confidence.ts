/**
 * The signal to noise of the confidence, |mean| sqrt(N F + lambda).
 *
 * @module
 */
import { type CriterionType, lowerScore } from "./criterion.ts";

/** Confidence, ranked on z. Expects the buffer `prior_precision` (layers) to be filled. Formula: docs/method.md. */
export const confidence: CriterionType = {
  needs: ["fisher"],
  group: "deviate",
  lower: (tensor, { layer, examples }) => [
    lowerScore(tensor, "confidence", {
      bindings: { mean: "mean", fisher: "fisher", "prior_precision": "prior_precision" },
      params: { layer, examples },
    }),
  ],
};
