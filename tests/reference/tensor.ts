/**
 * The tensors of the f64 reference: creation, comparison and derived tolerances.
 * Layouts are PyTorch's: activations (N, C, H, W), convolution weights (O, I, H, W), linear weights (out, in).
 * Nothing in tests/reference/ imports from src/, so that an error there cannot hide itself here.
 *
 * @module
 */

/** A dense row-major array of f64 with its shape, outermost dimension first. */
export interface RefTensor {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

/** How {@link assertClose} compares and names what it compares. */
export interface CloseOptions {
  /** The largest absolute error that passes. */
  readonly tolerance: number;
  /** What the message calls the values. */
  readonly name: string;
}

/** The unit roundoff of f32, 2^-24: the relative error of one correctly rounded operation. */
export const F32_ROUNDOFF = 2 ** -24;

/** Counts the elements of a shape; the empty shape has one. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Wraps a copy of row-major values as a tensor.
 *
 * @throws {RangeError} where the number of values is not the shape's.
 */
export function tensorOf(shape: readonly number[], values: ArrayLike<number>): RefTensor {
  if (values.length !== elementCount(shape)) {
    throw new RangeError(
      `Cannot shape "values": ${values.length} values, expected ${elementCount(shape)} for (${
        shape.join(", ")
      })`,
    );
  }
  return { shape: [...shape], values: Float64Array.from(values) };
}

/** Makes a tensor of zeros. */
export function zeros(shape: readonly number[]): RefTensor {
  return { shape: [...shape], values: new Float64Array(elementCount(shape)) };
}

/**
 * Makes a tensor of numbers uniform in [-scale, scale), the same for a seed on every machine.
 * The values are exact in f32, so that a kernel and the reference start from equal numbers.
 * The generator is mulberry32 (Tommy Ettinger, public domain), 32 bits of state.
 */
export function randomTensor(shape: readonly number[], seed: number, scale = 1): RefTensor {
  const tensor = zeros(shape);
  let state = seed | 0;
  for (let i = 0; i < tensor.values.length; i++) {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    const uniform = ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
    tensor.values[i] = Math.fround((2 * uniform - 1) * scale);
  }
  return tensor;
}

/** Makes the tensor of absolute values: an operation on these gives the sums of |terms| for sumTolerance. */
export function absoluteOf(tensor: RefTensor): RefTensor {
  return { shape: tensor.shape, values: tensor.values.map(Math.abs) };
}

/** Returns the largest absolute value, 0 for none, NaN where a value is NaN. */
export function maxAbs(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > largest || Number.isNaN(size)) largest = size;
    if (Number.isNaN(largest)) return NaN;
  }
  return largest;
}

/**
 * Returns the inner product of two arrays of one length.
 *
 * @throws {RangeError} where the lengths differ.
 */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) {
    throw new RangeError(`Cannot multiply "a": ${a.length} values, expected ${b.length}`);
  }
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/**
 * Checks a tensor's shape; -1 in `want` stands for any size.
 *
 * @throws {RangeError} where it differs.
 */
export function expectShape(name: string, tensor: RefTensor, want: readonly number[]): void {
  const { shape } = tensor;
  if (shape.length === want.length && want.every((size, i) => size < 0 || size === shape[i])) return;
  const wanted = want.map((size) => size < 0 ? "any" : size).join(", ");
  throw new RangeError(`Cannot use "${name}": shape (${shape.join(", ")}), expected (${wanted})`);
}

/**
 * Bounds the absolute error of an f32 sum of products against its exact value.
 *
 * `length` (n) is the number of terms; `magnitude` (S) the largest, over all outputs, sum of |terms|: run the
 * reference on {@link absoluteOf} its inputs and take maxAbs, or take n max|a| max|b| as an upper bound. Each term
 * meets one rounding for its product and at most n for its additions, whatever their order and with or without
 * fused multiply-add, so |error| <= gamma_(n+1) S with gamma_k = k u / (1 - k u) and u = 2^-24 (Higham, Accuracy
 * and Stability of Numerical Algorithms, 2nd ed., section 3.1). Where the roundings are independent with mean zero,
 * the k above falls to 6 sqrt(k) with a probability of at least 1 - 2 k exp(-18) (Higham and Mary, A New Approach to
 * Probabilistic Rounding Error Analysis, SIAM J. Sci. Comput. 41, 2019); the smaller of the two is taken. That model
 * fails for one running sum of very many terms of one sign (1e5 and more). Neither covers exp, log, sqrt or division.
 *
 * @example
 * const magnitude = maxAbs(linearForward(absoluteOf(x), absoluteOf(w), absoluteOf(b)).values);
 * assertClose(got, want.values, { tolerance: sumTolerance(x.shape[1] + 1, magnitude), name: "linear y" });
 */
export function sumTolerance(length: number, magnitude: number): number {
  const roundings = length + 1;
  const growth = Math.min(roundings, 6 * Math.sqrt(roundings)) * F32_ROUNDOFF;
  return growth / (1 - growth) * magnitude;
}

/**
 * Asserts that every value lies within an absolute tolerance of the wanted one. Equal infinities pass, NaN never.
 *
 * @throws {RangeError} where lengths differ or a value is off; the message holds the place of the largest error,
 * the value there, the wanted one, the error and the allowed error.
 */
export function assertClose(got: ArrayLike<number>, want: ArrayLike<number>, options: CloseOptions): void {
  const { tolerance, name } = options;
  if (got.length !== want.length) {
    throw new RangeError(`Cannot accept "${name}": ${got.length} values, expected ${want.length}`);
  }
  let worst = -1, worstError = -1, failures = 0;
  for (let i = 0; i < want.length; i++) {
    const difference = got[i] === want[i] ? 0 : Math.abs(got[i] - want[i]);
    if (difference <= tolerance) continue;
    failures++;
    const error = Number.isNaN(difference) ? Infinity : difference;
    if (error > worstError) [worst, worstError] = [i, error];
  }
  if (failures === 0) return;
  throw new RangeError(
    `Cannot accept "${name}": ${got[worst]} at index ${worst}, expected ${want[worst]}; ` +
      `error ${Math.abs(got[worst] - want[worst])}, allowed ${tolerance}; ` +
      `${failures} of ${want.length} values are off`,
  );
}
