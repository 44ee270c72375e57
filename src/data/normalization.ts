/**
 * The allowed means and standard deviations of a normalisation: (pixel - mean) / deviation must be a 32-bit number
 * that a network can compute with.
 *
 * @module
 */

/** Minimum and maximum of each number, in units where 255 is 1. */
const bounds = { mean: [-1e6, 1e6], std: [1e-6, 1e6] } as const;

/** The two lists of a normalisation. */
export type NormalizationKey = keyof typeof bounds;

/** True for allowed means or standard deviations of all channels. */
export function isNormalization(
  values: unknown,
  key: NormalizationKey,
  channels: number,
): values is readonly number[] {
  const [min, max] = bounds[key];
  return Array.isArray(values) && values.length === channels &&
    values.every((value) => typeof value === "number" && value >= min && value <= max);
}

/** The condition of `isNormalization` as text. */
export function normalizationWanted(key: NormalizationKey, channels: number): string {
  const [min, max] = bounds[key];
  const count = channels === 1 ? "1 number for the channel" : `${channels} numbers, one for each channel`;
  return `${count}, from ${min} to ${max}`;
}
