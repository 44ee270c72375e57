/**
 * Finding what JSON.parse hides or lets through: a key that an object has twice, a key that stands for an object's
 * prototype, and values nested so deeply that whoever walks through them runs out of stack.
 *
 * @module
 */

/** The deepest nesting of objects and lists that is read; what winnow writes is at most 10 deep. */
const maxLevels = 100;

/** What is wrong with a JSON text. */
export interface JsonFault {
  /** What is there, such as `key "a" is there again`. */
  readonly current: string;
  /** What was expected. */
  readonly wanted: string;
  /** Where it starts, in UTF-16 units. */
  readonly index: number;
}

/**
 * Returns the first fault of a JSON text that JSON.parse accepts, or undefined. Takes time in proportion to the text, and
 * no stack.
 *
 * @param forbidden A key that no object may have.
 *
 * @example
 * ```ts
 * import { findJsonFault } from "./json_keys.ts";
 * findJsonFault('{"a": 1, "\\u0061": 2}')?.current; // key "a" is there again
 * ```
 */
export function findJsonFault(json: string, forbidden?: string): JsonFault | undefined {
  // Only strings and brackets matter: the text is known to be valid, and a key is a string before a colon. No regular
  // expression, because its stack would bound the length of a string.
  const open: Set<string>[] = [];
  for (let index = 0; index < json.length; index++) {
    const character = json[index];
    if (character === "{" || character === "[") {
      open.push(new Set());
      if (open.length <= maxLevels) continue;
      const current = `objects and lists are nested more than ${maxLevels} deep`;
      return { current, wanted: "less", index };
    } else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const end = stringEnd(json, index);
      if (startsColon(json, end)) {
        const key: string = JSON.parse(json.slice(index, end)), keys = open[open.length - 1];
        const shown = JSON.stringify(key.length > 60 ? `${key.slice(0, 57)}...` : key);
        if (keys.has(key)) return { current: `key ${shown} is there again`, wanted: "every key once", index };
        if (key === forbidden) return { current: `key ${shown} is there`, wanted: "another key", index };
        keys.add(key);
      }
      index = end - 1;
    }
  }
  return undefined;
}

function stringEnd(json: string, start: number): number {
  let index = start + 1;
  while (json[index] !== '"') index += json[index] === "\\" ? 2 : 1;
  return index + 1;
}

function startsColon(json: string, start: number): boolean {
  let index = start;
  while (" \t\r\n".includes(json[index])) index++;
  return json[index] === ":";
}
