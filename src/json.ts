/**
 * Reading JSON of files: what JSON.parse takes, without what it hides.
 *
 * @module
 */
import { FormatError } from "./errors.ts";
import { recognizeFileKind } from "./file_kinds.ts";
import { findJsonFault } from "./json_keys.ts";

/** The largest JSON file that is read, in bytes. */
export const maxJsonBytes = 2 ** 26;

/** What is read and what was expected, for messages. */
export interface JsonSource {
  /** What is done with it, such as `read model`. */
  readonly act: string;
  /** The file. */
  readonly thing: string;
  /** What was expected, such as `a model as JSON`. */
  readonly wanted: string;
}

/**
 * Parses the JSON of a file.
 *
 * @throws {FormatError} Where it is not JSON in UTF-8, has a key twice or `__proto__`, or is nested more than 100 deep;
 *   a file of another kind is named for what it is.
 */
export function parseJson(source: Uint8Array | string, { act, thing, wanted }: JsonSource): unknown {
  let text: string, value: unknown;
  try {
    text = typeof source === "string" ? source : new TextDecoder("utf-8", { fatal: true }).decode(source);
    value = JSON.parse(text);
  } catch (error) {
    const kind = typeof source === "string" ? undefined : recognizeFileKind(source);
    const isOther = kind !== undefined && kind.name !== "JSON or text";
    const current = isOther ? `it is ${kind.name}` : `it is not JSON (${(error as Error).message})`;
    throw new FormatError({
      act,
      thing,
      current,
      wanted: isOther ? `${wanted}, or ${kind.instead}` : wanted,
    });
  }
  const fault = findJsonFault(text, "__proto__");
  if (fault === undefined) return value;
  const line = text.slice(0, fault.index).split("\n").length;
  throw new FormatError({ act, thing, current: `${fault.current} on line ${line}`, wanted: fault.wanted });
}
