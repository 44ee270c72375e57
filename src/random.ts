/**
 * Seeded random numbers: the same seed gives the same sequence on every machine.
 *
 * @module
 */

/** A stream of uniform random numbers. */
export interface RandomStream {
  /** The next integer, uniform in [0, 2^32). */
  nextUint32(): number;
  /** The next number, uniform in [0, 1), with 32 random bits. */
  nextUniform(): number;
}

/** Mixes 32 bits so that every input bit reaches every output bit (MurmurHash3's finalizer). */
export function mixBits(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * Opens the stream that a seed and a purpose name; streams of different purposes are independent.
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state.
 */
export function openRandomStream(seed: number, purpose: string): RandomStream {
  let a = mixBits(seed), b = mixBits(Math.floor(seed / 2 ** 32) ^ 0x9e3779b9), c = 0x243f6a88, counter = 1;
  for (let i = 0; i < purpose.length; i++) c = mixBits(c ^ purpose.charCodeAt(i) + Math.imul(i, 0x9e3779b9));
  const nextUint32 = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) nextUint32();
  return { nextUint32, nextUniform: () => nextUint32() / 2 ** 32 };
}

/** Returns the integers 0 to count - 1 in a random order (Fisher-Yates). */
export function shuffledIndices(count: number, stream: RandomStream): Uint32Array {
  const indices = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(stream.nextUniform() * (i + 1));
    const held = indices[i];
    indices[i] = indices[j];
    indices[j] = held;
  }
  return indices;
}
