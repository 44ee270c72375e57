/**
 * The channels that a masked network does not need: channels that are always zero, that nothing reads, or that are
 * constant and can be absorbed by a bias.
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import { getWeightForm } from "../../model/channels.ts";
import type { GraphNode } from "../../model/graph.ts";
import type { ChannelConstants } from "../../model/layer.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { countQuads } from "../../shape.ts";
import { type Coupling, isProtected } from "../groups/coupling.ts";
import { forEachElement, groupRuns, indexParameters, type ParametersByName } from "../groups/runs.ts";

/** The parts of a network that can be removed without changing it. */
export interface LiveParts {
  /** The removable groups, by index. */
  readonly removed: ReadonlySet<number>;
  /** The needed sources of each layer; undefined for removed layers. Sums lose sources that are zero. */
  readonly sources: readonly (readonly number[] | undefined)[];
  /** The constants that removed channels added to layers that stay. */
  readonly folds: readonly ConstantFold[];
}

/** A number to add to a parameter or statistic of a channel, for removed constant channels that its layer read. */
export interface ConstantFold {
  /** The full name, such as `fc2.bias` or `bn1.running_mean`. */
  readonly parameter: string;
  readonly channel: number;
  readonly add: number;
}

/** The numbers of a network's arenas. */
export interface NetworkNumbers {
  /** Floats of the whole arena of trained parameters: 1 keeps, 0 removes. */
  readonly mask: Float32Array;
  /** The arena of values. Without it only channels that are 0 are known to be constant. */
  readonly values?: Float32Array;
  /** The arena of statistics. */
  readonly statistics?: Float32Array;
}

/**
 * Finds the removable parts of a network. A group is removable if each of its channels is zero, or meets only masked
 * weights, or is constant and its readers' biases, or batch norms' running means, can absorb it. An input of a sum is
 * removable if it is zero throughout, with the layers that only it needs. Every layer that stays keeps a channel, and
 * protected layers stay as they are.
 *
 * @param protect Layers by name.
 */
export function findLiveParts(
  nodes: readonly GraphNode[],
  { coupling, layout, numbers, protect }: {
    readonly coupling: Coupling;
    readonly layout: ParameterLayout;
    readonly numbers: NetworkNumbers;
    readonly protect: readonly string[];
  },
): LiveParts {
  const parameters = indexParameters(layout), mask = numbers.mask.slice(), removed = new Set<number>();
  const placed: PlacedNumbers = { ...numbers, parameters };
  const constants = findConstants(nodes, placed), takers = findTakers(nodes, placed);
  const open = new Set(
    coupling.groups.keys().filter((group) => !isProtected(coupling.groups[group], protect)),
  );
  for (;;) {
    const areGone = constants.map((channels, i) =>
      channels.map((value, channel) => value === 0 || removed.has(coupling.groupOf[i][channel]))
    );
    const sources = neededSources(nodes, areGone, protect);
    const read = readGroups(nodes, { coupling, placed: { ...placed, mask }, constants, takers, sources });
    const found = [...open].filter((group) => !read.has(group) && !removed.has(group));
    for (const group of found) {
      removed.add(group);
      for (const run of groupRuns(parameters, coupling.groups[group])) {
        if (run.arena === "values") forEachElement(run, (offset) => mask[offset] = 0);
      }
    }
    if (found.length > 0) continue;
    const gone = keepOneEach(nodes, { coupling, removed, sources });
    // A layer's last channel stays and is read as before, so it must not be absorbed.
    const needed = readGroups(nodes, { coupling, placed, constants, takers: [], sources });
    const pinned = [...removed].filter((group) => !gone.has(group) && needed.has(group));
    if (pinned.length === 0) {
      const folds = findFolds(nodes, { coupling, placed, constants, takers, sources, gone });
      return { removed: gone, sources, folds };
    }
    for (const group of pinned) open.delete(group);
    removed.clear();
    mask.set(numbers.mask);
  }
}

interface PlacedNumbers extends NetworkNumbers {
  readonly parameters: ParametersByName;
}

/** The constants of the output channels of each layer. */
function findConstants(nodes: readonly GraphNode[], numbers: PlacedNumbers): readonly ChannelConstants[] {
  const constants: ChannelConstants[] = [];
  for (const node of nodes) {
    const inputs = node.sources.map((source, i) =>
      constants[source] ?? Array(node.inputs[i].channels).fill(undefined)
    );
    constants.push(findLayerConstants(node, inputs, numbers));
  }
  return constants;
}

