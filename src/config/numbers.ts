/**
 * Numbers of a configuration that the device computes with, as floats of 32 bits: outside of these bounds they, or what
 * they are multiplied by or divided into, would become 0 or infinite there.
 *
 * @module
 */
import { z } from "zod";

const min = 1e-12, max = 1e12;

/** Shares below 1 that a float of 32 bits does not round to 1, under which nothing would ever be forgotten. */
export const maxShare = 0.9999999;

/** Validates a number above 0. */
export const positive = z.number().min(min).max(max);

/** What `zeroOrPositive` takes, in words. */
export const zeroOrPositiveWanted = `0 or a finite number from ${min} to ${max}`;

/** Validates a number above 0, or 0, which stands for none. */
export const zeroOrPositive = z.number().refine(
  (value) => value === 0 || value >= min && value <= max,
  zeroOrPositiveWanted,
);
