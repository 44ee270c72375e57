/**
 * Channels with all that is coupled to them, as groups that may go.
 *
 * @module
 */
import { readBuffers, readFloats } from "../gpu/readback.ts";
import { resolveGraph } from "../model/graph.ts";
import { weightCosts } from "./costs.ts";
import { type ChannelGroup, coupleChannels } from "./coupling.ts";
import { prunableTensors } from "./criteria.ts";
import { forEachElement, type GroupPart, groupRuns, placesByName } from "./group_runs.ts";
import { type GroupScores, lowerGroupSums, packGroupRuns } from "./group_scores.ts";
import type { PruneBuffers } from "./prune_buffers.ts";
import type { RemovableGroups } from "./removable_groups.ts";
import { leastKept, type RemovalOptions } from "./removal.ts";

/** Sums scores, or their squares, by group of channels. */
async function sumGroups(
  buffers: PruneBuffers,
  groups: readonly ChannelGroup[],
  { part, isSquared }: { readonly part: GroupPart; readonly isSquared: boolean },
): Promise<GroupScores> {
  const { starts, runs } = packGroupRuns(buffers.network.layout, groups, part);
  const results = ["group_sums", "group_counts"];
  buffers.allocate([
    ["group_starts", starts.length],
    ["group_runs", Math.max(4, runs.length)],
    ...results.map((name) => [name, groups.length] as const),
  ]);
  buffers.get("group_starts").write(starts);
  buffers.get("group_runs").write(runs);
  await buffers.run([{ ...lowerGroupSums(groups.length), constants: { SQUARED: isSquared ? 1 : 0 } }]);
  const read = results.map((name) => ({ buffer: buffers.get(name) }));
  const [sums, counts] = await readBuffers(buffers.network.gpu, read);
  return {
    sums: new Float32Array(sums, 0, groups.length),
    counts: new Uint32Array(counts, 0, groups.length),
  };
}

/**
 * Sums the scores of a network's coupled channels, and says which may go. A layer keeps at least one channel; channels
 * that a protected layer makes stay.
 *
 * @param part Whether all that goes with a channel counts for its score, or only what makes it.
 */
export async function openChannels(
  buffers: PruneBuffers,
  part: GroupPart,
  { options: { floor = 0, protect = [], measure = "weights" }, isSquared }: {
    readonly options: RemovalOptions;
    readonly isSquared: boolean;
  },
): Promise<RemovableGroups> {
  const { network } = buffers, { layout, graph, gpu } = network;
  const { groups, sets, groupOf } = coupleChannels(graph), nodes = resolveGraph(graph);
  const layerOf = groups.map(({ set }) => set);
  const empty: GroupScores = { sums: new Float32Array(0), counts: new Uint32Array(0) };
  const scores = groups.length > 0 ? await sumGroups(buffers, groups, { part, isSquared }) : empty;
  const mask = await readFloats(gpu, network.arena("mask"));
  const places = placesByName(layout), cost = weightCosts(graph, measure);
  const quadCosts = new Uint32Array(layout.weightQuads);
  for (const tensor of prunableTensors(layout)) {
    quadCosts.fill(cost(tensor), tensor.offset, tensor.offset + tensor.quads);
  }
  /** Adds what the kept weights of a group cost, and calls with each float of it. */
  const addCosts = (group: number, visit?: (place: number) => void): number => {
    let sum = 0;
    for (const run of groupRuns(places, groups[group])) {
      if (run.arena !== "values") continue;
      forEachElement(run, (place) => {
        if (mask[place] > 0) sum += quadCosts[place >> 2] ?? 0;
        visit?.(place);
      });
    }
    return sum;
  };
  const isProtected = groups.map(({ producers }) =>
    producers.some(({ parameter, axis }) =>
      axis === "row" && protect.some((name) => parameter === `${name}.weight`)
    )
  );
  // Channels that no group may take along count as kept, and so do those that keep a weight.
  const kept = new Map(nodes.map(({ spec }, i) => [
    spec.name,
    groupOf[i].filter((group) => group < 0 || scores.counts[group] > 0).length,
  ]));
  const least = new Map(
    nodes.map(({ spec, output }) => [spec.name, leastKept(output.channels, floor, true)]),
  );
  return {
    kind: "channels",
    ...scores,
    layerOf,
    costOf: addCosts,
    take(group) {
      const { layers } = sets[groups[group].set];
      const fits = ([name, count]: readonly [string, number]) => kept.get(name)! - count >= least.get(name)!;
      if (isProtected[group] || ![...layers].every(fits)) return 0;
      for (const [name, count] of layers) kept.set(name, kept.get(name)! - count);
      return addCosts(group, (place) => mask[place] = 0);
    },
    apply() {
      network.arena("mask").write(mask);
      return Promise.resolve();
    },
  };
}
