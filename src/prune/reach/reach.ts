/**
 * The limit of a removal by the graph alone, before anything is scored or trained.
 *
 * @module
 */
import { getWeightForm } from "../../model/channels.ts";
import { type Graph, type GraphNode, resolveGraph } from "../../model/graph.ts";
import { getLayerName, type PlacedParameter } from "../../plan/layout.ts";
import { blockLosers, layOutBlocks } from "../groups/blocks.ts";
import { innermostBranches } from "../groups/branches.ts";
import {
  type ChannelGroup,
  coupleChannels,
  type Coupling,
  type GroupSet,
  mayGo,
} from "../groups/coupling.ts";
import { type Criterion, getCriterionType, prunableTensors, scoredTensors } from "../score/criteria.ts";
import type { CriterionModel } from "../score/criterion.ts";
import type { Cost } from "../cost.ts";
import { type BlockShape, minKept, type RemovalOptions } from "../select/removal.ts";

/** A removal from a model, with what is removed already. */
export interface ReachOptions {
  readonly criterion: Criterion;
  readonly options: RemovalOptions;
  /** Weights that are removed at the start, by the full name of their tensor. Default: none. */
  readonly removed?: ReadonlyMap<string, number>;
}

/**
 * The maximum number of removable weights of each prunable tensor, including those removed already, in the order of
 * the layers. It is exact for single weights, and for filters of a dense network. For smaller blocks at the edges,
 * coupled channels, and groups that lost single weights before, the scores may allow less.
 *
 * @throws {ConfigError} If the criterion scores no layer.
 */
export function maxRemovable(
  model: CriterionModel,
  { criterion, options, removed = new Map() }: ReachOptions,
): readonly number[] {
  const { granularity = "element", floor = 0, protect = [] } = options;
  const scored = new Set(scoredTensors(model, criterion).map(({ fullName }) => fullName));
  const mayLose = granularity === "element" || granularity === "channel"
    ? (tensor: PlacedParameter) => !protect.includes(getLayerName(tensor))
    : blockLosers(model.graph, granularity, protect);
  const minOf = granularity === "channel"
    ? minOfChannels(model.graph, { scored, criterion, options }).weightsOf
    : (tensor: PlacedParameter): number => {
      if (!scored.has(tensor.fullName) || !mayLose(tensor)) return tensor.count;
      return granularity === "element"
        ? minKept(tensor.count, floor, false)
        : minOfBlocks(tensor, granularity, floor);
    };
  return prunableTensors(model.layout).map((tensor) => {
    const { count, fullName } = tensor, before = removed.get(fullName) ?? 0, least = minOf(tensor);
    // Groups that must stay may have lost weights before.
    const kept = granularity === "element" ? Math.min(count - before, least) : Math.max(0, least - before);
    return count - kept;
  });
}

/**
 * The minimum cost of the compacted network if coupled channels are removed from a dense one; undefined if removals
 * alone do not decide it. If layers share only some of their channels, the scores may leave more.
 *
 * @throws {ConfigError} If the criterion scores no layer.
 */
export function minChannelCost(
  model: CriterionModel,
  { criterion, options }: Omit<ReachOptions, "removed">,
): Cost | undefined {
  const scored = new Set(scoredTensors(model, criterion).map(({ fullName }) => fullName));
  return minOfChannels(model.graph, { scored, criterion, options }).cost;
}

/** The weights of a tensor's smallest blocks, for the number of blocks that it must keep. */
function minOfBlocks(
  tensor: PlacedParameter,
  granularity: "filter" | BlockShape,
  floor: number,
): number {
  const [{ size, shape, blocks }] = layOutBlocks([tensor], granularity);
  /** Sizes along an axis, with the count of each. */
  const cut = (length: number, size: number): readonly (readonly [size: number, count: number])[] => [
    [Math.min(length, size), Math.floor(length / size)],
    [length % size, length % size > 0 ? 1 : 0],
  ];
  const sizes = cut(size.rows, shape.rows).flatMap(([rows, rowBlocks]) =>
    cut(size.columns, shape.columns).map(([columns, columnBlocks]) => ({
      weights: rows * columns * shape.taps,
      count: rowBlocks * columnBlocks * size.taps / shape.taps,
    }))
  ).toSorted((a, b) => a.weights - b.weights);
  let left = minKept(blocks, floor, true), sum = 0;
  for (const { weights, count } of sizes) {
    sum += weights * Math.min(left, count);
    left -= Math.min(left, count);
  }
  return sum;
}

interface ChannelReach {
  /** The full names of the tensors that the criterion scores. */
  readonly scored: ReadonlySet<string>;
  readonly criterion: Criterion;
  readonly options: RemovalOptions;
}

/** The minimum number of weights and channels that layers keep. */
export interface MinOfChannels {
  /** The minimum number of weights that a prunable tensor keeps, in a network that is dense at first. */
  weightsOf(tensor: PlacedParameter): number;
  /** The minimum cost of the compacted network; undefined if compaction makes a dense network smaller. */
  readonly cost: Cost | undefined;
}

/**
 * Finds the minimum that stays: the weights between the fewest channels that a layer, and the layer that it reads,
 * must keep. A layer keeps its floor and its protected channels; a layer in a removable branch of a sum keeps
 * nothing. If layers share only some channels, or a sum has several removable branches, the scores decide, and this
 * is only a lower bound.
 */
