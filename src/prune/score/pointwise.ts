/**
 * Criteria that score each weight by its own numbers alone.
 *
 * @module
 */
import { arenaRef, type BufferRef, inputRef } from "../../kernels/buffer_ref.ts";
import { type CriterionType, lowerScore } from "./criterion.ts";

/** The arenas that an operation reads. */
function readArenas(...roles: readonly ("mean" | "fisher" | "gradient_mean" | "variance")[]) {
  return Object.fromEntries(roles.map((role): [string, BufferRef] => [role, arenaRef(role)]));
}

/**
 * The signal to noise z = |mean| sqrt(N F + lambda), which orders weights as their confidence erf(z / sqrt 2) does.
 * Expects the buffer `prior_precision` (layers) to be filled. Formula: docs/method.md.
 */
const confidence: CriterionType = {
  needs: ["fisher"],
  group: "deviate",
  lower: (tensor, { layer, examples }) => [
    lowerScore(tensor, "confidence", {
      bindings: { ...readArenas("mean", "fisher"), "prior_precision": inputRef("prior_precision") },
      params: { layer, examples },
    }),
  ],
};

/** Magnitude |mean|; of a group its L2 norm. Source: Han et al. 2015, arXiv 1506.02626. */
const magnitude: CriterionType = {
  needs: [],
  group: "squares",
  lower: (tensor) => [lowerScore(tensor, "magnitude", { bindings: readArenas("mean") })],
};

/** Magnitude |mean|; of a group its L1 norm. Source: Li et al. 2017, arXiv 1608.08710. */
const magnitudeL1: CriterionType = { ...magnitude, group: "sum" };

/** The size of the mean gradient. */
const gradient: CriterionType = {
  needs: ["gradient_mean"],
  group: "squares",
  lower: (tensor) => [lowerScore(tensor, "gradient", { bindings: readArenas("gradient_mean") })],
};

/**
 * First-order Taylor expansion, |mean x mean gradient|; of a group the root of the sum of squares. Source: Molchanov et
 * al. 2019, arXiv 1906.10771.
 */
const taylor: CriterionType = {
  needs: ["gradient_mean"],
  group: "squares",
  lower: (tensor) => [lowerScore(tensor, "taylor", { bindings: readArenas("mean", "gradient_mean") })],
};

/**
 * Optimal brain damage, mean^2 F / 2: the loss that the diagonal Fisher information expects of a removal. Source: LeCun,
 * Denker and Solla 1989.
 */
const obd: CriterionType = {
  needs: ["fisher"],
  group: "sum",
  lower: (tensor) => [lowerScore(tensor, "obd", { bindings: readArenas("mean", "fisher") })],
};

/**
 * Signal to noise |mean| / deviation over the steps that training averaged, as SWAG takes the deviation for noise.
 * Source: Maddox et al. 2019, arXiv 1902.02476, section 3.2 (the diagonal).
 */
const snr: CriterionType = {
  needs: ["variance"],
  group: "squares",
  lower: (tensor) => [lowerScore(tensor, "snr", { bindings: readArenas("mean", "variance") })],
};

/** A random order, the baseline that any criterion must beat: a hash of the seed and the weight's index, or the group's. */
const random: CriterionType = {
  needs: [],
  group: "random",
  lower: (tensor, { seed }) => [lowerScore(tensor, "random", { params: { seed } })],
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
