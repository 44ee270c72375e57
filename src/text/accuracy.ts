/**
 * Accuracies as commands print them: in per cent, with what chance makes of them.
 *
 * @module
 */
import { standardError } from "../train/evaluate.ts";

/** A fraction in per cent, such as `91.5 %`. */
export const percentText = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

/** An accuracy with its standard error, such as `91.5 +- 0.9 %`. */
export const accuracyText = (accuracy: number, examples: number): string =>
  `${(100 * accuracy).toFixed(1)} +- ${(100 * standardError(accuracy, examples)).toFixed(1)} %`;