function minOfChannels(graph: Graph, reach: ChannelReach): MinOfChannels {
  const nodes = resolveGraph(graph), coupling = coupleChannels(graph);
  const least = minChannels(nodes, { graph, coupling, reach });
  const indexOf = new Map(nodes.map(({ spec }, i) => [spec.name, i]));
  const weightsAt = (i: number, taps: number): number => {
    const node = nodes[i], [source] = node.sources, { groups, isDepthwise } = getWeightForm(node)!;
    const read = source < 0 ? node.input.channels : least[source];
    return least[i] * taps * (isDepthwise ? 1 : Math.ceil(read / groups));
  };
  let parameters = 0, statistics = 0, multiplyAdds = 0;
  for (const [i, node] of nodes.entries()) {
    for (const { role, taps } of node.parameters) {
      const count = role === "weight" ? weightsAt(i, taps) : least[i];
      if (role === "statistic") statistics += count;
      else parameters += count;
      if (role === "weight") multiplyAdds += count * node.output.height * node.output.width;
    }
  }
  // Channels that no layer makes, the zeros around a shortcut's own, are compacted anyway.
  const areMade = coupling.groups.every(({ producers }) => producers.some(({ axis }) => axis === "row"));
  return {
    weightsOf: (tensor) => weightsAt(indexOf.get(getLayerName(tensor))!, tensor.taps),
    cost: areMade ? { parameters, multiplyAdds, bytes: 4 * (parameters + statistics) } : undefined,
  };
}

/** The minimum number of output channels that each layer keeps. */
function minChannels(
  nodes: readonly GraphNode[],
  { graph, coupling, reach }: {
    readonly graph: Graph;
    readonly coupling: Coupling;
    readonly reach: ChannelReach;
  },
): readonly number[] {
  const { floor = 0, roundTo = 1 } = reach.options;
  const fixed = coupling.groupOf.map((groups) => groups.filter((group) => group < 0).length);
  const setsOf = nodes.map(({ spec }) =>
    [...coupling.sets.keys()].filter((set) => coupling.sets[set].layers.has(spec.name))
  );
  const floors = nodes.map(({ output }) => minKept(output.channels, floor, true));
  const gone = layersThatMayGo(nodes, { graph, coupling, reach, setsOf, fixed });
  const kept = coupling.sets.map((set, index) => {
    const own = nodes.keys().filter((i) =>
      setsOf[i].length === 1 && setsOf[i][0] === index && !gone.has(nodes[i].spec.name)
    );
    const needed = own.map((i) => Math.ceil((floors[i] - fixed[i]) / set.layers.get(nodes[i].spec.name)!));
    const minimum = Math.max(0, ...needed, countStuck(set, coupling.groups, reach));
    return Math.min(set.groups.length, Math.ceil(minimum / roundTo) * roundTo);
  });
  return nodes.map(({ spec, output }, i) => {
    if (gone.has(spec.name)) return 0;
    const sum = setsOf[i].reduce(
      (sum, set) => sum + kept[set] * coupling.sets[set].layers.get(spec.name)!,
      fixed[i],
    );
    return Math.min(output.channels, Math.max(floors[i], sum));
  });
}

/** The groups of a set that must stay, because of their layers, or because the criterion does not score them. */
function countStuck(
  { groups: members }: GroupSet,
  groups: readonly ChannelGroup[],
  { scored, criterion, options }: ChannelReach,
): number {
  // Scores that all weights of a filter share say nothing about the weights that read its output.
  const readsProducers = getCriterionType(criterion).group === "mean";
  return members.map((group) => groups[group]).filter((group) => {
    const rows = group.producers.filter(({ axis }) => axis === "row");
    const counted = readsProducers ? rows : [...rows, ...group.consumers];
    return !mayGo(group, options) || !counted.some(({ parameter }) => scored.has(parameter));
  }).length;
}

/** The layers of the branches of sums that are removed as a whole with the last channel of a set. */
function layersThatMayGo(
  nodes: readonly GraphNode[],
  { graph, coupling: { sets, groups }, reach, setsOf, fixed }: {
    readonly graph: Graph;
    readonly coupling: Coupling;
    readonly reach: ChannelReach;
    readonly setsOf: readonly (readonly number[])[];
    readonly fixed: readonly number[];
  },
): ReadonlySet<string> {
  const { floor = 0, protect = [] } = reach.options;
  if (floor > 0) return new Set();
  const innermost = innermostBranches(graph);
  const branches = nodes.map(({ spec }) => innermost.get(spec.name)).map((branch) =>
    branch?.layers.some((name) => protect.includes(name)) ? undefined : branch
  );
  const canBeEmpty = sets.map((set, index) =>
    countStuck(set, groups, reach) === 0 &&
    nodes.keys().every((i) => fixed[i] > 0 || setsOf[i].length !== 1 || setsOf[i][0] !== index || branches[i])
  );
  const emptied = nodes.keys().filter((i) =>
    fixed[i] === 0 && setsOf[i].length > 0 && setsOf[i].every((set) => canBeEmpty[set])
  );
  return new Set(emptied.flatMap((i) => branches[i]?.layers ?? []));
}
