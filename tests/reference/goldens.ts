/**
 * Reads the reference values of ../shared/goldens, a folder that a checkout may lack.
 *
 * @module
 */
import { sharedPath } from "../helpers/shared.ts";
import { maxAbs, type RefTensor, tensorOf } from "./tensor.ts";

/** The tensors and metadata of one file. */
export interface Goldens {
  /** The tensor of that name, f32 and i32 alike as f64. */
  readonly tensor: (name: string) => RefTensor;
  /** Every tensor's name. */
  readonly names: readonly string[];
  /** The file's `__metadata__`; values are JSON or plain text. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Opens `NAME.safetensors` in ../shared/goldens; where it is absent says so on the console and returns undefined.
 *
 * @throws {RangeError} where the file holds a type other than F32 and I32; `tensor` where the name is not in it.
 *
 * @example
 * const goldens = openGoldens("ops");
 * Deno.test({ name: "conv2d() matches PyTorch", ignore: !goldens, fn() {} });
 */
export function openGoldens(name: string): Goldens | undefined {
  const path = sharedPath(`goldens/${name}.safetensors`);
  if (path === undefined) return undefined;
  const bytes = Deno.readFileSync(path);
  // Layout: u64 header length, JSON header, then the values, little-endian (github.com/huggingface/safetensors).
  const headerSizeBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerSizeBytes)));
  const { __metadata__: metadata = {}, ...entries } = header;
  const tensors = new Map<string, RefTensor>();
  for (const [key, { dtype, shape, data_offsets: [start, end] }] of Object.entries<Entry>(entries)) {
    const slice = bytes.slice(8 + headerSizeBytes + start, 8 + headerSizeBytes + end).buffer;
    if (dtype !== "F32" && dtype !== "I32") {
      throw new RangeError(`Cannot read "${key}": type ${dtype}, expected F32 or I32`);
    }
    tensors.set(key, tensorOf(shape, dtype === "F32" ? new Float32Array(slice) : new Int32Array(slice)));
  }
  const tensor = (key: string) => {
    const found = tensors.get(key);
    if (!found) throw new RangeError(`Cannot find "${key}": absent, expected in ${path}`);
    return found;
  };
  return { tensor, names: [...tensors.keys()], metadata };
}

/** One tensor's line in a safetensors header. */
interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly "data_offsets": readonly [number, number];
}

/**
 * Returns the absolute error that a golden allows an f32 result: relative * max(1, max|want|), with 1e-5 for one
 * operation, the default, and 1e-4 for trained parameters (../shared/goldens/README.md).
 */
export function goldenTolerance(want: ArrayLike<number>, relative = 1e-5): number {
  return relative * Math.max(1, maxAbs(want));
}
