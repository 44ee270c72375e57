/**
 * How far a removal can go at most, as the graph alone says: before anything is scored or trained.
 *
 * @module
 */
import { weightFormOf } from "../../model/channels.ts";
import { type Graph, type GraphNode, resolveGraph } from "../../model/graph.ts";
import { layerNameOf, type PlacedParameter } from "../../plan/layout.ts";
import { blockLosers, layOutBlocks } from "../groups/blocks.ts";
import { findBranches } from "../groups/branches.ts";
import {
  type ChannelGroup,
  coupleChannels,
  type Coupling,
  type GroupSet,
  mayGo,
} from "../groups/coupling.ts";
import { type Criterion, criterionOf, prunableTensors, scoredTensors } from "../score/criteria.ts";
import type { CriterionModel } from "../score/criterion.ts";
import type { Cost } from "../cost.ts";
import { type BlockShape, minKept, type RemovalOptions } from "../select/removal.ts";

/** What is to be removed of a model, and what is gone already. */
export interface ReachOptions {
  readonly criterion: Criterion;
  readonly options: RemovalOptions;
  /** Weights that are removed at the start, by the full name of their tensor. Default: none. */
  readonly removed?: ReadonlyMap<string, number>;
}

/**
 * The most weights that can be removed of each prunable tensor, those removed already among them, in the order of the
 * layers. By single weights, and by filters of a whole network, so many can go. Of blocks at the edges, which are smaller,
 * of coupled channels, and of groups that lost single weights before, scores may leave less.
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
    ? (tensor: PlacedParameter) => !protect.includes(layerNameOf(tensor))
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
 * The least that the compacted network costs where coupled channels are removed of a whole one; undefined if removals
 * alone do not say. Where layers share only some of their channels, scores may leave more.
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

/** The weights of a tensor's smallest blocks, of as many as it must keep. */
function minOfBlocks(
  tensor: PlacedParameter,
  granularity: "filter" | BlockShape,
  floor: number,
): number {
  const [{ size, shape, blocks }] = layOutBlocks([tensor], granularity);
  /** Sizes along an axis, with how many there are of each. */
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

/** The fewest weights, and the fewest channels, that layers keep. */
export interface LeastOfChannels {
  /** Of a prunable tensor the weights that stay at least, in a network that is whole at first. */
  weightsOf(tensor: PlacedParameter): number;
  /** The least that the compacted network costs; undefined if compaction makes a whole network smaller. */
  readonly cost: Cost | undefined;
}

/**
 * Says what stays at least: of a layer's weights those between the fewest channels that it, and the layer that it reads,
 * must keep. A layer keeps its floor and the channels that may not go; one of a branch of a sum that may go as a whole
 * keeps nothing. Which channels go where layers share only some of them, and which of several branches of a sum, scores
 * decide: then more may stay.
 */
export function minOfChannels(graph: Graph, reach: ChannelReach): LeastOfChannels {
  const nodes = resolveGraph(graph), coupling = coupleChannels(graph);
  const least = minChannels(nodes, { graph, coupling, reach });
  const indexOf = new Map(nodes.map(({ spec }, i) => [spec.name, i]));
  const weightsAt = (i: number, taps: number): number => {
    const node = nodes[i], [source] = node.sources, { groups, isDepthwise } = weightFormOf(node)!;
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
  // Channels that nothing makes, the zeros around a shortcut's own, go whether or not they are removed.
  const areMade = coupling.groups.every(({ producers }) => producers.some(({ axis }) => axis === "row"));
  return {
    weightsOf: (tensor) => weightsAt(indexOf.get(layerNameOf(tensor))!, tensor.taps),
    cost: areMade ? { parameters, multiplyAdds, bytes: 4 * (parameters + statistics) } : undefined,
  };
}

/** The fewest output channels that each layer keeps. */
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
    const most = Math.max(0, ...needed, stuckOf(set, coupling.groups, reach));
    return Math.min(set.groups.length, Math.ceil(most / roundTo) * roundTo);
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

/** The groups of a set that may not go: by what makes them, or because the criterion says nothing of them. */
function stuckOf(
  { groups: members }: GroupSet,
  groups: readonly ChannelGroup[],
  { scored, criterion, options }: ChannelReach,
): number {
  // What all weights of a filter share says nothing about those that read its output.
  const readsProducers = criterionOf(criterion).group === "mean";
  return members.map((group) => groups[group]).filter((group) => {
    const rows = group.producers.filter(({ axis }) => axis === "row");
    const counted = readsProducers ? rows : [...rows, ...group.consumers];
    return !mayGo(group, options) || !counted.some(({ parameter }) => scored.has(parameter));
  }).length;
}

/** The layers of the branches of sums that go as a whole with the last channel of a set, where one may. */
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
  const bySize = findBranches(graph).toSorted((a, b) => a.layers.length - b.layers.length);
  const branches = nodes.map(({ spec }) => bySize.find(({ layers }) => layers.includes(spec.name))).map((
    branch,
  ) => branch?.layers.some((name) => protect.includes(name)) ? undefined : branch);
  const canBeEmpty = sets.map((set, index) =>
    stuckOf(set, groups, reach) === 0 &&
    nodes.keys().every((i) => fixed[i] > 0 || setsOf[i].length !== 1 || setsOf[i][0] !== index || branches[i])
  );
  const emptied = nodes.keys().filter((i) =>
    fixed[i] === 0 && setsOf[i].length > 0 && setsOf[i].every((set) => canBeEmpty[set])
  );
  return new Set(emptied.flatMap((i) => branches[i]?.layers ?? []));
}
