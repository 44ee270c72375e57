/**
 * Which means and deviations images may be normalised by: (pixel - mean) / deviation must be a number of 32 bits that a
 * network can compute with.
 *
 * @module
 */

/** Least and most of each number, in units where 255 is 1. */
const bounds = { mean: [-1e6, 1e6], std: [1e-6, 1e6] } as const;

/** The two lists of a normalisation. */
export type NormalizationKey = keyof typeof bounds;

/** True for a mean or deviation of each channel that images can be normalised by. */
export function isNormalization(
  values: unknown,
  key: NormalizationKey,
  channels: number,
): values is readonly number[] {
  const [least, most] = bounds[key];
  return Array.isArray(values) && values.length === channels &&
    values.every((value) => typeof value === "number" && value >= least && value <= most);
}

/** What `isNormalization` asks for, in words. */
export function normalizationWanted(key: NormalizationKey, channels: number): string {
  const [least, most] = bounds[key];
  const count = channels === 1 ? "1 number for the channel" : `${channels} numbers, one for each channel`;
  return `${count}, from ${least} to ${most}`;
}
