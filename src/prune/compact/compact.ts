/**
 * The smaller model that computes the same as a masked one, as plain data: its graph, and the source of each of its
 * numbers.
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import { getWeightForm } from "../../model/channels.ts";
import { type Graph, type GraphNode, imagesName, resolveGraph } from "../../model/graph.ts";
import type { KeptChannels } from "../../model/layer.ts";
import {
  getLayerName,
  layOutParameters,
  type ParameterLayout,
  type PlacedParameter,
} from "../../plan/layout.ts";
import { countQuads } from "../../shape.ts";
import { type ConstantFold, findLiveParts, type NetworkNumbers } from "./live_channels.ts";
import { coupleChannels } from "../groups/coupling.ts";

/** Instead of a source, for padding. */
export const noSource = 0xffffffff;

/** A smaller model, and how it is gathered from the larger one. */
export interface Compaction {
  readonly graph: Graph;
  /** Its layout. */
  readonly layout: ParameterLayout;
  /** The removed groups, by their index in the coupling of the larger graph. */
  readonly removedGroups: ReadonlySet<number>;
  /** The removed layers, by name. */
  readonly removedLayers: readonly string[];
  /** For each float of the smaller arenas, the index of its source in the larger ones, or `noSource`. */
  readonly sources: { readonly values: Uint32Array; readonly statistics: Uint32Array };
  /** Additions to floats of the smaller arenas, for removed constant channels. */
  readonly folds: readonly PlacedFold[];
}

/** A number that is added to a float of an arena. */
export interface PlacedFold {
  readonly arena: "values" | "statistics";
  readonly offset: number;
  readonly add: number;
}

/** Options of a compaction. */
export interface CompactOptions {
  /** Names of layers that keep all filters and inputs, superfluous or not. Default: none. */
  readonly protect?: readonly string[] | undefined;
}

/** Options of planning a compaction. */
export interface PlanCompactionOptions extends CompactOptions {
  /** The layout of the masked model. Default: all parameters in one window. */
  readonly layout?: ParameterLayout;
}

/**
 * Finds the smaller model: without the coupled groups that a mask makes superfluous, and without the branches of sums
 * that it makes zero. It computes the same. Every layer that stays keeps a channel.
 *
 * The constants of removed channels are added to biases and running means (`folds`).
 */
export function planCompaction(
  graph: Graph,
  numbers: NetworkNumbers,
  { protect = [], layout = layOutParameters(graph) }: PlanCompactionOptions = {},
): Compaction {
  const nodes = resolveGraph(graph), coupling = coupleChannels(graph);
  const { removed, sources, folds } = findLiveParts(nodes, { coupling, layout, numbers, protect });
  const keptOutputs = coupling.groupOf.map((groups) =>
    [...groups.keys()].filter((channel) => !removed.has(groups[channel]))
  );
  const kept = nodes.map((node, i): KeptChannels => {
    const inputs = node.sources.map((source, slot) =>
      keptOutputs[source] ?? range(node.inputs[slot].channels)
    );
    return { inputs, outputs: keptOutputs[i] };
  });
  const smaller = smallerGraph(graph, { nodes, sources, kept });
  checkNarrowed(smaller, nodes, kept);
  const own = layOutParameters(smaller, layout.bindingQuads);
  const names = new Set(smaller.layers.map(({ name }) => name));
  return {
    graph: smaller,
    layout: own,
    removedGroups: removed,
    removedLayers: graph.layers.map(({ name }) => name).filter((name) => !names.has(name)),
    sources: placeSources(layout, own, { nodes, kept }),
    folds: placeFolds(folds, own, { nodes, kept }),
  };
}

/**
 * The graph of the needed layers, in the same order. A sum of one term is replaced by the term, and so is a ReLU
 * after such a sum if the term came out of a ReLU.
 */
function smallerGraph(graph: Graph, { nodes, sources, kept }: {
  readonly nodes: readonly GraphNode[];
  readonly sources: readonly (readonly number[] | undefined)[];
  readonly kept: readonly KeptChannels[];
}): Graph {
  const isPassed = (i: number): boolean => {
    const { type } = nodes[i], needed = sources[i];
    if (type.isSum) return needed?.length === 1;
    // The last layer always stays.
    if (!type.isRelu || !needed || i === nodes.length - 1) return false;
    const [source] = needed;
    return source >= 0 && isPassed(source) && isNeverNegative(resolve(source));
  };
  const resolve = (source: number): number =>
    source >= 0 && isPassed(source) ? resolve(sources[source]![0]) : source;
  const isNeverNegative = (source: number): boolean => {
    if (source < 0) return false;
    const { sign } = nodes[source].type.channels;
    return sign === "never negative" ||
      sign === "kept" && sources[source]!.every((from) => isNeverNegative(resolve(from)));
  };
  const layers: Graph["layers"][number][] = [];
  let previous = -1;
  for (const [i, node] of nodes.entries()) {
    const needed = sources[i]?.map(resolve);
    if (!needed || isPassed(i)) continue;
    const { inputs: _, ...spec } = node.type.channels.narrow(node, kept[i]);
    const names = needed.map((source) => source < 0 ? imagesName : nodes[source].spec.name);
    const isNext = needed.length === 1 && needed[0] === previous;
    layers.push((isNext ? spec : { ...spec, inputs: names }) as Graph["layers"][number]);
    previous = i;
  }
  return { ...graph, layers };
}

