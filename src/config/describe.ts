/**
 * The keys of a configuration as flags, help and errors see them, derived from the schema.
 *
 * @module
 */
import { z } from "zod";
import { fieldGroups, fields } from "./fields.ts";

/** One key of the configuration, as flags, help and errors see it. */
export interface ConfigField {
  /** The key in JSON, such as `learningRate`. */
  readonly key: string;
  /** The flag without its dashes, such as `learning-rate`. */
  readonly flag: string;
  /** The group that help shows it in. */
  readonly group?: string;
  /** What a value is. */
  readonly kind: "integer" | "number" | "boolean" | "text" | "choice";
  /** The value of an absent key, or undefined where it stays absent. */
  readonly default: string | number | boolean | undefined;
  /** One sentence on what the key does. */
  readonly description: string;
  /** The values that are allowed, in words, such as `a whole number, at least 1`. */
  readonly wanted: string;
  /** The values of a choice; of a number the words that may stand in its place. */
  readonly choices?: readonly string[];
}

/** The part of JSON Schema that the fields above come out as. */
interface FieldSchema extends ValueSchema {
  /** What the value may be one of: a number or a word. */
  readonly anyOf?: readonly ValueSchema[];
}

interface ValueSchema {
  readonly type: "integer" | "number" | "boolean" | "string";
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly default?: string | number | boolean;
  readonly description: string;
  /** The values that are allowed, where the rest does not tell. */
  readonly wanted?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** Splits what a field may be into its values and the words that may stand in their place. */
function partsOf({ anyOf, ...field }: FieldSchema): {
  readonly field: ValueSchema;
  readonly words: readonly string[];
} {
  const values = anyOf?.find((part) => part.const === undefined);
  return { field: { ...field, ...values }, words: anyOf?.flatMap((part) => part.const ?? []) ?? [] };
}

/** Says in words which values a field takes. */
function describeWanted(field: ValueSchema): string {
  if (field.wanted !== undefined) return field.wanted;
  if (field.enum) return `one of ${field.enum.join(", ")}`;
  if (field.type === "boolean") return "true or false";
  if (field.type === "string") return "a text that is not empty";
  const { minimum, exclusiveMinimum, maximum = Number.MAX_SAFE_INTEGER, exclusiveMaximum } = field;
  const low = minimum ?? exclusiveMinimum;
  const noun = field.type === "integer" ? "a whole number" : "a finite number";
  if (exclusiveMaximum !== undefined) {
    return `${noun} in ${minimum === undefined ? "(" : "["}${low}, ${exclusiveMaximum})`;
  }
  if (maximum !== Number.MAX_SAFE_INTEGER) return `${noun} from ${low} to ${maximum}`;
  return `${noun}, ${minimum === undefined ? "above" : "at least"} ${low}`;
}

/** Lists every key of the configuration, in the schema's order, as derived from the schema. */
export function describeConfig(): ConfigField[] {
  const schema = z.toJSONSchema(fields, { io: "input" });
  const groupOf = new Map(
    Object.entries(fieldGroups).flatMap(([group, keys]) => Object.keys(keys).map((key) => [key, group])),
  );
  return Object.entries(schema.properties as Record<string, FieldSchema>).map(([key, all]) => {
    const { field, words } = partsOf(all), choices = field.enum ?? (words.length > 0 ? words : undefined);
    return {
      key,
      flag: key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      group: groupOf.get(key)!,
      kind: field.enum ? "choice" : field.type === "string" ? "text" : field.type,
      default: field.default,
      description: field.description,
      wanted: [...words, describeWanted(field)].join(" or "),
      ...(choices ? { choices } : {}),
    };
  });
}
