/**
 * Coupled groups of channels, and which of them may be removed.
 *
 * @module
 */
import { readFloats } from "../../gpu/readback.ts";
import { resolveGraph } from "../../model/graph.ts";
import { getLayerName } from "../../plan/layout.ts";
import { weightCosts } from "../cost.ts";
import { coupleChannels, mayGo } from "./coupling.ts";
import { prunableTensors } from "../score/criteria.ts";
import { openBranches } from "./branches.ts";
import { forEachElement, type GroupPart, groupRuns, indexParameters } from "./runs.ts";
import { type RemovableGroups, sumGroups } from "./scores.ts";
import type { PruneBuffers } from "../prune_buffers.ts";
import { minKept, type RemovalOptions } from "../select/removal.ts";

/**
 * Sums the scores of a network's coupled groups, and decides which may be removed. A layer keeps at least one
 * channel, unless it is in a branch of a sum: the whole branch is removed with the layer's last channel. Channels
 * that a protected layer makes or reads stay. Groups of a set wait for each other, so that the set keeps a multiple
 * of `roundTo` whenever it loses some.
 *
 * @param part Whether a channel's score counts all weights of its group, or only those that make the channel.
 */
export async function openChannels(
  buffers: PruneBuffers,
  part: GroupPart,
  { options: { floor = 0, protect = [], madeBy, measure = "weights", roundTo = 1 }, isSquared }: {
    readonly options: RemovalOptions;
    readonly isSquared: boolean;
  },
): Promise<RemovableGroups> {
  const { network } = buffers, { layout, graph, gpu } = network;
  const { groups, sets, groupOf } = coupleChannels(graph), nodes = resolveGraph(graph);
  const scores = await sumGroups(buffers, groups, { part, isSquared });
  const mask = await readFloats(gpu, network.arena("mask"));
  const parameters = indexParameters(layout), cost = weightCosts(graph, measure);
  const quadCosts = new Uint32Array(layout.quads);
  for (const tensor of prunableTensors(layout)) {
    quadCosts.fill(cost(tensor), tensor.first, tensor.first + tensor.quads);
  }
  const costAt = (offset: number) => mask[offset] > 0 ? quadCosts[offset >> 2] : 0;
  const sumOver = (group: number, of: (offset: number) => number): number => {
    let sum = 0;
    for (const run of groupRuns(parameters, groups[group])) {
      if (run.arena === "values") forEachElement(run, (offset) => sum += of(offset));
    }
    return sum;
  };
  const costOf = (group: number) => sumOver(group, costAt);
  /** Removes the weight at a offset, and returns its cost; 0 if it is removed already. */
  const clear = (offset: number): number => {
    const cost = costAt(offset);
    mask[offset] = 0;
    return cost;
  };
  const clearLayers = (layers: ReadonlySet<string>): number => {
    let sum = 0;
    for (const parameter of layout.parameters) {
      const { arena, first, quads } = parameter;
      if (arena !== "values" || !layers.has(getLayerName(parameter))) continue;
      for (let offset = 4 * first; offset < 4 * (first + quads); offset++) sum += clear(offset);
    }
    return sum;
  };
  const isOpen = groups.map((group) => mayGo(group, { protect, madeBy }));
  const isAlive = groups.map((_, group) => costOf(group) > 0);
  // Channels that no group contains count as kept, and so do those that keep a weight.
  const kept = new Map(
    nodes.map(({ spec }, i) => [spec.name, groupOf[i].filter((group) => group < 0 || isAlive[group]).length]),
  );
  const minimum = new Map(
    nodes.map(({ spec, output }) => [spec.name, minKept(output.channels, floor, true)]),
  );
  const keptOfSet = sets.map((set) => set.groups.filter((group) => isAlive[group]).length);
  const branches = openBranches(graph, (layer) => kept.get(layer) === 0);
  const waiting = sets.map((): number[] => []);
  return {
    kind: roundTo > 1 ? `channels in multiples of ${roundTo}` : "channels",
    ...scores,
    layerOf: groups.map(({ set }) => set),
    costOf,
    take(group) {
      const { set } = groups[group], { layers } = sets[set], going = waiting[set];
      if (!isOpen[group] || costOf(group) === 0) return 0;
      const left = keptOfSet[set] - going.length - 1;
      const after = [...layers].map(([name, count]) =>
        [name, kept.get(name)! - count * (going.length + 1)] as const
      );
      const short = after.filter(([name, channels]) => channels < minimum.get(name)!).map(([name]) => name);
      const whole = short.length === 0
        ? []
        : floor === 0 && after.every(([, channels]) => channels >= 0)
        ? branches.findAround(short)
        : undefined;
      if (!whole || whole.some(({ layers }) => layers.some((name) => protect.includes(name)))) return 0;
      going.push(group);
      if (left % roundTo !== 0) return 0;
      let sum = 0;
      for (const one of going) sum += sumOver(one, clear);
      waiting[set] = [];
      keptOfSet[set] = left;
      for (const [name, channels] of after) kept.set(name, channels);
      branches.close(whole);
      return sum + clearLayers(new Set(whole.flatMap(({ layers }) => layers)));
    },
    apply() {
      network.arena("mask").write(mask);
      return Promise.resolve();
    },
  };
}
