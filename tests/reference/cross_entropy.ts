/**
 * Softmax cross-entropy with label smoothing (torch.nn.CrossEntropyLoss, reduction "mean"), in f64.
 *
 * @module
 */
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** The loss of a batch and its gradient. */
export interface CrossEntropyResult {
  /** The mean of `losses`. */
  readonly loss: number;
  /** The loss of each example (N). */
  readonly losses: Float64Array;
  /** The gradient of the mean loss (N, K). */
  readonly dlogits: RefTensor;
}

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions {
  /** The share e in [0, 1) of the target spread evenly over all K classes; 0 by default. */
  readonly labelSmoothing?: number;
}

/**
 * Computes loss_n = -sum_k q_nk log p_nk with p = softmax(logits), q = (1 - e) [k = label] + e / K, and
 * dlogits = (p - q) / N (Szegedy et al. 2016, section 7; torch.nn.CrossEntropyLoss). The row's maximum is taken off
 * first, so that exp cannot overflow.
 *
 * logits (N, K), labels (N) in [0, K).
 *
 * @throws {RangeError} where the shapes do not fit or a label is not a class.
 */
export function crossEntropy(
  logits: RefTensor,
  labels: ArrayLike<number>,
  { labelSmoothing = 0 }: CrossEntropyOptions = {},
): CrossEntropyResult {
  expectShape("logits", logits, [labels.length, -1]);
  const [batch, classes] = logits.shape;
  const losses = new Float64Array(batch);
  const dlogits = zeros(logits.shape);
  for (let n = 0; n < batch; n++) {
    const label = labels[n];
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new RangeError(`Cannot use "labels[${n}]": ${label}, expected an integer in [0, ${classes})`);
    }
    const row = logits.values.subarray(n * classes, (n + 1) * classes);
    let largest = -Infinity;
    for (const logit of row) largest = Math.max(largest, logit);
    let sum = 0;
    for (const logit of row) sum += Math.exp(logit - largest);
    const logSum = Math.log(sum);
    for (let k = 0; k < classes; k++) {
      const target = (k === label ? 1 - labelSmoothing : 0) + labelSmoothing / classes;
      const logProbability = row[k] - largest - logSum;
      // Skipped at 0 so that an unwanted class of probability 0 costs nothing instead of 0 * infinity.
      if (target !== 0) losses[n] -= target * logProbability;
      dlogits.values[n * classes + k] = (Math.exp(logProbability) - target) / batch;
    }
  }
  return { loss: losses.reduce((total, loss) => total + loss, 0) / batch, losses, dlogits };
}
