/**
 * One-shot pruning: weights are removed in stages, and after each stage the kept weights are refitted on new
 * examples.
 *
 * @module
 */
import { checkNumbers } from "../../checks.ts";
import { ConfigError } from "../../errors.ts";
import type { Examples } from "../../gpu/examples.ts";
import type { Network } from "../../gpu/network.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import type { CallOptions } from "../../train/call_options.ts";
import type { LayerRefitReport, RefitSettings } from "./settings.ts";
import { Refit } from "./refit_network.ts";

/** One stage of pruning with a refit. */
export interface RefitStage {
  /** The sparsity of the stage: the fraction of the prunable weights to remove. */
  readonly sparsity: number;
  /** The refit of each layer, in order. */
  readonly layers: readonly LayerRefitReport[];
}

/** Options of pruning with a refit. */
export interface RefitStages {
  /** Fractions to remove, rising, each above 0 and below 1. A single fraction removes all at once. */
  readonly sparsities: readonly number[];
  /** Sets the network's mask to a sparsity, by the values after the previous stage. */
  readonly remove: (sparsity: number) => Promise<void>;
  /** Called after each stage. */
  readonly onStage?: ((stage: RefitStage) => Promise<void> | void) | undefined;
}

/** Sparsities on the way to the goal; steps become smaller as more is removed. */
const usualStages: readonly number[] = [0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.965, 0.975, 0.985, 0.99];

/**
 * The stages on the way to a sparsity.
 *
 * @example
 * ```ts
 * import { stagesTo } from "./prune_with_refit.ts";
 * stagesTo(0.8); // [0.5, 0.7, 0.8]
 * ```
 * @throws {ConfigError} If the sparsity is not between 0 and 1.
 */
export function stagesTo(sparsity: number): readonly number[] {
  checkNumbers("find stages to", { sparsity: [sparsity, { above: 0, below: 1 }] });
  return [...usualStages.filter((stage) => stage < sparsity), sparsity];
}

/**
 * Prunes a network in stages, in place. Each stage sets the mask to its sparsity and refits all kept weights, so the
 * next stage chooses among refitted weights. The targets of all stages are those of the network at the start. What is
 * refitted beyond single layers follows the last stage alone.
 *
 * @throws {ConfigError} If sparsities do not rise between 0 and 1.
 * @throws {NumericError} If activations are not finite; the network is then as it was at the start.
 * @throws The reason of the signal if it ends the pruning: during a refit the network is then as it was at the start,
 *   else as the last stage left it.
 */
export async function pruneWithRefit(
  network: Network,
  examples: Examples,
  options: Partial<RefitSettings> & RefitStages & CallOptions & { readonly choose?: ProductChooser },
): Promise<readonly RefitStage[]> {
  const { sparsities, remove, onStage, onProgress, ...settings } = options, { signal } = settings;
  const rises = sparsities.every((sparsity, i) => sparsity > (sparsities[i - 1] ?? 0) && sparsity < 1);
  if (!rises || sparsities.length === 0) {
    const current = `[${sparsities.join(", ")}]`, wanted = "fractions that rise between 0 and 1";
    throw new ConfigError({ act: "prune with refit to", thing: "sparsities", current, wanted });
  }
  using refit = await Refit.open(network, examples, settings);
  const stages: RefitStage[] = [];
  onProgress?.({ step: 0, steps: sparsities.length });
  for (const sparsity of sparsities) {
    signal?.throwIfAborted();
    await remove(sparsity);
    const isFinal = stages.length === sparsities.length - 1;
    const stage = { sparsity, layers: await refit.apply({ signal, isFinal }) };
    stages.push(stage);
    onProgress?.({ step: stages.length, steps: sparsities.length });
    await onStage?.(stage);
  }
  return stages;
}

/**
 * Refits the weights that a mask keeps, once, in place.
 *
 * @param options `mask` writes the network's mask. The network before that is the target.
 * @throws {NumericError} If activations are not finite.
 * @throws The reason of the signal if it ends the refit. Whatever the refit throws, the network is then as it was at the
 *   start.
 */
export async function refitKept(
  network: Network,
  examples: Examples,
  { mask, onProgress, ...settings }: Partial<RefitSettings> & CallOptions & {
    readonly mask: () => Promise<void> | void;
    readonly choose?: ProductChooser;
  },
): Promise<readonly LayerRefitReport[]> {
  using refit = await Refit.open(network, examples, settings);
  await mask();
  return await refit.apply({ signal: settings.signal, onProgress });
}
