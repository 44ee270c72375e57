/**
 * The dispatches of an optimizer step over all parameters at once.
 *
 * @module
 */
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";

/** Stochastic gradient descent, with momentum 0 where none is wanted. */
export interface SgdSettings {
  /** Which optimizer this is. */
  readonly kind: "sgd";
  /** Share of the last step that the next one keeps, in [0, 1). */
  readonly momentum: number;
  /** True looks ahead along the momentum (Nesterov's form). */
  readonly nesterov: boolean;
  /** L2 factor: this share of every value is added to its gradient. */
  readonly weightDecay: number;
}

/** Adam, or AdamW where weight decay is decoupled. */
export interface AdamSettings {
  /** Adam, or AdamW with its decoupled weight decay. */
  readonly kind: "adam" | "adamw";
  /** Share of the mean gradient that a step keeps, in [0, 1). */
  readonly beta1: number;
  /** Share of the mean squared gradient that a step keeps, in [0, 1). */
  readonly beta2: number;
  /** Added to the root of the mean squared gradient, above 0. */
  readonly epsilon: number;
  /** L2 factor of the gradient in `adam`; share of the learning rate taken off every value in `adamw`. */
  readonly weightDecay: number;
}

/** Stochastic gradient descent with the usual defaults: momentum 0.9, no weight decay. */
export function sgd(options: Partial<Omit<SgdSettings, "kind">> = {}): SgdSettings {
  return { kind: "sgd", momentum: 0.9, nesterov: false, weightDecay: 0, ...options };
}

/** Adam with the defaults of its paper: beta 0.9 and 0.999, epsilon 1e-8, no weight decay. */
export function adam(options: Partial<AdamSettings> = {}): AdamSettings {
  return { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, ...options };
}

/** Any optimizer. */
export type OptimizerSettings = SgdSettings | AdamSettings;

/** The step of the optimizer, which respects the mask, and the test that its result is finite. */
export function lowerOptimizer(settings: OptimizerSettings, quads: number): readonly Dispatch[] {
  const bindings = {
    tally: "tally",
    gradients: "gradients",
    mask: "mask",
    velocity: "velocity",
    values: "values",
  };
  const label = `${settings.kind} step`;
  const step = settings.kind === "sgd"
    ? dispatchOver(quads, {
      kernel: "optimizer/sgd",
      label,
      bindings,
      params: { quads, momentum: settings.momentum, "weight_decay": settings.weightDecay },
      constants: { NESTEROV: settings.nesterov ? 1 : 0 },
    })
    : dispatchOver(quads, {
      kernel: "optimizer/adam",
      label,
      bindings: { ...bindings, second_moment: "second_moment" },
      params: {
        quads,
        beta1: settings.beta1,
        beta2: settings.beta2,
        epsilon: settings.epsilon,
        "weight_decay": settings.weightDecay,
      },
      constants: { DECOUPLED: settings.kind === "adamw" ? 1 : 0 },
    });
  return [
    step,
    dispatchOver(quads, {
      kernel: "optimizer/check_finite",
      label: "check finite",
      bindings: { values: "values", tally: "tally" },
      params: { quads },
    }),
  ];
}

/** The dispatch that takes the values into their running mean. */
export function lowerRunningMean(quads: number): Dispatch {
  return dispatchOver(quads, {
    kernel: "optimizer/running_mean",
    label: "running mean",
    bindings: { tally: "tally", values: "values", mean: "mean" },
    params: { quads },
  });
}

/** The values of the optimizers' `Step` fields at a step, counted from 0. */
export function optimizerStep(
  settings: OptimizerSettings,
  { learningRate, step }: { readonly learningRate: number; readonly step: number },
): Readonly<Record<string, number>> {
  if (settings.kind === "sgd") return { learning_rate: learningRate };
  return {
    learning_rate: learningRate,
    correction1: 1 - settings.beta1 ** (step + 1),
    correction2: 1 - settings.beta2 ** (step + 1),
  };
}
