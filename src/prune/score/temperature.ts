/**
 * The temperature of the tempered posterior, chosen before a removal by what the removal would cost on validation
 * examples.
 *
 * @module
 */
import { z } from "zod";

/**
 * The temperatures T that are tried. N F / T stands beside the prior precision in a sum, and z is the root of that: a step
 * of eight moves what the information says of z threefold, so that six span the way from nearly optimal brain damage,
 * which T -> 0 ranks by, to nearly magnitude. Of the seed network on 2,500 images the losses of T = 64 and 256 were alike,
 * and some of the lowest lay at 1/64 and below.
 */
export const posteriorTemperatures: readonly number[] = [1 / 512, 1 / 64, 1 / 8, 1, 8, 64];

/** A temperature that was tried. */
export interface TemperatureTrial {
  /** What the examples' information was divided by. */
  readonly temperature: number;
  /** Mean cross-entropy in nats on the validation examples after the removal. */
  readonly loss: number;
}

/** The temperature by which a removal went, and those that it was chosen among. */
export interface TemperatureChoice {
  /** The one that was taken. */
  readonly temperature: number;
  /** All that were tried, rising. */
  readonly tried: readonly TemperatureTrial[];
}

/** Takes the temperature of the lowest loss; of equal losses that of the temperature nearest to 1, on the log scale. */
export function pickTemperature(tried: readonly TemperatureTrial[]): TemperatureChoice {
  const distance = ({ temperature }: TemperatureTrial) => Math.abs(Math.log(temperature));
  const [{ temperature }] = tried.toSorted((a, b) => a.loss - b.loss || distance(a) - distance(b));
  return { temperature, tried };
}

/** The schema of a choice in reports. */
export const temperatureChoiceSchema = z.strictObject({
  temperature: z.number().gt(0),
  tried: z.array(z.strictObject({ temperature: z.number().gt(0), loss: z.number().min(0) })).min(1),
});
