/**
 * The removal of groups of weights: filters, blocks (groups/blocks.ts) or coupled channels (groups/channels.ts), in
 * the order of their worth by a criterion's scores.
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
import { type Criterion, getCriterionType } from "../score/criteria.ts";
import type { GroupRule } from "../score/criterion.ts";
import type { ScoredLayer } from "./elements.ts";
import { type Granularity, type RemovalOptions, tooMany } from "./removal.ts";

/** The worth of each group by a rule; NaN for a group without a kept, scored weight. */
function groupRanks(
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
 * The rank of a threshold. With the rule `deviate` the threshold is a signal to noise z of single weights, and a
 * group is below it if its confidence, P(chi^2_d <= z_g^2), is below erf(z / sqrt 2). Otherwise the threshold is a
 * rank.
 */
function rankAt(rule: GroupRule, threshold: number): number {
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

/** Ranks within each layer, as fractions of its groups, so the same share of each layer is removed. */
function ranksWithin(ranks: ArrayLike<number>, layerOf: ArrayLike<number>): Float64Array {
  const layers = new Map<number, number[]>();
  for (const group of sortByRank(ranks)) {
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

/** The ranked groups, by rank, then by index. */
function sortByRank(ranks: ArrayLike<number>): Uint32Array {
  const ranked = Uint32Array.from(
    Array.from(ranks).flatMap((rank, group) => Number.isNaN(rank) ? [] : [group]),
  );
  return ranked.sort((a, b) => ranks[a] < ranks[b] ? -1 : ranks[a] > ranks[b] ? 1 : a - b);
}

/**
 * Removes groups in the order of their ranks until enough weights are removed.
 *
 * @param take Removes a group if it may be removed, and returns the number of weights removed with it.
 * @returns The number of removed weights.
 */
function walkGroups(ranks: ArrayLike<number>, { take, isEnough }: {
  take(group: number): number;
  /** True stops before a group of this rank, with so many weights removed so far. */
  isEnough(removed: number, rank: number): boolean;
}): number {
  let removed = 0;
  for (const group of sortByRank(ranks)) {
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

function rankGroups(groups: RemovableGroups, { rule, seed, perCost }: GroupRanking): Float64Array {
  const isRoot = perCost && (rule === "deviate" || rule === "squares");
  // For sums of squares the kernels added the squares already.
  const ranks = groupRanks(groups, { rule: isRoot ? "sum" : rule, seed });
  return perCost ? ranks.map((rank, group) => rank / groups.costOf(group)) : ranks;
}

/**
 * Removes the groups of the smallest ranks until at least `target` is removed, by the measure of the options and
 * including earlier removals: the fewest groups in their order.
 *
 * @throws {ConfigError} If less may go; then nothing went.
 */
async function removeGroupsUntil(
  groups: RemovableGroups,
  { target, before }: { readonly target: number; readonly before: number },
  ranking: GroupRanking,
): Promise<void> {
  if (target <= before) return;
  const ranks = rankGroups(groups, ranking);
  const removed = walkGroups(ranking.scope === "layer" ? ranksWithin(ranks, groups.layerOf) : ranks, {
    take: (group) => groups.take(group),
    isEnough: (removed) => before + removed >= target,
  });
  if (before + removed < target) throw tooMany(target, before + removed, groups.kind);
  await groups.apply();
}

/**
 * Counts what would be removed with the removable groups below a threshold, by the measure of the options. It marks
 * the groups, so they cannot be used again. With `perCost` the threshold is worth per unit of cost.
 */
function countGroupsBelow(groups: RemovableGroups, threshold: number, ranking: GroupRanking): number {
  const limit = ranking.perCost ? threshold : rankAt(ranking.rule, threshold);
  return walkGroups(rankGroups(groups, ranking), {
    take: (group) => groups.take(group),
    isEnough: (_, rank) => rank >= limit,
  });
}

/** Weights with their scores, and the units of removal. */
export interface GroupedRemoval {
  /** The criterion of the scores, and its seed. */
  readonly scoring: { readonly criterion: Criterion; readonly seed: number };
  readonly layers: readonly ScoredLayer[];
  readonly granularity: Exclude<Granularity, "element">;
  readonly options: RemovalOptions;
}

async function openGroups(
  buffers: PruneBuffers,
  { scoring: { criterion }, layers, granularity, options }: GroupedRemoval,
): Promise<RemovableGroups> {
  const { group: rule } = getCriterionType(criterion), isSquared = rule !== "sum";
  if (granularity !== "channel") {
    return await openBlocks(buffers, granularity, { layers, options, isSquared });
  }
  // Scores that all weights of a filter share say nothing about the weights that read its output.
  return await openChannels(buffers, rule === "mean" ? "producers" : "all", { options, isSquared });
}

function makeRanking({ scoring: { criterion, seed }, options }: GroupedRemoval) {
  return { ...options, rule: getCriterionType(criterion).group, seed };
}

/** The part that is removed already, by a measure. */
async function removedBefore(
  buffers: PruneBuffers,
  { layers, options: { measure = "weights" } }: GroupedRemoval,
): Promise<number> {
  const { layout, graph } = buffers.network, costOf = weightCosts(graph, measure);
  const kept = await buffers.countByLayer(lowerMaskCounts(layout));
  return layers.reduce((sum, { tensor, layer }) => sum + (tensor.count - kept[layer]) * costOf(tensor), 0);
}

/**
 * Removes groups from the mask until at least `target` is removed.
 *
 * @throws {ConfigError} If less may go; then nothing went.
 */
export async function removeGrouped(
  buffers: PruneBuffers,
  target: number,
  removal: GroupedRemoval,
): Promise<void> {
  const before = await removedBefore(buffers, removal);
  await removeGroupsUntil(await openGroups(buffers, removal), { target, before }, makeRanking(removal));
}

/** Counts what would be removed with the removable groups below a threshold. */
export async function countGroupedBelow(
  buffers: PruneBuffers,
  threshold: number,
  removal: GroupedRemoval,
): Promise<number> {
  return countGroupsBelow(await openGroups(buffers, removal), threshold, makeRanking(removal));
}
