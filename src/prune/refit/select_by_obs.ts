/**
 * Choosing which weights of a layer go by what the layer loses: as many as a mask removes, but in small steps, with all
 * others refit after each.
 *
 * @module
 */
import type { Gpu } from "../../gpu/device.ts";
import { readFloats } from "../../gpu/readback.ts";
import type { SolveBuffers } from "./refit_layer.ts";
import type { GroupRefit } from "./group_refit.ts";

/** A layer's weights in rows of as many floats, quads filled up. */
export interface Selection {
  /** 1 for the weights that are there now. */
  readonly mask: Float32Array;
  /** How sure the refit is of each. */
  readonly signals: Float32Array;
  /** What each row's errors count, squared. */
  readonly rowScales: Float32Array;
  /** Weights that are to stay. */
  readonly keep: number;
}

/** Counts on the way from one to another, each step removing the same share of what is left; the last is the goal. */
export function countsBetween(from: number, to: number, steps: number): readonly number[] {
  return Array.from({ length: steps }, (_, i) => Math.round(from * (to / from) ** ((i + 1) / steps)));
}

/** The mask that keeps the weights whose removal would cost the layer's outputs most; ties go by place. */
export function keepStrongest({ mask, signals, rowScales, keep }: Selection): Float32Array {
  const width = mask.length / rowScales.length;
  const places = [...mask.keys()].filter((i) => mask[i] !== 0);
  const costs = signals.map((signal, i) => signal * Math.abs(rowScales[Math.floor(i / width)]));
  places.sort((a, b) => costs[b] - costs[a] || b - a);
  const kept = new Float32Array(mask.length);
  for (const place of places.slice(0, keep)) kept[place] = 1;
  return kept;
}

/**
 * Writes a mask that keeps as many weights as the one that is asked for, chosen in steps: all that are left are refit, and
 * those of which it is least sure go. Source: Hassibi and Stork 1993, "Optimal Brain Surgeon", with its output's scale.
 *
 * @throws {NumericError} If examples or targets are not finite.
 */
export async function selectByObs(
  gpu: Gpu,
  refit: GroupRefit,
  { targets, steps, before, asked, weights, rowScales }: {
    /** Where the mask goes, among what a solution takes. */
    readonly targets: SolveBuffers;
    readonly steps: number;
    /** The mask at first, and the one that is asked for. */
    readonly before: Float32Array;
    readonly asked: Float32Array;
    /** The layer's weights in all. Of a whole layer the mask's own choice stays: it is as good, and such systems the largest. */
    readonly weights: number;
    readonly rowScales: Float32Array;
  },
): Promise<void> {
  const count = (mask: Float32Array) => mask.reduce((sum, keep) => sum + keep, 0);
  const from = count(before), to = count(asked);
  const { buffer, range, offset } = targets.mask, first = (range?.first ?? 0) + offset;
  // Where weights came back in between, the mask is not one of fewer of the same.
  const isNarrower = from > to && asked.every((keep, i) => keep <= before[i]);
  if (steps === 0 || !isNarrower || from === weights || to === 0) return;
  const scores = gpu.createBuffer("signals", asked.byteLength);
  try {
    let mask = before;
    for (const keep of countsBetween(from, to, steps)) {
      buffer.write(mask, 16 * first);
      await refit.solve({ ...targets, scores: { buffer: scores, offset: 0 } });
      mask = keepStrongest({ mask, signals: await readFloats(gpu, scores), rowScales, keep });
    }
    buffer.write(mask, 16 * first);
  } finally {
    scores[Symbol.dispose]();
  }
}
