/**
 * The signal to noise of the confidence, |mean| sqrt(N F + lambda).
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "../score/criterion.ts";

/** Confidence, ranked on z. Expects the buffer `prior_precision` (layers) to be filled. Formula: docs/method.md. */
export const confidence: CriterionType = {
  needs: ["fisher"],
  group: "deviate",
  lower: (tensor, { layer, examples }) => [
    lowerScore(tensor, "confidence", {
      bindings: {
        mean: arenaRef("mean"),
        fisher: arenaRef("fisher"),
        "prior_precision": inputRef("prior_precision"),
      },
      params: { layer, examples },
    }),
  ],
};
