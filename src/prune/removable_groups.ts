/**
 * The removal of groups of weights, whichever they are: filters and blocks (blocks.ts) or coupled channels (channels.ts).
 *
 * @module
 */
import type { GroupRule } from "./criteria/criterion.ts";
import type { GroupScores } from "./group_scores.ts";
import { type RemovalOptions, tooMany } from "./removal.ts";
import { groupRanks, rankAt, ranksWithin, walkGroups } from "./walk.ts";

/** Groups that may go, with their scores. */
export interface RemovableGroups extends GroupScores {
  /** What the error calls them. */
  readonly kind: string;
  /** The layer, or set of coupled layers, of each group. */
  readonly layerOf: ArrayLike<number>;
  /** Marks a group as removed, where it may go; returns how many weights went with it, each counted once. */
  take(group: number): number;
  /** Takes what is marked out of the mask on the device. */
  apply(): Promise<void>;
}

/** How groups are ranked. */
export interface GroupRanking extends Pick<RemovalOptions, "scope"> {
  readonly rule: GroupRule;
  readonly seed: number;
}

/**
 * Removes the groups of the smallest ranks until at least `wanted` more weights are removed: as few groups as that takes
 * in their order.
 *
 * @throws {ConfigError} Where fewer may go; then none went.
 */
export async function removeGroupsUntil(
  groups: RemovableGroups,
  wanted: number,
  { scope, ...ranking }: GroupRanking,
): Promise<void> {
  if (wanted <= 0) return;
  const ranks = groupRanks(groups, ranking);
  const removed = walkGroups(scope === "layer" ? ranksWithin(ranks, groups.layerOf) : ranks, {
    take: (group) => groups.take(group),
    isEnough: (removed) => removed >= wanted,
  });
  if (removed < wanted) throw tooMany(wanted, removed, groups.kind);
  await groups.apply();
}

/** Counts the weights of the groups below a threshold that may go. The groups are marked, so use them no more. */
export function countGroupsBelow(groups: RemovableGroups, threshold: number, ranking: GroupRanking): number {
  const limit = rankAt(ranking.rule, threshold);
  return walkGroups(groupRanks(groups, ranking), {
    take: (group) => groups.take(group),
    isEnough: (_, rank) => rank >= limit,
  });
}
