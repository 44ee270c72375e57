/**
 * Text as others may have written it, made fit for a terminal or a shell: a character that would steer the terminal
 * (controls, changes of the writing direction) becomes its code, such as `\u{1b}`.
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

/** A text as one argument of a command line, in quotes where a shell needs them. */
export function shellText(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
