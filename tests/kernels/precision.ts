/**
 * What f32 arithmetic in WGSL may be off by, in units of F32_ROUNDOFF (half a ULP, relative to the result), and the
 * assertions that use it. The bounds are the WGSL specification's, section "Floating point accuracy": sums, differences
 * and products are correctly rounded, a division is off by at most 2.5 ULP, and sqrt inherits the error of
 * 1 / inverseSqrt(x): 2 ULP and a division.
 *
 * @module
 */
import assert from "node:assert/strict";
import { countQuads } from "../../src/shape.ts";
import { type BufferRef, inputRef } from "../../src/kernels/buffer_ref.ts";
import { F32_ROUNDOFF, randomTensor } from "../reference/tensor.ts";

/** Relative error of x / y. */
export const divisionRoundings = 5;
/** Relative error of sqrt(x), its argument exact; a relative error of the argument enters by half. */
export const sqrtRoundings = 4 + divisionRoundings;

/** Relative error of exp(x) for |x| up to `size`: 3 + 2 |x| ULP. */
export function expRoundings(size: number): number {
  return 2 * (3 + 2 * size);
}

/** Absolute error of log(x), x >= 0.5: 2^-21 up to 2, 3 ULP above. */
export function logError(largest: number): number {
  return Math.max(2 ** -21, 6 * F32_ROUNDOFF * Math.log(Math.max(largest, 1)));
}

/** Asserts that every value is within a number of roundings of the wanted one, relative to that one. */
export function assertRoundings(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { roundings, name }: { readonly roundings: number; readonly name: string },
): void {
  assert.equal(got.length, want.length, `${name}: length`);
  for (let i = 0; i < want.length; i++) {
    const allowed = roundings * F32_ROUNDOFF * Math.abs(want[i]);
    const close = got[i] === want[i] || Math.abs(got[i] - want[i]) <= allowed;
    assert(close, `${name}: ${got[i]} at index ${i}, expected ${want[i]} within ${allowed}`);
  }
}

/** Asserts that all values are the wanted ones exactly, and names the first that is not. */
export function assertSame(got: ArrayLike<number>, want: ArrayLike<number>, name: string): void {
  assert.equal(got.length, want.length, `${name}: length`);
  for (let i = 0; i < want.length; i++) {
    assert(got[i] === want[i], `${name}: ${got[i]} at index ${i}, expected ${want[i]}`);
  }
}

/** Asserts that the padding of (rows, quads of channels, 4) is one value exactly, 0 where none is given. */
export function assertPadding(
  quads: ArrayLike<number>,
  channels: number,
  { name, value = 0 }: { readonly name: string; readonly value?: number },
): void {
  const width = 4 * countQuads(channels);
  for (let row = 0; row < quads.length; row += width) {
    for (let i = row + channels; i < row + width; i++) {
      assert(quads[i] === value, `${name}: ${quads[i]} in the padding at ${i}, expected ${value}`);
    }
  }
}

/** The words of numbers that are not finite: quiet and signalling NaN of either sign, and both infinities. */
export const notFiniteWords: readonly number[] = [
  0x7fc00000,
  0xffc00000,
  0x7f800001,
  0xffffffff,
  0x7f800000,
  0xff800000,
];

/** Numbers, some of them replaced by words, which no arithmetic has touched. */
export function withWords(values: ArrayLike<number>, words: Readonly<Record<number, number>>): Float32Array {
  const replaced = Float32Array.from(values), view = new Uint32Array(replaced.buffer);
  for (const [place, word] of Object.entries(words)) view[Number(place)] = word;
  return replaced;
}

/** So many NaN, with which outputs start, so that a value that is not written is seen. */
export function unwritten(length: number): Float32Array {
  return new Float32Array(length).fill(NaN);
}

/** So many numbers, by a seed. */
export const numbers = (count: number, seed = 1) => Float32Array.from(randomTensor([count], seed).values);

/** Inputs that are called as the bindings that they are for. */
export const inputs = (...names: readonly string[]): Record<string, BufferRef> =>
  Object.fromEntries(names.map((name) => [name, inputRef(name)]));

/** True for the word of a finite float. */
export const isFiniteWord = (word: number): boolean => (word & 0x7f800000) !== 0x7f800000;
