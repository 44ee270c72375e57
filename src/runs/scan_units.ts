/**
 * What a scan of sensitivity prunes alone, one after the other: layers, or coupled sets of channels.
 *
 * @module
 */
import type { NamedParameters } from "../gpu/network.ts";
import type { Graph } from "../model/graph.ts";
import {
  fullMask,
  getLayerName,
  type ParameterLayout,
  type PlacedParameter,
  placeParameter,
} from "../plan/layout.ts";
import { blockLosers } from "../prune/groups/blocks.ts";
import { coupleChannels, isProtected, listMakers } from "../prune/groups/coupling.ts";
import { prunableTensors } from "../prune/score/criteria.ts";
import { removedAt } from "../prune/goal.ts";
import { forEachElement, groupRuns, indexParameters } from "../prune/groups/runs.ts";
import type { RemovalOptions } from "../prune/select/removal.ts";
import { removedBy } from "./check_reach.ts";

/** What is pruned alone. */
export interface ScanUnit {
  /** Its layer, or the layers that make its channels, with plus signs between them. */
  readonly name: string;
  /** What confines a removal to it. */
  readonly options: Pick<RemovalOptions, "protect" | "madeBy">;
  /** The weights that go where all of it goes. */
  readonly weights: number;
  /** Those of them that are removed at the start. */
  readonly removed: number;
}

/** What a scan starts from. */
export interface ScanStart {
  readonly graph: Graph;
  readonly layout: ParameterLayout;
  /** Masks by full name; nothing is removed where left out. */
  readonly masks?: NamedParameters | undefined;
}

/** The weights that a removal is to come to, all that are gone elsewhere included, for a share of a unit's to be gone. */
export function computeTarget(
  { weights, removed }: ScanUnit,
  sparsity: number,
  removedInAll: number,
): number {
  return removedInAll - removed + Math.max(removed, removedAt(sparsity, weights));
}

/**
 * The units of a network: its layers but protected ones, and but the last where filters go, which are its classes; where
 * channels go, the sets that the same layers make, but channels that a protected layer makes or reads.
 */
export function scanUnits(
  start: ScanStart,
  { granularity = "element", protect = [] }: RemovalOptions,
): readonly ScanUnit[] {
  if (granularity === "channel") return coupledUnits(start, protect);
  const tensors = prunableTensors(start.layout), names = tensors.map(getLayerName);
  const gone = removedBy(start.masks);
  const mayLose = granularity === "element"
    ? (tensor: PlacedParameter) => !protect.includes(getLayerName(tensor))
    : blockLosers(start.graph, granularity, protect);
  return tensors.flatMap((tensor, i) => {
    const { fullName, count } = tensor, removed = gone.get(fullName) ?? 0;
    const others = names.filter((name) => name !== names[i]);
    const unit = { name: names[i], options: { protect: others }, weights: count, removed };
    return mayLose(tensor) ? [unit] : [];
  });
}

function coupledUnits({ graph, layout, masks }: ScanStart, protect: readonly string[]): readonly ScanUnit[] {
  const parameters = indexParameters(layout), whole = fullMask(layout), mask = whole.slice();
  for (const tensor of prunableTensors(layout)) {
    const given = masks?.get(tensor.fullName);
    if (given) placeParameter(tensor, given, mask);
  }
  const open = coupleChannels(graph).groups.filter((group) => !isProtected(group, protect));
  const sets = Map.groupBy(open, (group) => listMakers(group).join(" + "));
  return [...sets].flatMap(([name, groups]): readonly ScanUnit[] => {
    const madeBy = listMakers(groups[0]), own = new Set<number>();
    // Channels that no layer makes go with none.
    if (madeBy.length === 0) return [];
    for (const run of groups.flatMap((group) => groupRuns(parameters, group))) {
      if (run.arena === "values") forEachElement(run, (offset) => whole[offset] > 0 && own.add(offset));
    }
    const weights = [...own].filter((offset) => isWeight(offset, layout));
    const removed = weights.filter((offset) => mask[offset] === 0).length;
    return [{ name, options: { protect, madeBy }, weights: weights.length, removed }];
  });
}

/** True for the places of weights in the arena. */
function isWeight(offset: number, { windows }: ParameterLayout): boolean {
  return windows.some(({ first, weightQuads }) => offset >= 4 * first && offset < 4 * (first + weightQuads));
}