/**
 * The constants of the output channels of a layer, given those of its inputs.
 *
 * @throws {ShapeError} If the layer says so of another number of channels than it has.
 */
function findLayerConstants(
  node: GraphNode,
  inputs: readonly ChannelConstants[],
  numbers: PlacedNumbers,
): ChannelConstants {
  const { spec, type, output } = node;
  const constants = type.channels.constants(node, inputs, {
    number: (name, channel) => getNumber(`${spec.name}.${name}`, channel, numbers),
    rows: () => getWeightForm(node) ? rowConstants(node, inputs[0], numbers) : [],
  });
  if (constants.length === output.channels) return constants;
  const current = `constants of ${constants.length} channels`, wanted = `of its ${output.channels}`;
  throw new ShapeError({ act: "find constants of layer", thing: spec.name, current, wanted });
}

/**
 * The number of a channel in a parameter or statistic: 0 if it is removed or absent, undefined if it is not known.
 */
function getNumber(
  fullName: string,
  channel: number,
  { parameters, mask, values, statistics }: PlacedNumbers,
): number | undefined {
  const parameter = parameters.get(fullName);
  if (!parameter) return 0;
  const offset = 4 * parameter.first + (parameter.shared ? 0 : channel);
  if (parameter.arena === "statistics") return statistics?.[offset];
  return mask[offset] === 0 ? 0 : values?.[offset];
}

/** The output of each row of a weight at every pixel, without a bias, if the channels that it reads are constant. */
function rowConstants(node: GraphNode, inputs: ChannelConstants, numbers: PlacedNumbers): ChannelConstants {
  const sums: (number | undefined)[] = Array(node.output.channels).fill(0), { values } = numbers;
  const isPadded = isAtEdges(node);
  forEachKept(node, numbers, ({ row, channel, offset }) => {
    const value = inputs[channel], sum = sums[row];
    if (value === 0 || sum === undefined) return;
    sums[row] = value === undefined || isPadded || !values ? undefined : sum + values[offset] * value;
  });
  return sums;
}

/** True if some pixels of a product's output use fewer taps than others, or that is not known. */
function isAtEdges(node: GraphNode): boolean {
  const form = node.type.productForm?.(node);
  return form === undefined || [...form.padding, ...form.paddingAfter ?? []].some((pixels) => pixels > 0);
}

/** Calls with each weight of a layer that its mask keeps: its row, the input channel that it reads, and its float. */
function forEachKept(
  node: GraphNode,
  { parameters, mask }: PlacedNumbers,
  visit: (weight: { readonly row: number; readonly channel: number; readonly offset: number }) => void,
): void {
  const { groups } = getWeightForm(node)!;
  const weight = parameters.get(`${node.spec.name}.weight`)!, { rows, taps, channels } = weight;
  const share = rows / groups, width = countQuads(channels);
  for (let row = 0; row < rows; row++) {
    const firstChannel = Math.floor(row / share) * channels;
    for (let tap = 0; tap < taps; tap++) {
      const first = 4 * (weight.first + (row * taps + tap) * width);
      for (let channel = 0; channel < channels; channel++) {
        const offset = first + channel;
        if (mask[offset] !== 0) visit({ row, channel: firstChannel + channel, offset });
      }
    }
  }
}

/** The parameter or statistic that absorbs the constants that a layer reads, by its full name, with the sign. */
interface Taker {
  readonly parameter: string;
  readonly sign: 1 | -1;
}

/**
 * For each layer with a weight, the number that absorbs the constants that it reads, if they give the same at every
 * pixel: its bias, or the running mean of the batch norm that is its only reader.
 */
function findTakers(
  nodes: readonly GraphNode[],
  { parameters }: PlacedNumbers,
): readonly (Taker | undefined)[] {
  return nodes.map((node, i) => {
    if (!getWeightForm(node) || isAtEdges(node)) return undefined;
    const bias = `${node.spec.name}.bias`;
    if (parameters.has(bias)) return { parameter: bias, sign: 1 };
    const readers = nodes.filter(({ sources }) => sources.includes(i)), [reader] = readers;
    const form = readers.length === 1 ? reader.type.normForm?.(reader.spec) : undefined;
    return form && { parameter: `${reader.spec.name}.${form.mean}`, sign: -1 };
  });
}

/** True if a row's constants can be absorbed. A bias that the mask removes must stay 0. */
function takes(taker: Taker | undefined, row: number, { parameters, mask }: PlacedNumbers): boolean {
  if (!taker) return false;
  const { arena, first } = parameters.get(taker.parameter)!;
  return arena === "statistics" || mask[4 * first + row] !== 0;
}

