/**
 * Masks of groups of channels, made on the host.
 *
 * @module
 */
import type { ParameterLayout } from "../../src/plan/layout.ts";
import type { ChannelGroup } from "../../src/prune/groups/coupling.ts";
import { forEachElement, groupRuns, indexParameters } from "../../src/prune/groups/runs.ts";

/** The places of a group's trained elements in their arena, each once. */
export function placesOfGroup(layout: ParameterLayout, group: ChannelGroup): readonly number[] {
  const own: number[] = [];
  for (const run of groupRuns(indexParameters(layout), group)) {
    if (run.arena === "values") forEachElement(run, (place) => own.push(place));
  }
  return own;
}

/** A mask without groups: zeros over filters, biases, batch norm's scale and shift, and the consumers' weights. */
export function maskGroups(
  layout: ParameterLayout,
  groups: readonly ChannelGroup[],
  { removed, mask }: { readonly removed: Iterable<number>; readonly mask: Float32Array },
): Float32Array {
  const masked = mask.slice();
  for (const id of removed) for (const place of placesOfGroup(layout, groups[id])) masked[place] = 0;
  return masked;
}
