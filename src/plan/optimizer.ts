/**
 * The dispatches of an optimizer step over all parameters at once.
 *
 * @module
 */
import { arenaRef, type BufferRef, inputRef, sliceRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, type DispatchBody, dispatchOver } from "../kernels/dispatch.ts";
import { splitRows } from "../kernels/reduce.ts";
import type { ParameterLayout } from "./layout.ts";
import { type ArenaWindow, dispatchInWindow, overWindows } from "./windows.ts";

/** Regularization under any optimizer. */
export interface Regularization {
  /** L1 factor: this times the sign of a value is added to its gradient, before clipping. Default: 0. */
  readonly l1?: number;
  /**
   * False spares biases and batch norm's scales and shifts from weight decay and L1, as is usual (He et al. 2019,
   * arXiv 1812.01187, section 3.1); by default all are decayed, as in torch.optim.
   */
  readonly decayBias?: boolean;
  /** Maximum norm of all gradients together; a longer gradient is scaled down. Default: no limit. */
  readonly clipNorm?: number;
  /** Maximum size of each gradient; larger ones are clipped. Default: no limit. */
  readonly clipValue?: number;
}

/** Stochastic gradient descent, with or without momentum. */
export interface SgdSettings extends Regularization {
  /** Which optimizer this is. */
  readonly kind: "sgd";
  /** Share of the last step that the next one keeps, in [0, 1). 0 for no momentum. */
  readonly momentum: number;
  /** True for Nesterov's form, which looks ahead along the momentum. */
  readonly nesterov: boolean;
  /** L2 factor: this share of every value is added to its gradient. */
  readonly weightDecay: number;
}