/** Adds up what removed channels gave to the rows that stay. */
function findFolds(
  nodes: readonly GraphNode[],
  { coupling: { groupOf }, placed, constants, takers, sources, gone }: {
    readonly coupling: Coupling;
    readonly placed: PlacedNumbers;
    readonly constants: readonly ChannelConstants[];
    readonly takers: readonly (Taker | undefined)[];
    readonly sources: LiveParts["sources"];
    readonly gone: ReadonlySet<number>;
  },
): readonly ConstantFold[] {
  const folds: ConstantFold[] = [];
  for (const [i, node] of nodes.entries()) {
    const taker = takers[i], source = sources[i]?.[0];
    if (!taker || source === undefined || source < 0) continue;
    const sums = new Map<number, number>();
    forEachKept(node, placed, ({ row, channel, offset }) => {
      const value = constants[source][channel];
      if (!value || !gone.has(groupOf[source][channel]) || gone.has(groupOf[i][row])) return;
      sums.set(row, (sums.get(row) ?? 0) + placed.values![offset] * value);
    });
    for (const [channel, sum] of sums) {
      folds.push({ parameter: taker.parameter, channel, add: taker.sign * sum });
    }
  }
  return folds;
}

/** The sources of each layer that the last one needs, after sums have dropped inputs that are zero and not protected. */
function neededSources(
  nodes: readonly GraphNode[],
  areGone: readonly (readonly boolean[])[],
  protect: readonly string[],
): LiveParts["sources"] {
  const areZero = areGone.map((channels) => channels.every(Boolean)), needed = sourcesWithout(nodes, areZero);
  const keeps = new Set(
    nodes.keys().filter((i) => protect.includes(nodes[i].spec.name) && needed[i] === undefined),
  );
  if (keeps.size === 0) return needed;
  // The path from a protected layer to a needed one stays too.
  for (const [i, { sources }] of nodes.entries()) {
    if (needed[i] === undefined && sources.some((source) => keeps.has(source))) keeps.add(i);
  }
  return sourcesWithout(nodes, areZero.map((isZero, i) => isZero && !keeps.has(i)));
}

/** The sources of each layer that the last layer needs, if sums drop some of theirs. */
function sourcesWithout(nodes: readonly GraphNode[], isDropped: readonly boolean[]): LiveParts["sources"] {
  const needed: (readonly number[] | undefined)[] = nodes.map(() => undefined);
  const last = nodes.length - 1;
  const isNeeded = new Set([last]);
  for (let i = last; i >= 0; i--) {
    if (!isNeeded.has(i)) continue;
    const { type, sources } = nodes[i];
    // The last layer stays as it is, so that there is one.
    const live = type.isSum && i !== last
      ? sources.filter((source) => source < 0 || !isDropped[source])
      : sources;
    needed[i] = live.length > 0 ? live : sources.slice(0, 1);
    for (const source of needed[i]!) isNeeded.add(source);
  }
  return needed;
}

/** The groups with a channel that meets a kept weight, and is neither zero nor an absorbed constant. */
function readGroups(nodes: readonly GraphNode[], { coupling, placed, constants, takers, sources }: {
  readonly coupling: Coupling;
  readonly placed: PlacedNumbers;
  readonly constants: readonly ChannelConstants[];
  readonly takers: readonly (Taker | undefined)[];
  readonly sources: LiveParts["sources"];
}): ReadonlySet<number> {
  const read = new Set<number>();
  for (const [i, node] of nodes.entries()) {
    const form = getWeightForm(node), source = sources[i]?.[0];
    if (!form || form.isDepthwise || source === undefined || source < 0) continue;
    forEachKept(node, placed, ({ row, channel }) => {
      const value = constants[source][channel];
      if (value === 0 || value !== undefined && takes(takers[i], row, placed)) return;
      read.add(coupling.groupOf[source][channel]);
    });
  }
  return read;
}

/** The removed groups, except one for each layer that would keep no channel. */
function keepOneEach(nodes: readonly GraphNode[], { coupling: { groupOf }, removed, sources }: {
  readonly coupling: Coupling;
  readonly removed: ReadonlySet<number>;
  readonly sources: LiveParts["sources"];
}): ReadonlySet<number> {
  const left = new Set(removed);
  for (const i of nodes.keys()) {
    if (sources[i] && groupOf[i].every((group) => left.has(group))) left.delete(groupOf[i][0]);
  }
  return left;
}