/**
 * Checks the number of channels of every layer.
 *
 * @throws {ShapeError} If one does not, or does not fit its inputs.
 */
function checkNarrowed(
  smaller: Graph,
  nodes: readonly GraphNode[],
  kept: readonly KeptChannels[],
): void {
  const counts = new Map(nodes.map(({ spec }, i) => [spec.name, kept[i].outputs.length]));
  for (const { spec: { name }, output: { channels } } of resolveGraph(smaller)) {
    const count = counts.get(name);
    if (channels === count) continue;
    const current = `it gives ${channels} channels`, wanted = `the ${count} that are kept`;
    throw new ShapeError({ act: "narrow layer", thing: name, current, wanted });
  }
}

/** The sources of a smaller layout's numbers in a larger one. */
function placeSources(
  from: ParameterLayout,
  to: ParameterLayout,
  { nodes, kept }: { readonly nodes: readonly GraphNode[]; readonly kept: readonly KeptChannels[] },
): Compaction["sources"] {
  const sources = {
    values: new Uint32Array(4 * to.quads).fill(noSource),
    statistics: new Uint32Array(4 * to.statisticsQuads).fill(noSource),
  };
  const targets = new Map(to.parameters.map((parameter) => [parameter.fullName, parameter]));
  const parameters = new Map(from.parameters.map((parameter) => [parameter.fullName, parameter]));
  for (const [i, node] of nodes.entries()) {
    for (const { name, role, channels, shared = false } of node.parameters) {
      const fullName = `${node.spec.name}.${name}`, target = targets.get(fullName);
      if (!target) continue;
      const source = parameters.get(fullName)!;
      const lists = shared
        ? { rows: range(source.rows), channels: range(channels) }
        : role === "weight"
        ? { rows: kept[i].outputs, channels: weightChannels(node, kept[i]) }
        : { rows: [0], channels: kept[i].outputs };
      gather(sources[target.arena], { source, target, ...lists });
    }
  }
  return sources;
}

/** The offsets in a smaller layout of the numbers that absorb constants. */
function placeFolds(
  folds: readonly ConstantFold[],
  to: ParameterLayout,
  { nodes, kept }: { readonly nodes: readonly GraphNode[]; readonly kept: readonly KeptChannels[] },
): readonly PlacedFold[] {
  const targets = new Map(to.parameters.map((parameter) => [parameter.fullName, parameter]));
  const outputs = new Map(nodes.map(({ spec }, i) => [spec.name, kept[i].outputs]));
  return folds.flatMap(({ parameter, channel, add }) => {
    const target = targets.get(parameter);
    if (!target) return [];
    const { arena, first } = target;
    return [{ arena, offset: 4 * first + outputs.get(getLayerName(target))!.indexOf(channel), add }];
  });
}

/** The whole numbers below a count. */
const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** The input channels that a weight keeps. For a grouped weight these are positions, the same in every group. */
function weightChannels(node: GraphNode, { inputs: [inputs] }: KeptChannels): readonly number[] {
  const { groups, isDepthwise } = getWeightForm(node)!;
  if (isDepthwise) return [0];
  const positions = node.input.channels / groups;
  return inputs.filter((channel) => channel < positions);
}

function gather(sources: Uint32Array, { source, target, rows, channels }: {
  readonly source: PlacedParameter;
  readonly target: PlacedParameter;
  readonly rows: readonly number[];
  readonly channels: readonly number[];
}): void {
  const fromTap = 4 * countQuads(source.channels), toTap = 4 * countQuads(target.channels);
  for (const [row, fromRow] of rows.entries()) {
    for (let tap = 0; tap < target.taps; tap++) {
      const from = 4 * (source.first + fromRow * source.rowQuads) + tap * fromTap;
      const to = 4 * (target.first + row * target.rowQuads) + tap * toTap;
      for (const [channel, fromChannel] of channels.entries()) sources[to + channel] = from + fromChannel;
    }
  }
}
