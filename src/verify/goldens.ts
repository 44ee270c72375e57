/**
 * Files of reference values: safetensors files whose tensors are named CASE.TENSOR, with each case's parameters as
 * JSON in the metadata.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { Progress } from "../train/call_options.ts";
import { readSafetensors, type Safetensors, tensorFloats, tensorIntegers } from "../io/safetensors.ts";

/** One file of reference values. */
export class Goldens {
  readonly #file: Safetensors;

  /** @throws {FormatError} Where the bytes are no safetensors file. */
  constructor(bytes: Uint8Array, readonly name: string) {
    this.#file = readSafetensors(bytes, name);
  }

  /** Names of all tensors. */
  get names(): readonly string[] {
    return [...this.#file.tensors.keys()];
  }

  /** Keys of the metadata: names of cases, and of numbers of the whole file. */
  get keys(): readonly string[] {
    return Object.keys(this.#file.metadata);
  }

  has(tensor: string): boolean {
    return this.#file.tensors.has(tensor);
  }

  /** @throws {FormatError} Where the tensor is missing or of another rank. */
  shape(tensor: string, rank?: number): readonly number[] {
    const { shape } = this.#tensor(tensor);
    if (rank !== undefined && shape.length !== rank) {
      this.#refuse(tensor, `${shape.length} dimensions`, `${rank}`);
    }
    return shape;
  }

  /** @throws {FormatError} Where the tensor is missing or not of floats. */
  floats(tensor: string): Float32Array {
    return tensorFloats(this.#tensor(tensor), `${this.name}, ${tensor}`);
  }

  /** @throws {FormatError} Where the tensor is missing or not of integers. */
  integers(tensor: string): Int32Array {
    return tensorIntegers(this.#tensor(tensor), `${this.name}, ${tensor}`);
  }

  /** A number of the whole file's metadata. */
  number(key: string, fallback: number): number {
    const text = this.#file.metadata[key];
    if (text === undefined) return fallback;
    return this.#checked(key, Number(text));
  }

  /** A number of a case's parameters. */
  parameter(caseName: string, key: string, fallback: number): number {
    const text = this.#file.metadata[caseName];
    if (text === undefined) return fallback;
    const thing = `${this.name}, ${caseName}`;
    const parameters = parseJson(text, { act: "verify", thing, wanted: "a JSON object" });
    const value = (parameters as Record<string, unknown> | null)?.[key];
    return value === undefined ? fallback : this.#checked(`${caseName}, ${key}`, value);
  }

  #checked(thing: string, value: unknown): number {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return this.#refuse(thing, `metadata ${JSON.stringify(value)}`, "a number");
  }

  #tensor(tensor: string) {
    return this.#file.tensors.get(tensor) ?? this.#refuse(tensor, "no such tensor", "it in the file");
  }

  #refuse(thing: string, current: string, wanted: string): never {
    throw new FormatError({ act: "read reference", thing: `${this.name}, ${thing}`, current, wanted });
  }
}

/** Hears how far a part of a check is, such as `train sgd`. */
export type CheckProgress = (label: string, progress: Progress) => void;

/** One comparison with reference values. */
export interface Check {
  /** What was compared, such as `conv2d.0 dw`. */
  readonly name: string;
  /** The largest error; infinite where a value on either side is not finite or the sizes differ. */
  readonly error: number;
  /** The largest error that passes. */
  readonly allowed: number;
  /** True where the error is finite and allowed. */
  readonly passed: boolean;
}

/** Compares values: passes where the largest difference is at most `relative` times max(1, largest wanted). */
export function compare(
  name: string,
  { got, want, relative, floor = 1 }: {
    readonly got: ArrayLike<number>;
    readonly want: ArrayLike<number>;
    readonly relative: number;
    /** The least size that errors are relative to. */
    readonly floor?: number;
  },
): Check {
  let error = got.length === want.length ? 0 : Infinity, largest = floor;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i] - want[i]);
    // Not a number fails, whichever side it is on.
    error = difference <= error ? error : Number.isNaN(difference) ? Infinity : difference;
    largest = Math.max(largest, Math.abs(want[i]));
  }
  const allowed = relative * largest;
  return { name, error, allowed, passed: Number.isFinite(error) && error <= allowed };
}
