/**
 * All that commands print. Names of layers, classes and files come from others, so a character that would steer the
 * terminal (controls, changes of the writing direction) is printed as its code, such as `\u{1b}`.
 *
 * @module
 */

/** Controls, line and paragraph separators, changes of direction, lone surrogates, and tags that nobody sees. */
const steering = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;

const escape = (character: string) => `\\u{${character.codePointAt(0)!.toString(16)}}`;

/** A text with its line feeds, and no other character that steers a terminal. */
export function escapeText(text: string): string {
  return text.replaceAll(steering, (character) => character === "\n" ? character : escape(character));
}

/** A text as one line: line feeds are escaped too. */
export function escapeLine(text: string): string {
  return text.replaceAll(steering, escape);
}

/** Prints lines on standard output. */
export function print(text: string): void {
  console.log(escapeText(text));
}

/** JSON of a value in which no character steers a terminal: those stand in strings, where JSON has escapes. */
export function formatJson(value: unknown, indent?: number): string {
  const units = (character: string) =>
    Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
  return JSON.stringify(value, undefined, indent).replaceAll(
    steering,
    (character) =>
      character === "\n"
        ? character
        : units(character).map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join(""),
  );
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

/** A text as one argument of a command line, in quotes where a shell needs them. */
export function shellText(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
