/**
 * Batch normalisation of images (torch.nn.BatchNorm2d), evaluation and training, forward and backward, in f64.
 * Source: Ioffe and Szegedy 2015, algorithm 1 and the gradients of section 3.
 *
 * @module
 */
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** Parameters and running statistics, each (C). */
export interface BatchNorm2dState {
  readonly gamma: RefTensor;
  readonly beta: RefTensor;
  readonly runningMean: RefTensor;
  readonly runningVar: RefTensor;
}

/** What a training pass gives; `mean`, `variance` (biased) are the batch's, the running ones are new tensors (C). */
export interface BatchNorm2dTrainResult {
  readonly y: RefTensor;
  readonly mean: RefTensor;
  readonly variance: RefTensor;
  readonly runningMean: RefTensor;
  readonly runningVar: RefTensor;
}

/** Gradients of batch normalisation: dx (N, C, H, W), dgamma (C), dbeta (C). */
export interface BatchNorm2dGradients {
  readonly dx: RefTensor;
  readonly dgamma: RefTensor;
  readonly dbeta: RefTensor;
}

/** Calls `visit` for every element of x (N, C, H, W) with its channel and index. */
function forEachElement(x: RefTensor, visit: (channel: number, index: number) => void): void {
  const [batch, channels, height, width] = x.shape;
  let index = 0;
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let pixel = 0; pixel < height * width; pixel++) visit(c, index++);
    }
  }
}

/** Returns each channel's mean and biased variance (C), in two passes. */
function batchStatistics(x: RefTensor): { mean: RefTensor; variance: RefTensor; count: number } {
  expectShape("x", x, [-1, -1, -1, -1]);
  const [batch, channels, height, width] = x.shape;
  const count = batch * height * width;
  if (count < 2) {
    throw new RangeError(`Cannot normalise "x": ${count} values a channel, expected at least 2 to train`);
  }
  const mean = zeros([channels]), variance = zeros([channels]);
  forEachElement(x, (c, i) => mean.values[c] += x.values[i] / count);
  forEachElement(x, (c, i) => variance.values[c] += (x.values[i] - mean.values[c]) ** 2 / count);
  return { mean, variance, count };
}

/**
 * Normalises by the running statistics: y = gamma (x - runningMean) / sqrt(runningVar + eps) + beta.
 *
 * x (N, C, H, W); returns y (N, C, H, W).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function batchNorm2dEval(
  x: RefTensor,
  state: BatchNorm2dState,
  { eps }: { readonly eps: number },
): RefTensor {
  expectShape("x", x, [-1, state.gamma.shape[0], -1, -1]);
  const { gamma, beta, runningMean, runningVar } = state;
  const y = zeros(x.shape);
  forEachElement(x, (c, i) => {
    const normalised = (x.values[i] - runningMean.values[c]) / Math.sqrt(runningVar.values[c] + eps);
    y.values[i] = gamma.values[c] * normalised + beta.values[c];
  });
  return y;
}

/**
 * Normalises by the batch's mean and biased variance, and moves the running statistics by `momentum` (PyTorch's,
 * the weight of the new) towards the batch's mean and unbiased variance.
 *
 * x (N, C, H, W), N H W >= 2; returns y (N, C, H, W) and statistics (C); the state stays as it was.
 *
 * @throws {RangeError} where the shapes do not fit or a channel has one value.
 */
export function batchNorm2dTrain(
  x: RefTensor,
  state: BatchNorm2dState,
  { eps, momentum }: { readonly eps: number; readonly momentum: number },
): BatchNorm2dTrainResult {
  const { mean, variance, count } = batchStatistics(x);
  const y = batchNorm2dEval(x, { ...state, runningMean: mean, runningVar: variance }, { eps });
  const runningMean = zeros(mean.shape), runningVar = zeros(mean.shape);
  for (let c = 0; c < mean.values.length; c++) {
    const unbiased = variance.values[c] * count / (count - 1);
    runningMean.values[c] = (1 - momentum) * state.runningMean.values[c] + momentum * mean.values[c];
    runningVar.values[c] = (1 - momentum) * state.runningVar.values[c] + momentum * unbiased;
  }
  return { y, mean, variance, runningMean, runningVar };
}

/**
 * Differentiates the training pass, through the batch statistics: with h = (x - mean) / sqrt(variance + eps),
 * m = N H W, dbeta = sum dy, dgamma = sum dy h and
 * dx = gamma / sqrt(variance + eps) (dy - dbeta / m - h dgamma / m).
 *
 * x (N, C, H, W), gamma (C), dy (N, C, H, W).
 *
 * @throws {RangeError} where the shapes do not fit or a channel has one value.
 */
export function batchNorm2dBackward(
  x: RefTensor,
  gamma: RefTensor,
  dy: RefTensor,
  { eps }: { readonly eps: number },
): BatchNorm2dGradients {
  const { mean, variance, count } = batchStatistics(x);
  const fixed = batchNorm2dEvalBackward(x, { gamma, runningMean: mean, runningVar: variance }, dy, { eps });
  const { dx, dgamma, dbeta } = fixed;
  forEachElement(x, (c, i) => {
    const inverse = 1 / Math.sqrt(variance.values[c] + eps);
    const normalised = (x.values[i] - mean.values[c]) * inverse;
    dx.values[i] -= gamma.values[c] * inverse * (dbeta.values[c] + normalised * dgamma.values[c]) / count;
  });
  return fixed;
}

/**
 * Differentiates the evaluation pass, its statistics fixed: dx = gamma dy / sqrt(runningVar + eps),
 * dgamma = sum dy (x - runningMean) / sqrt(runningVar + eps), dbeta = sum dy. The Fisher information needs it.
 *
 * x (N, C, H, W), dy (N, C, H, W).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function batchNorm2dEvalBackward(
  x: RefTensor,
  state: Omit<BatchNorm2dState, "beta">,
  dy: RefTensor,
  { eps }: { readonly eps: number },
): BatchNorm2dGradients {
  const { gamma, runningMean, runningVar } = state;
  expectShape("x", x, [-1, gamma.shape[0], -1, -1]);
  expectShape("dy", dy, x.shape);
  const dx = zeros(x.shape), dgamma = zeros(gamma.shape), dbeta = zeros(gamma.shape);
  forEachElement(x, (c, i) => {
    const inverse = 1 / Math.sqrt(runningVar.values[c] + eps);
    dx.values[i] = gamma.values[c] * inverse * dy.values[i];
    dgamma.values[c] += dy.values[i] * (x.values[i] - runningMean.values[c]) * inverse;
    dbeta.values[c] += dy.values[i];
  });
  return { dx, dgamma, dbeta };
}
