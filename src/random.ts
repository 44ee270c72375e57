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

/** The next number, uniform in (0, 1). */
function nextPositive(stream: RandomStream): number {
  return (stream.nextUint32() + 0.5) / 2 ** 32;
}

/** Draws the logarithm of a number of Gamma(shape, 1), shape at least 1. Source: Marsaglia and Tsang 2000. */
function drawLogGamma(shape: number, stream: RandomStream): number {
  const d = shape - 1 / 3, c = 1 / Math.sqrt(9 * d);
  for (;;) {
    // A normal number by Box and Muller.
    const radius = Math.sqrt(-2 * Math.log(nextPositive(stream)));
    const x = radius * Math.cos(2 * Math.PI * nextPositive(stream)), v = (1 + c * x) ** 3;
    const u = nextPositive(stream);
    if (v > 0 && Math.log(u) < x * x / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}

/**
 * Draws a number of Beta(alpha, alpha), in [0, 1], alpha above 0: g / (g + h) for g and h of Gamma(alpha, 1). Those are
 * numbers of Gamma(alpha + 1, 1) times u^(1 / alpha), which underflows where alpha is small, so logarithms are drawn.
 */
export function drawBeta(alpha: number, stream: RandomStream): number {
  const grown = drawLogGamma(alpha + 1, stream) - drawLogGamma(alpha + 1, stream);
  const boost = Math.log(nextPositive(stream)) - Math.log(nextPositive(stream));
  return 1 / (1 + Math.exp(-grown - boost / alpha));
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
