/**
 * Optimal Brain Surgeon: chooses the weights of a layer to remove by the loss of the layer's output. It removes as
 * many as a mask, but in small steps, with a refit of all others after each.
 *
 * @module
 */
import type { Gpu } from "../../gpu/device.ts";
import { readFloats } from "../../gpu/readback.ts";
import type { SolveBuffers } from "./refit_layer.ts";
import type { GroupRefit } from "./group_refit.ts";

/** A layer's weights in rows of the same number of floats, padded to quads. */
export interface Selection {
  /** 1 for the present weights. */
  readonly mask: Float32Array;
  /** The signal to noise of each weight in the refit. */
  readonly signals: Float32Array;
  /** The weight of each row's errors, squared. */
  readonly rowScales: Float32Array;
  /** The number of weights to keep. */
  readonly keep: number;
}

/**
 * Counts on the way from one to another. Each step removes the same share of what is left; the last count is the
 * goal.
 */
export function countsBetween(from: number, to: number, steps: number): readonly number[] {
  return Array.from({ length: steps }, (_, i) => Math.round(from * (to / from) ** ((i + 1) / steps)));
}

/** The mask that keeps the weights whose removal would cost the layer's outputs most. Ties are decided by index. */
export function keepStrongest({ mask, signals, rowScales, keep }: Selection): Float32Array {
  const width = mask.length / rowScales.length;
  const columns = [...mask.keys()].filter((i) => mask[i] !== 0);
  const costs = signals.map((signal, i) => signal * Math.abs(rowScales[Math.floor(i / width)]));
  columns.sort((a, b) => costs[b] - costs[a] || b - a);
  const kept = new Float32Array(mask.length);
  for (const column of columns.slice(0, keep)) kept[column] = 1;
  return kept;
}

/**
 * Writes a mask that keeps as many weights as the requested one, chosen in steps. Each step refits all weights that
 * are left, and removes those of the smallest signal to noise. Source: Hassibi and Stork 1993, "Optimal Brain
 * Surgeon", with its output's scale.
 *
 * @throws {NumericError} If examples or targets are not finite.
 */
export async function selectByObs(
  gpu: Gpu,
  refit: GroupRefit,
  { targets, steps, before, asked, weights, rowScales, signal }: {
    /** The mask to write, among the inputs of a solution. */
    readonly targets: SolveBuffers;
    readonly steps: number;
    /** The initial mask, and the requested mask. */
    readonly before: Float32Array;
    readonly asked: Float32Array;
    /**
     * The number of the layer's weights. For a dense layer the requested mask is kept: it is as good, and dense
     * systems are the largest.
     */
    readonly weights: number;
    readonly rowScales: Float32Array;
    /** Ends it between two steps. */
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const count = (mask: Float32Array) => mask.reduce((sum, keep) => sum + keep, 0);
  const from = count(before), to = count(asked);
  const { buffer, range, offset } = targets.mask, first = (range?.first ?? 0) + offset;
  // If weights came back in between, the requested mask is not a subset of the initial one.
  const isNarrower = from > to && asked.every((keep, i) => keep <= before[i]);
  if (steps === 0 || !isNarrower || from === weights || to === 0) return;
  const scores = gpu.createBuffer("signals", asked.byteLength);
  try {
    let mask = before;
    for (const keep of countsBetween(from, to, steps)) {
      signal?.throwIfAborted();
      buffer.write(mask, 16 * first);
      await refit.solve({ ...targets, scores: { buffer: scores, offset: 0 } });
      mask = keepStrongest({ mask, signals: await readFloats(gpu, scores), rowScales, keep });
    }
    buffer.write(mask, 16 * first);
  } finally {
    scores[Symbol.dispose]();
  }
}
