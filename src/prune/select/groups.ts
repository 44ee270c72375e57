/**
 * The removal of groups of weights: filters, blocks (groups/blocks.ts) or coupled channels (groups/channels.ts), in the
 * order of what each is worth by a criterion's scores.
 *
 * @module
 */
import { mixBits } from "../../random.ts";
import { openBlocks } from "../groups/blocks.ts";
import { openChannels } from "../groups/channels.ts";
import { groupDeviate, type GroupScores, type RemovableGroups } from "../groups/scores.ts";
import { weightCosts } from "../cost.ts";
import { lowerMaskCounts } from "../mask.ts";
import type { PruneBuffers } from "../prune_buffers.ts";
import { erfc } from "../score/confidence.ts";
import { type Criterion, criterionOf } from "../score/criteria.ts";
import type { GroupRule } from "../score/criterion.ts";
import type { ScoredLayer } from "./elements.ts";
import { type Granularity, type RemovalOptions, tooMany } from "./removal.ts";

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

/** How groups are ranked. */
export interface GroupRanking extends Pick<RemovalOptions, "scope" | "perCost"> {
  readonly rule: GroupRule;
  readonly seed: number;
}

function ranksOf(groups: RemovableGroups, { rule, seed, perCost }: GroupRanking): Float64Array {
  const isRoot = perCost && (rule === "deviate" || rule === "squares");
  // The sum of squares is the sum of what the kernels added.
  const ranks = groupRanks(groups, { rule: isRoot ? "sum" : rule, seed });
  return perCost ? ranks.map((rank, group) => rank / groups.costOf(group)) : ranks;
}

/**
 * Removes the groups of the smallest ranks until at least `target` is removed, by the measure that was asked for and with
 * what was removed before: as few groups as that takes in their order.
 *
 * @throws {ConfigError} If less may go; then nothing went.
 */
export async function removeGroupsUntil(
  groups: RemovableGroups,
  { target, before }: { readonly target: number; readonly before: number },
  ranking: GroupRanking,
): Promise<void> {
  if (target <= before) return;
  const ranks = ranksOf(groups, ranking);
  const removed = walkGroups(ranking.scope === "layer" ? ranksWithin(ranks, groups.layerOf) : ranks, {
    take: (group) => groups.take(group),
    isEnough: (removed) => before + removed >= target,
  });
  if (before + removed < target) throw tooMany(target, before + removed, groups.kind);
  await groups.apply();
}

/**
 * Counts, by the measure that was asked for, what goes with the groups below a threshold that may go. The groups are
 * marked by it, so they are of no more use. With `perCost` the threshold is one of worth for each unit of cost.
 */
export function countGroupsBelow(groups: RemovableGroups, threshold: number, ranking: GroupRanking): number {
  const limit = ranking.perCost ? threshold : rankAt(ranking.rule, threshold);
  return walkGroups(ranksOf(groups, ranking), {
    take: (group) => groups.take(group),
    isEnough: (_, rank) => rank >= limit,
  });
}

/** Weights with their scores, and what goes as one. */
export interface GroupedRemoval {
  /** The criterion that the scores are of, and its seed. */
  readonly scoring: { readonly criterion: Criterion; readonly seed: number };
  readonly layers: readonly ScoredLayer[];
  readonly granularity: Exclude<Granularity, "element">;
  readonly options: RemovalOptions;
}

async function openGroups(
  buffers: PruneBuffers,
  { scoring: { criterion }, layers, granularity, options }: GroupedRemoval,
): Promise<RemovableGroups> {
  const { group: rule } = criterionOf(criterion), isSquared = rule !== "sum";
  if (granularity !== "channel") {
    return await openBlocks(buffers, granularity, { layers, options, isSquared });
  }
  // What all weights of a filter share says nothing about those that read its output.
  return await openChannels(buffers, rule === "mean" ? "producers" : "all", { options, isSquared });
}

function rankingOf({ scoring: { criterion, seed }, options }: GroupedRemoval) {
  return { ...options, rule: criterionOf(criterion).group, seed };
}

/** What is removed already, by a measure. */
async function removedBefore(
  buffers: PruneBuffers,
  { layers, options: { measure = "weights" } }: GroupedRemoval,
): Promise<number> {
  const { layout, graph } = buffers.network, costOf = weightCosts(graph, measure);
  const kept = await buffers.countByLayer(lowerMaskCounts(layout));
  return layers.reduce((sum, { tensor, layer }) => sum + (tensor.count - kept[layer]) * costOf(tensor), 0);
}

/**
 * Takes groups out of the mask until at least `target` is removed.
 *
 * @throws {ConfigError} If less may go; then nothing went.
 */
export async function removeGrouped(
  buffers: PruneBuffers,
  target: number,
  removal: GroupedRemoval,
): Promise<void> {
  const before = await removedBefore(buffers, removal);
  await removeGroupsUntil(await openGroups(buffers, removal), { target, before }, rankingOf(removal));
}

/** Counts what goes with the groups below a threshold that may go. */
export async function countGroupedBelow(
  buffers: PruneBuffers,
  threshold: number,
  removal: GroupedRemoval,
): Promise<number> {
  return countGroupsBelow(await openGroups(buffers, removal), threshold, rankingOf(removal));
}
