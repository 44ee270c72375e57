/**
 * Knowledge distillation, in f64.
 *
 * @module
 */
import { crossEntropy } from "./cross_entropy.ts";
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** Options of {@link distillationLoss}. */
export interface DistillationOptions {
  /** The share of the loss that is the distance from the teacher, in [0, 1]. */
  readonly share: number;
  /** What logits are divided by before their softmax. */
  readonly temperature: number;
  /** As in crossEntropy. */
  readonly labelSmoothing?: number;
}

/** log softmax of one row of logits over a temperature. */
function logSoftmax(row: Float64Array, temperature: number): Float64Array {
  const scaled = row.map((logit) => logit / temperature), largest = Math.max(...scaled);
  const logSum = Math.log(scaled.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  return scaled.map((logit) => logit - largest - logSum);
}

/**
 * Computes loss_n = (1 - share) CE_n + share T^2 KL(softmax(teacher_n / T) || softmax(logits_n / T)) and the gradient of
 * the mean loss by the logits: F.cross_entropy and T^2 F.kl_div(log_softmax, softmax, reduction "batchmean") mixed
 * (Hinton, Vinyals and Dean 2015).
 *
 * logits and teacher (N, K), labels (N) in [0, K).
 */
export function distillationLoss(
  logits: RefTensor,
  teacher: RefTensor,
  { labels, share, temperature, labelSmoothing = 0 }: DistillationOptions & {
    readonly labels: ArrayLike<number>;
  },
): { readonly loss: number; readonly losses: Float64Array; readonly dlogits: RefTensor } {
  expectShape("teacher", teacher, logits.shape);
  const hard = crossEntropy(logits, labels, { labelSmoothing });
  const [batch, classes] = logits.shape;
  const losses = new Float64Array(batch), dlogits = zeros(logits.shape);
  for (let n = 0; n < batch; n++) {
    const student = logSoftmax(logits.values.slice(n * classes, (n + 1) * classes), temperature);
    const wanted = logSoftmax(teacher.values.slice(n * classes, (n + 1) * classes), temperature);
    let divergence = 0;
    for (let k = 0; k < classes; k++) {
      const p = Math.exp(wanted[k]), i = n * classes + k;
      if (p > 0) divergence += p * (wanted[k] - student[k]);
      const soft = temperature * (Math.exp(student[k]) - p) / batch;
      dlogits.values[i] = (1 - share) * hard.dlogits.values[i] + share * soft;
    }
    losses[n] = (1 - share) * hard.losses[n] + share * temperature ** 2 * divergence;
  }
  return { loss: losses.reduce((sum, loss) => sum + loss, 0) / batch, losses, dlogits };
}
