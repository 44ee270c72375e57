/**
 * Checks of what users pass: numbers within bounds, and one of some words.
 *
 * @module
 */
import { ConfigError } from "./errors.ts";

/** What a number must be, beside finite. */
export interface NumberRule {
  /** True for whole numbers alone. */
  readonly whole?: boolean;
  /** The least that it may be, or what it must be above. */
  readonly atLeast?: number;
  readonly above?: number;
  /** The most that it may be, or what it must be below. */
  readonly atMost?: number;
  readonly below?: number;
}

/** A count of at least one. */
export const positiveCount: NumberRule = { whole: true, atLeast: 1 };

/** A count that may be 0. */
export const anyCount: NumberRule = { whole: true, atLeast: 0 };

/** What random streams tell apart. */
export const seedRule: NumberRule = { whole: true, atLeast: 0, atMost: 2 ** 32 - 1 };

/** True for a number that is as a rule says. */
export function isNumberAs(value: unknown, { whole, atLeast, above, atMost, below }: NumberRule): boolean {
  return typeof value === "number" && Number.isFinite(value) && (!whole || Number.isInteger(value)) &&
    !(value < (atLeast ?? -Infinity)) && !(value <= (above ?? -Infinity)) &&
    !(value > (atMost ?? Infinity)) && !(value >= (below ?? Infinity));
}

/** What a rule asks for, in words, such as `a whole number, at least 1`. */
export function describeRule({ whole, atLeast, above, atMost, below }: NumberRule): string {
  const bounds = [
    ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(atMost === undefined ? [] : [`at most ${atMost}`]),
    ...(below === undefined ? [] : [`below ${below}`]),
  ];
  return [whole ? "a whole number" : "a finite number", bounds.join(" and ")].filter((part) => part !== "")
    .join(", ");
}

/**
 * Checks numbers that may be left out.
 *
 * @param act What they are for, as in `train with`.
 * @throws {ConfigError} Naming the first that is not as its rule says.
 */
export function checkNumbers(
  act: string,
  numbers: Readonly<Record<string, readonly [value: unknown, rule: NumberRule]>>,
): void {
  for (const [thing, [value, rule]] of Object.entries(numbers)) {
    if (value === undefined || isNumberAs(value, rule)) continue;
    throw new ConfigError({ act, thing, current: describeValue(value), wanted: describeRule(rule) });
  }
}

/**
 * Checks words that may be left out.
 *
 * @throws {ConfigError} Naming the first that is none of those that it may be.
 */
export function checkWords(
  act: string,
  words: Readonly<Record<string, readonly [value: unknown, allowed: readonly string[]]>>,
): void {
  for (const [thing, [value, allowed]] of Object.entries(words)) {
    if (value === undefined || allowed.includes(value as string)) continue;
    throw new ConfigError({ act, thing, current: describeValue(value), wanted: allowed.join(", ") });
  }
}

/** A value for a message: itself where it is short, else its kind. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return `${value}`;
  if (typeof value === "string") {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  }
  if (typeof value === "object") {
    const name = value.constructor?.name ?? "Object", { length } = value as { length?: unknown };
    return typeof length === "number" ? `${name} of ${length}` : name;
  }
  return typeof value === "function" ? "a function" : `${String(value)}`;
}
