/**
 * The removal of groups of weights, whichever they are: filters and blocks (blocks.ts) or coupled channels (channels.ts).
 *
 * @module
 */
import type { GroupRule } from "../score/criterion.ts";
import type { GroupScores } from "../groups/scores.ts";
import { type RemovalOptions, tooMany } from "./removal.ts";
import { groupRanks, rankAt, ranksWithin, walkGroups } from "./walk.ts";

/** Groups that may go, with their scores. */
export interface RemovableGroups extends GroupScores {
  /** What the error calls them. */
  readonly kind: string;
  /** The layer, or set of coupled layers, of each group. */
  readonly layerOf: ArrayLike<number>;
  /** What the kept weights of a group cost by the measure that was asked for. */
  costOf(group: number): number;
  /** Marks a group as removed, where it may go; returns what went with it by the measure, each weight counted once. */
  take(group: number): number;
  /** Takes what is marked out of the mask on the device. */
  apply(): Promise<void>;
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
 * @throws {ConfigError} Where less may go; then nothing went.
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
