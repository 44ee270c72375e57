/**
 * The removal of groups by what a criterion says of their weights.
 *
 * @module
 */
import { openBlocks } from "../groups/blocks.ts";
import { openChannels } from "../groups/channels.ts";
import { weightCosts } from "../reach/costs.ts";
import { type Criterion, criterionOf } from "../score/criteria.ts";
import type { ScoredLayer } from "./elements.ts";
import { lowerMaskCounts } from "../mask.ts";
import type { PruneBuffers } from "../prune_buffers.ts";
import { countGroupsBelow, type RemovableGroups, removeGroupsUntil } from "./removable_groups.ts";
import type { Granularity, RemovalOptions } from "./removal.ts";

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
 * @throws {ConfigError} Where less may go; then nothing went.
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
