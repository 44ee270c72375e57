/**
 * Dropout (torch.nn.Dropout), in f64, with winnow's choice of what is dropped.
 *
 * @module
 */
import type { RefTensor } from "./tensor.ts";

/** MurmurHash3's finalizer. */
function mixBits(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * True where an element is kept: its hash, h(h(seed ^ stream) ^ h(index)), reaches p 2^32. The index is its place in
 * (N, H, W, quads of C, 4).
 */
export function isKept(
  index: number,
  { p, seed, stream }: { readonly p: number; readonly seed: number; readonly stream: number },
): boolean {
  return mixBits(mixBits(seed ^ stream) ^ mixBits(index)) >= p * 2 ** 32;
}

/** Divides what is kept by 1 - p and sets the rest to 0; forward on x and backward on dy. */
export function dropout(x: RefTensor, keeps: readonly boolean[], p: number): RefTensor {
  return { shape: x.shape, values: x.values.map((value, i) => keeps[i] ? value / (1 - p) : 0) };
}
