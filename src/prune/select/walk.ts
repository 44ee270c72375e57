/**
 * Groups of weights in the order in which they go: what each is worth, and the walk up to a target.
 *
 * @module
 */
import { mixBits } from "../../random.ts";
import { erfc } from "../score/confidence.ts";
import type { GroupRule } from "../score/criterion.ts";
import { groupDeviate, type GroupScores } from "../groups/scores.ts";

/** What each group is worth by a rule; NaN for a group that keeps no scored weight. */
export function groupRanks(
  { sums, counts }: GroupScores,
  { rule, seed }: { readonly rule: GroupRule; readonly seed: number },
): Float64Array {
  const rank = (sum: number, count: number, group: number): number => {
    switch (rule) {
      case "deviate":
        return groupDeviate(sum, count);
      case "squares":
        return Math.sqrt(sum);
      case "sum":
        return sum;
      case "mean":
        return Math.sqrt(sum / count);
      case "random":
        return mixBits(mixBits(seed) ^ group) / 2 ** 32;
    }
  };
  return Float64Array.from(sums, (sum, group) => counts[group] > 0 ? rank(sum, counts[group], group) : NaN);
}

/** The probability that a normal deviate exceeds a number. */
function tailAbove(deviate: number): number {
  const tail = erfc(Math.abs(deviate) / Math.SQRT2) / 2;
  return deviate < 0 ? 1 - tail : tail;
}

/**
 * The rank that a threshold stands for. With rule `deviate` it is a signal to noise z of single weights, and a group is
 * below it where the confidence in the group, P(chi^2_d <= z_g^2), is below erf(z / sqrt 2); else a rank itself.
 */
export function rankAt(rule: GroupRule, threshold: number): number {
  if (rule !== "deviate") return threshold;
  const tail = erfc(Math.max(0, threshold) / Math.SQRT2);
  let low = -40, high = 40;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (tailAbove(middle) > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Ranks within each layer, as fractions of its groups, so that a walk takes the same share of each layer. */
export function ranksWithin(ranks: ArrayLike<number>, layerOf: ArrayLike<number>): Float64Array {
  const layers = new Map<number, number[]>();
  for (const group of orderOf(ranks)) {
    const own = layers.get(layerOf[group]) ?? [];
    layers.set(layerOf[group], own);
    own.push(group);
  }
  const within = new Float64Array(ranks.length).fill(NaN);
  for (const groups of layers.values()) {
    for (const [i, group] of groups.entries()) within[group] = (i + 1) / groups.length;
  }
  return within;
}

/** The groups that have a rank, by rank, then by index. */
function orderOf(ranks: ArrayLike<number>): Uint32Array {
  const ranked = Uint32Array.from(
    Array.from(ranks).flatMap((rank, group) => Number.isNaN(rank) ? [] : [group]),
  );
  return ranked.sort((a, b) => ranks[a] < ranks[b] ? -1 : ranks[a] > ranks[b] ? 1 : a - b);
}

/**
 * Takes groups in the order of their ranks until enough weights are removed.
 *
 * @param take Removes a group where it may go, and returns how many weights went with it.
 * @returns How many went in all.
 */
export function walkGroups(ranks: ArrayLike<number>, { take, isEnough }: {
  take(group: number): number;
  /** True ends the walk, before a group of this rank, with so many weights removed by it. */
  isEnough(removed: number, rank: number): boolean;
}): number {
  let removed = 0;
  for (const group of orderOf(ranks)) {
    if (isEnough(removed, ranks[group])) break;
    removed += take(group);
  }
  return removed;
}
