/**
 * What a layer's weight keeps at least where channels go with all that is coupled to them, as the graph alone says.
 *
 * @module
 */
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import { layerNameOf, type PlacedParameter } from "../plan/layout.ts";
import { type ChannelGroup, coupleChannels, type Coupling, type GroupSet, weightFormOf } from "./coupling.ts";
import { type Criterion, criterionOf } from "./criteria.ts";
import { findBranches } from "./group_branches.ts";
import { leastKept, type RemovalOptions } from "./removal.ts";

interface ChannelReach {
  /** The full names of the tensors that the criterion scores. */
  readonly scored: ReadonlySet<string>;
  readonly criterion: Criterion;
  readonly options: RemovalOptions;
}

/**
 * Says for each prunable tensor how many weights stay at least: those between the fewest channels that its layer, and the
 * layer that it reads, must keep. A layer keeps its floor and the channels that may not go; one of a branch of a sum that
 * may go as a whole keeps nothing. Which channels go where layers share only some of them, and which of several branches
 * of a sum, scores decide: then more may stay.
 */
export function leastOfChannels(graph: Graph, reach: ChannelReach): (tensor: PlacedParameter) => number {
  const nodes = resolveGraph(graph), least = leastChannels(nodes, { graph, reach });
  const placed = new Map(nodes.map((node, i) => [node.spec.name, { node, kept: least[i] }]));
  return (tensor) => {
    const { node, kept } = placed.get(layerNameOf(tensor))!, [source] = node.sources;
    const { groups, isDepthwise } = weightFormOf(node)!;
    const read = source < 0 ? node.input.channels : least[source];
    return kept * tensor.taps * (isDepthwise ? 1 : Math.ceil(read / groups));
  };
}

/** The fewest output channels that each layer keeps. */
function leastChannels(
  nodes: readonly GraphNode[],
  { graph, reach }: { readonly graph: Graph; readonly reach: ChannelReach },
): readonly number[] {
  const coupling = coupleChannels(graph), { floor = 0, roundTo = 1 } = reach.options;
  const fixed = coupling.groupOf.map((groups) => groups.filter((group) => group < 0).length);
  const setsOf = nodes.map(({ spec }) =>
    [...coupling.sets.keys()].filter((set) => coupling.sets[set].layers.has(spec.name))
  );
  const floors = nodes.map(({ output }) => leastKept(output.channels, floor, true));
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

/** The groups of a set that may not go: a protected layer makes them, or the criterion says nothing of them. */
function stuckOf(
  { groups: members }: GroupSet,
  groups: readonly ChannelGroup[],
  { scored, criterion, options: { protect = [] } }: ChannelReach,
): number {
  // What all weights of a filter share says nothing about those that read its output.
  const readsProducers = criterionOf(criterion).group === "mean";
  return members.map((group) => groups[group]).filter(({ producers, consumers }) => {
    const rows = producers.filter(({ axis }) => axis === "row");
    const counted = readsProducers ? rows : [...rows, ...consumers];
    return rows.some(({ parameter }) => protect.some((name) => parameter === `${name}.weight`)) ||
      !counted.some(({ parameter }) => scored.has(parameter));
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
