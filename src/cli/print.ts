/**
 * All that commands print. Names of layers, classes and files come from others, so a character that would steer the
 * terminal (controls, changes of the writing direction) is printed as its code, such as `\u{1b}`.
 *
 * @module
 */
import { escapeLine, escapeText, formatJson } from "../text/escape.ts";

/** Prints lines on standard output. */
export function print(text: string): void {
  console.log(escapeText(text));
}

/** Prints a value as JSON on standard output. */
export function printJson(value: unknown, indent?: number): void {
  console.log(formatJson(value, indent));
}

/** Prints one line on standard error. */
export function note(line: string): void {
  console.error(escapeLine(line));
}

/** Prints lines on standard error, such as an error with its stack. */
export function printError(text: string): void {
  console.error(escapeText(text));
}
