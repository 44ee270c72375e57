/**
 * The temperature of the tempered posterior, chosen before a removal by the loss that the removal would have on
 * validation examples.
 *
 * @module
 */
import { z } from "zod";

/**
 * The temperatures T that are tried. z is the root of the sum of N F / T and the prior precision, so a step of eight
 * changes the information's part of z threefold. Six steps span the way from nearly optimal brain damage (the limit T
 * -> 0) to nearly magnitude. Of the seed network on 2,500 images the losses of T = 64 and 256 were alike, and some of
 * the lowest lay at 1/64 and below.
 */
export const posteriorTemperatures: readonly number[] = [1 / 512, 1 / 64, 1 / 8, 1, 8, 64];

/** A temperature that was tried. */
export interface TemperatureTrial {
  /** The temperature. */
  readonly temperature: number;
  /** Mean cross-entropy in nats on the validation examples after the removal. */
  readonly loss: number;
}

/** The chosen temperature of a removal, and the temperatures that were tried. */
export interface TemperatureChoice {
  /** The chosen temperature. */
  readonly temperature: number;
  /** All trials, by rising temperature. */
  readonly tried: readonly TemperatureTrial[];
}

/** Takes the temperature of the lowest loss; of equal losses, the one nearest to 1 on the log scale. */
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
