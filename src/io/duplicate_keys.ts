/**
 * Finding what JSON.parse hides: a key that an object has twice.
 *
 * @module
 */

/** A key that an object of a JSON text repeats. */
export interface DuplicateKey {
  /** The key, unescaped. */
  readonly key: string;
  /** Where the second one starts, in UTF-16 units. */
  readonly index: number;
}

/**
 * Returns the first repeated key of any object in a JSON text that JSON.parse accepts, or undefined.
 *
 * @example
 * ```ts
 * import { findDuplicateKey } from "./duplicate_keys.ts";
 * findDuplicateKey('{"a": 1, "\\u0061": 2}'); // { key: "a", index: 9 }
 * ```
 */
export function findDuplicateKey(json: string): DuplicateKey | undefined {
  // Only strings and braces matter: the text is known to be valid, and a key is a string before a colon. No regular
  // expression, because its stack would bound the length of a string.
  const open: Set<string>[] = [];
  for (let index = 0; index < json.length; index++) {
    const character = json[index];
    if (character === "{") open.push(new Set());
    else if (character === "}") open.pop();
    else if (character === '"') {
      const end = stringEnd(json, index);
      if (startsColon(json, end)) {
        const key: string = JSON.parse(json.slice(index, end));
        const keys = open[open.length - 1];
        if (keys.has(key)) return { key, index };
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
