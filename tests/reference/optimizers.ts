/**
 * Single steps of SGD, Adam and AdamW as torch.optim computes them, in f64 and in place.
 * A mask (1 = keep) multiplies the value after its step, so a removed weight stays exactly 0; the moments go on as if
 * there were no mask.
 *
 * @module
 */

/** Options of {@link sgdStep}. */
export interface SgdOptions {
  readonly learningRate: number;
  /** 0 by default. */
  readonly momentum?: number;
  /** False by default. */
  readonly nesterov?: boolean;
  /** The L2 factor, added to the gradient as weightDecay * value; 0 by default. */
  readonly weightDecay?: number;
  /** 1 = keep, 0 = removed, the length of the values. */
  readonly mask?: ArrayLike<number>;
}

/** What SGD remembers: the velocity, zeros before the first step. */
export interface SgdState {
  readonly velocity: Float64Array;
}

/** Options of {@link adamStep} and {@link adamwStep}. */
export interface AdamOptions {
  readonly learningRate: number;
  /** .9 by default. */
  readonly beta1?: number;
  /** .999 by default. */
  readonly beta2?: number;
  /** 1e-8 by default. */
  readonly eps?: number;
  /** L2 in Adam, decoupled in AdamW; 0 by default. */
  readonly weightDecay?: number;
  /** 1 = keep, 0 = removed, the length of the values. */
  readonly mask?: ArrayLike<number>;
}

/** What Adam remembers: both moments, zeros before the first step, and how many steps were made. */
export interface AdamState {
  readonly firstMoment: Float64Array;
  readonly secondMoment: Float64Array;
  stepCount: number;
}

/** Makes the state before the first SGD step for so many values. */
export function createSgdState(length: number): SgdState {
  return { velocity: new Float64Array(length) };
}

/** Makes the state before the first Adam or AdamW step for so many values. */
export function createAdamState(length: number): AdamState {
  return { firstMoment: new Float64Array(length), secondMoment: new Float64Array(length), stepCount: 0 };
}

/**
 * Makes one step of SGD on the values and velocity, in place: g += weightDecay * value; v = momentum v + g;
 * value -= learningRate (g + momentum v with Nesterov, else v) (torch.optim.SGD, dampening 0; from v = 0 its first
 * step v = g is the same).
 */
export function sgdStep(
  values: Float64Array,
  gradients: ArrayLike<number>,
  { velocity }: SgdState,
  options: SgdOptions,
): void {
  const { learningRate, momentum = 0, nesterov = false, weightDecay = 0, mask } = options;
  for (let i = 0; i < values.length; i++) {
    const gradient = gradients[i] + weightDecay * values[i];
    velocity[i] = momentum * velocity[i] + gradient;
    values[i] -= learningRate * (nesterov ? gradient + momentum * velocity[i] : velocity[i]);
    if (mask) values[i] *= mask[i];
  }
}

/**
 * Makes one step of Adam with L2 weight decay, in place: g += weightDecay * value; m = b1 m + (1 - b1) g;
 * v = b2 v + (1 - b2) g^2; value -= learningRate / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps) (Kingma and Ba
 * 2015; torch.optim.Adam).
 */
export function adamStep(
  values: Float64Array,
  gradients: ArrayLike<number>,
  state: AdamState,
  options: AdamOptions,
): void {
  const { learningRate, beta1 = .9, beta2 = .999, eps = 1e-8, weightDecay = 0, mask } = options;
  const { firstMoment, secondMoment } = state;
  state.stepCount++;
  const stepSize = learningRate / (1 - beta1 ** state.stepCount);
  const correction = Math.sqrt(1 - beta2 ** state.stepCount);
  for (let i = 0; i < values.length; i++) {
    const gradient = gradients[i] + weightDecay * values[i];
    firstMoment[i] = beta1 * firstMoment[i] + (1 - beta1) * gradient;
    secondMoment[i] = beta2 * secondMoment[i] + (1 - beta2) * gradient ** 2;
    values[i] -= stepSize * firstMoment[i] / (Math.sqrt(secondMoment[i]) / correction + eps);
    if (mask) values[i] *= mask[i];
  }
}

/**
 * Makes one step of AdamW, in place: value *= 1 - learningRate * weightDecay, then Adam's step without weight decay
 * (Loshchilov and Hutter 2019; torch.optim.AdamW).
 */
export function adamwStep(
  values: Float64Array,
  gradients: ArrayLike<number>,
  state: AdamState,
  options: AdamOptions,
): void {
  const { learningRate, weightDecay = 0 } = options;
  for (let i = 0; i < values.length; i++) values[i] *= 1 - learningRate * weightDecay;
  adamStep(values, gradients, state, { ...options, weightDecay: 0 });
}

/**
 * Returns gradients with L1's share, g + l1 * sign(value) with sign(0) = 0, as autograd gives for a loss that has
 * l1 * sum |value| in it.
 */
export function addL1(gradients: ArrayLike<number>, values: ArrayLike<number>, l1: number): Float64Array {
  return Float64Array.from(gradients, (gradient, i) => gradient + l1 * Math.sign(values[i]));
}

/**
 * Returns gradients (all parameters in one array) scaled by min(1, most / (norm + 1e-6)), their Euclidean norm taken
 * over all of them (torch.nn.utils.clip_grad_norm_).
 */
export function clipGradientNorm(gradients: ArrayLike<number>, most: number): Float64Array {
  let squares = 0;
  for (let i = 0; i < gradients.length; i++) squares += gradients[i] ** 2;
  const scale = Math.min(1, most / (Math.sqrt(squares) + 1e-6));
  return Float64Array.from(gradients, (gradient) => gradient * scale);
}

/** Returns gradients cut to [-most, most] each (torch.nn.utils.clip_grad_value_). */
export function clipGradientValue(gradients: ArrayLike<number>, most: number): Float64Array {
  return Float64Array.from(gradients, (gradient) => Math.min(most, Math.max(-most, gradient)));
}
