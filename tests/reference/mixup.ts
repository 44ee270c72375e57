/**
 * Mixed images and the loss towards their labels, in f64.
 *
 * @module
 */
import { crossEntropy, type CrossEntropyOptions, type CrossEntropyResult } from "./cross_entropy.ts";
import { type RefTensor, tensorOf } from "./tensor.ts";

/** Mixes row n (N, ...) with row N - 1 - n: shares[n] x[n] + (1 - shares[n]) x[N - 1 - n] (Zhang et al. 2018). */
export function mixedImages({ shape, values }: RefTensor, shares: ArrayLike<number>): RefTensor {
  const rows = shape[0], size = values.length / rows;
  return tensorOf(
    shape,
    values.map((value, i) => {
      const row = Math.floor(i / size), other = values[(rows - 1 - row) * size + i % size];
      return shares[row] * value + (1 - shares[row]) * other;
    }),
  );
}

/** The cross-entropy towards both labels of each row, weighed by its share, and its gradient. */
export function mixedCrossEntropy(
  logits: RefTensor,
  labels: ArrayLike<number>,
  { shares, ...options }: CrossEntropyOptions & { readonly shares: ArrayLike<number> },
): CrossEntropyResult {
  const own = crossEntropy(logits, labels, options);
  const other = crossEntropy(logits, Array.from(labels).reverse(), options);
  const mix = (a: Float64Array, b: Float64Array, width: number) =>
    a.map((value, i) => {
      const share = shares[Math.floor(i / width)];
      return share * value + (1 - share) * b[i];
    });
  const losses = mix(own.losses, other.losses, 1);
  const dlogits = tensorOf(
    logits.shape,
    mix(own.dlogits.values, other.dlogits.values, logits.shape[1]),
  );
  return { loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length, losses, dlogits };
}