/** Adam, or AdamW with decoupled weight decay. */
export interface AdamSettings extends Regularization {
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

/** How the gradients of a step's batches become one gradient. */
export interface Accumulation {
  /** Batches of a step, each with its own submit. With one nothing is added up. */
  readonly batches: number;
  /** True in the plan of a step's last batch. */
  readonly isLast: boolean;
}

/** The update of a training step. */
export interface UpdateOptions {
  /** The optimizer. Default: the gradients stay in their arena. */
  readonly optimizer?: OptimizerSettings;
  /** True adds the values to their running mean after the optimizer's step. */
  readonly averages?: boolean;
  /** True keeps the variance of the values over the steps of the running mean, in the arena `variance`. */
  readonly keepsVariance?: boolean;
}

/** Declares a tensor of the plan, of a number of quads. */
type Declare = (name: string, quads: number) => BufferRef;

/** The arena that holds a step's gradient once its last batch has run. */
export function gradientArena(accumulation: Accumulation | undefined): "gradients" | "gradient_sum" {
  return accumulation !== undefined && accumulation.batches > 1 ? "gradient_sum" : "gradients";
}

/** The windows that dispatches go over. */
type Windows = Pick<ParameterLayout, "windows">;

/** The dispatches that add a batch's gradients to those of the batches before it, in the arena `gradient_sum`. */
export function lowerGradientSum({ windows }: Windows, batches: number): readonly Dispatch[] {
  return overWindows(windows, ({ quads }) => ({
    kernel: "optimizer/accumulate_gradients",
    label: "accumulate gradients",
    bindings: { gradients: arenaRef("gradients"), gradient_sum: arenaRef("gradient_sum") },
    params: { quads, share: 1 / batches },
  }));
}

/** What follows a step's gradient: the optimizer's step and the running mean. */
export function lowerUpdate(
  layout: ParameterLayout,
  { optimizer, averages, keepsVariance, accumulation }: UpdateOptions & {
    readonly accumulation?: Accumulation;
  },
  declare: Declare,
): readonly Dispatch[] {
  const dispatches: Dispatch[] = [];
  if (optimizer) {
    const gradients = arenaRef(gradientArena(accumulation));
    dispatches.push(...lowerOptimizer(optimizer, layout, { gradients, declare }));
  }
  if (averages && keepsVariance) dispatches.push(...lowerRunningVariance(layout));
  if (averages) dispatches.push(...lowerRunningMean(layout));
  return dispatches;
}

/** The optimizer's step, which applies the mask and checks its result. The dispatches for clipping come before it. */
export function lowerOptimizer(
  settings: OptimizerSettings,
  { windows }: Windows,
  { gradients = arenaRef("gradients"), declare }: {
    readonly gradients?: BufferRef;
    readonly declare: Declare;
  },
): readonly Dispatch[] {
  const { clipNorm } = settings, scale = declare("gradient scale", 1);
  const steps = overWindows(windows, (window) => makeStep(settings, window, { gradients, scale }));
  if (clipNorm === undefined) return steps;
  return [...lowerClipNorm(settings, { clipNorm, windows, gradients, scale, declare }), ...steps];
}

/** Quads of a window that weight decay and L1 are for. */
function decayedQuads({ decayBias = true }: Regularization, { quads, weightQuads }: ArenaWindow): number {
  return decayBias ? quads : weightQuads;
}

/** The step of the optimizer on the parameters of a window. */
function makeStep(settings: OptimizerSettings, window: ArenaWindow, { gradients, scale }: {
  readonly gradients: BufferRef;
  readonly scale: BufferRef;
}): DispatchBody {
  const { l1 = 0, clipNorm, clipValue } = settings, { quads } = window;
  const bindings = {
    tally: inputRef("tally"),
    gradients,
    "gradient_scale": scale,
    mask: arenaRef("mask"),
    // Adam's first moment lies where SGD keeps its velocity.
    ...(settings.kind === "sgd"
      ? { velocity: arenaRef("velocity") }
      : { first_moment: arenaRef("velocity"), second_moment: arenaRef("second_moment") }),
    values: arenaRef("values"),
  };
  const params = {
    quads,
    "decayed_quads": decayedQuads(settings, window),
    l1,
    "weight_decay": settings.weightDecay,
    "clip_value": clipValue ?? 0,
  };
  const clips = { CLIP_NORM: clipNorm === undefined ? 0 : 1, CLIP_VALUE: clipValue === undefined ? 0 : 1 };
  const label = `${settings.kind} step`;
  return settings.kind === "sgd"
    ? {
      kernel: "optimizer/sgd",
      label,
      bindings,
      params: { ...params, momentum: settings.momentum },
      constants: { ...clips, NESTEROV: settings.nesterov ? 1 : 0 },
    }
    : {
      kernel: "optimizer/adam",
      label,
      bindings,
      params: { ...params, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon },
      constants: { ...clips, DECOUPLED: settings.kind === "adamw" ? 1 : 0 },
    };
}

/** Quads per row of the arenas while their squares are added: one column per invocation of the second pass. */
const normColumns = 64;

/** The dispatches that compute the scale of the gradients, so that their norm is at most `clipNorm`. */
function lowerClipNorm(settings: Regularization, { clipNorm, windows, gradients, scale, declare }: Windows & {
  readonly clipNorm: number;
  readonly gradients: BufferRef;
  readonly scale: BufferRef;
  readonly declare: Declare;
}): readonly Dispatch[] {
  // The chunks of all windows lie one behind the other, in order, so that one pass adds them.
  let chunks = 0;
  const parts = windows.map((window) => {
    const rows = Math.ceil(window.quads / normColumns), first = chunks, own = splitRows(rows, normColumns);
    chunks += own.chunks;
    return { ...own, window, rows, first };
  });
  const sums = declare("gradient squares", chunks * normColumns);
  const squares = parts.map(({ window, rows, first, ...own }) => {
    const range = { first: first * normColumns, quads: own.chunks * normColumns };
    return dispatchInWindow(window, range.quads, {
      kernel: "reduce/columns:reduce/gradient_norm",
      label: "gradient norm, chunks",
      bindings: {
        gradients,
        values: arenaRef("values"),
        mask: arenaRef("mask"),
        sums: window.isWhole ? sums : sliceRef(sums, range),
      },
      params: {
        rows,
        quads: normColumns,
        "rows_per_chunk": own.rowsPerChunk,
        total: window.quads,
        decayed_quads: decayedQuads(settings, window),
        l1: settings.l1 ?? 0,
      },
    });
  });
  return [
    ...squares,
    dispatchOver(1, {
      kernel: "optimizer/clip_norm",
      label: "gradient norm, scale",
      bindings: { sums, tally: inputRef("tally"), gradient_scale: scale },
      params: { chunks, clip_norm: clipNorm },
    }),
  ];
}

/** The dispatches that add the values to their running mean. */
export function lowerRunningMean({ windows }: Windows): readonly Dispatch[] {
  return overWindows(windows, ({ quads }) => ({
    kernel: "optimizer/running_mean",
    label: "running mean",
    bindings: { tally: inputRef("tally"), values: arenaRef("values"), mean: arenaRef("mean") },
    params: { quads },
  }));
}

/** The dispatches that add the values to their running variance. They must come before those of the mean. */
export function lowerRunningVariance({ windows }: Windows): readonly Dispatch[] {
  return overWindows(windows, ({ quads }) => ({
    kernel: "optimizer/running_variance",
    label: "running variance",
    bindings: {
      tally: inputRef("tally"),
      values: arenaRef("values"),
      mean: arenaRef("mean"),
      variance: arenaRef("variance"),
    },
    params: { quads },
  }));
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
