/**
 * Criteria that score each weight by its own numbers alone.
 *
 * @module
 */
import { type CriterionType, lowerScore } from "./criterion.ts";
import { expressionCriterion } from "./expression.ts";

/**
 * The signal to noise z = |mean| sqrt(N F + lambda). It orders weights as their confidence erf(z / sqrt 2) does, but
 * the confidence is 1 in f32 above z = 5.5. Source: docs/method.md; Graves 2011; MacKay 1992.
 */
const confidence: CriterionType = expressionCriterion({
  name: "confidence",
  expression: "abs(mean) * sqrt(examples * fisher + prior_precision)",
  group: "deviate",
});

/** Magnitude |mean|; for groups the L2 norm. Source: Han et al. 2015, arXiv 1506.02626. */
const magnitude: CriterionType = expressionCriterion({
  name: "magnitude",
  expression: "abs(mean)",
  group: "squares",
});

/** Magnitude |mean|; for groups the L1 norm. Source: Li et al. 2017, arXiv 1608.08710. */
const magnitudeL1: CriterionType = { ...magnitude, group: "sum" };

/** The size of the mean gradient. */
const gradient: CriterionType = expressionCriterion({
  name: "gradient",
  expression: "abs(gradient_mean)",
  group: "squares",
});

/**
 * First-order Taylor expansion, |mean x mean gradient|; for groups the root of the sum of squares. Source: Molchanov
 * et al. 2019, arXiv 1906.10771.
 */
const taylor: CriterionType = expressionCriterion({
  name: "taylor",
  expression: "abs(mean * gradient_mean)",
  group: "squares",
});

/**
 * Optimal brain damage, mean^2 F / 2: the increase of the loss by a removal, as the diagonal Fisher information
 * predicts it. Source: LeCun, Denker and Solla 1989.
 */
const obd: CriterionType = expressionCriterion({
  name: "obd",
  expression: "mean * mean * fisher * 0.5",
  group: "sum",
});

/**
 * Signal to noise |mean| / standard deviation over the averaged steps of training, which SWAG takes for noise. The
 * standard deviation of a weight that never moved counts as 1e-20. Source: Maddox et al. 2019, arXiv 1902.02476,
 * section 3.2 (the diagonal).
 */
const snr: CriterionType = expressionCriterion({
  name: "snr",
  expression: "abs(mean) / max(sqrt(variance), 1.0e-20)",
  group: "squares",
});

/** A random order, the baseline that any criterion must beat: a hash of the seed and the weight's index, or the group's. */
const random: CriterionType = {
  needs: [],
  group: "random",
  lower: (tensor, { seed }) => [
    lowerScore(tensor, "score/random", { params: { seed, ordinal: tensor.ordinal } }),
  ],
};

/** The criteria of this file by name. */
export const pointwiseCriteria = {
  confidence,
  magnitude,
  "magnitude-l1": magnitudeL1,
  gradient,
  taylor,
  obd,
  snr,
  random,
} as const;
