/**
 * The distance of a student's features from its teacher's, in f64.
 *
 * @module
 */
import { expectShape, type RefTensor } from "./tensor.ts";

/**
 * Computes loss_n = weight N |s_n - t_n|^2 / |t|^2, the size of all rows of t, and the gradient of the mean loss by s:
 * weight F.mse_loss(s, t) / t.pow(2).mean() (FitNets, Romero et al. 2015, relative to the teacher's mean square).
 *
 * student and teacher (N, ...); zero where the teacher is.
 */
export function featureDistance(
  student: RefTensor,
  teacher: RefTensor,
  weight: number,
): { readonly loss: number; readonly losses: Float64Array; readonly dfeatures: RefTensor } {
  expectShape("teacher", teacher, student.shape);
  const [batch] = student.shape, features = student.values.length / batch;
  const size = teacher.values.reduce((sum, value) => sum + value * value, 0);
  const scale = size === 0 ? 0 : weight / size;
  const differences = student.values.map((value, i) => value - teacher.values[i]);
  const losses = Float64Array.from({ length: batch }, (_, n) => {
    const row = differences.subarray(n * features, (n + 1) * features);
    return scale * batch * row.reduce((sum, difference) => sum + difference * difference, 0);
  });
  const loss = losses.reduce((sum, one) => sum + one, 0) / batch;
  const values = differences.map((difference) => 2 * scale * difference);
  return { loss, losses, dfeatures: { shape: student.shape, values } };
}
