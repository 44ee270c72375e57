/**
 * The names of the criteria, which configurations and src/prune/score/criteria.ts share.
 *
 * @module
 */

/** Every criterion. */
export const criteria = [
  "confidence",
  "magnitude",
  "magnitude-l1",
  "gradient",
  "taylor",
  "obd",
  "l1",
  "lamp",
  "bn-scale",
  "fpgm",
  "snr",
  "random",
] as const;

/** A criterion's name. */
export type CriterionName = typeof criteria[number];

/** Those that read the Fisher information; a test holds them to what each criterion needs. */
export const fisherCriteria = ["confidence", "obd"] as const satisfies readonly CriterionName[];
