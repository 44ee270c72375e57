/**
 * The coupling of channels over layers, as plain data: coupled groups are the unit of structured pruning. Source:
 * Fang et al. 2023, "DepGraph: Towards Any Structural Pruning", arXiv 2301.12900.
 *
 * Each layer has its channel rules (`LayerChannels` in src/model/layer.ts).
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import { getWeightForm } from "../../model/channels.ts";
import { type Graph, type GraphNode, resolveGraph } from "../../model/graph.ts";
import type { ChannelLabels } from "../../model/layer.ts";
import { parseLayerName } from "../../plan/layout.ts";

/** The part of a parameter that belongs to one channel: a row (an output channel) or a channel of all rows and taps. */
export interface ChannelSlice {
  /** The parameter's full name, such as `conv1.weight`. */
  readonly parameter: string;
  /** Whether `index` counts rows or channels. */
  readonly axis: "row" | "channel";
  /** The row or channel, from 0. */
  readonly index: number;
}

/** A coupled group: channels that are removed together. */
export interface ChannelGroup {
  /** The index of its set. */
  readonly set: number;
  /** The slices that make or scale its channels: filters, biases, batch norm's scale, shift and statistics. */
  readonly producers: readonly ChannelSlice[];
  /** The slices that read its channels: weights by input channel. */
  readonly consumers: readonly ChannelSlice[];
}

/**
 * A set of groups with the same number of channels in the same layers. Keeping n of them keeps a multiple of n
 * channels in each layer.
 */
export interface GroupSet {
  /** The indices of its groups. */
  readonly groups: readonly number[];
  /** The layers whose outputs hold channels of its groups, by name, with the number of channels per group. */
  readonly layers: ReadonlyMap<string, number>;
}

/** The coupled groups of a model. Channels of the images and of the logits belong to no group. */
export interface Coupling {
  /** The groups: channels that go together. */
  readonly groups: readonly ChannelGroup[];
  /** The sets of groups that lie in the same layers. */
  readonly sets: readonly GroupSet[];
  /** The group of each output channel of each layer, in the graph's order; -1 for channels that must stay. */
  readonly groupOf: readonly (readonly number[])[];
  /** The layers whose filters make the network's outputs, the classes of a classifier, by name. */
  readonly outputLayers: readonly string[];
}

const listLayers = (slices: readonly ChannelSlice[]): readonly string[] => [
  ...new Set(slices.map(({ parameter }) => parseLayerName(parameter))),
];

/** The layers whose weights make the channels of a group, by name, in the graph's order. */
export function listMakers({ producers }: ChannelGroup): readonly string[] {
  return listLayers(producers.filter(({ axis }) => axis === "row"));
}

/** True if a protected layer would lose filters or inputs with the group. */
export function isProtected(group: ChannelGroup, protect: readonly string[]): boolean {
  return protect.length > 0 &&
    [...listMakers(group), ...listLayers(group.consumers)].some((name) => protect.includes(name));
}

/** True if a group may be removed: no protected layer makes or reads it, and exactly the given layers make it. */
export function mayGo(
  group: ChannelGroup,
  { protect = [], madeBy }: { readonly protect?: readonly string[]; readonly madeBy?: readonly string[] },
): boolean {
  if (isProtected(group, protect)) return false;
  const makers = listMakers(group);
  return !madeBy || makers.length === madeBy.length && makers.every((name) => madeBy.includes(name));
}

/** Labels that can be united (union-find). */
class Labels implements ChannelLabels {
  readonly #parents: number[] = [];
  readonly #kept: number[] = [];

  fresh(count: number): readonly number[] {
    return Array.from({ length: count }, () => this.#parents.push(this.#parents.length) - 1);
  }

  keep(label: number): void {
    this.#kept.push(label);
  }

  /** The labels, one for each united set, whose channels stay. */
  keptRoots(): ReadonlySet<number> {
    return new Set(this.#kept.map((label) => this.find(label)));
  }

  has(label: number): boolean {
    return this.#parents[label] !== undefined;
  }

  find(label: number): number {
    let root = label;
    while (this.#parents[root] !== root) root = this.#parents[root];
    while (this.#parents[label] !== root) {
      [label, this.#parents[label]] = [this.#parents[label], root];
    }
    return root;
  }

  unite(a: number, b: number): void {
    const [first, second] = [this.find(a), this.find(b)].sort((x, y) => x - y);
    this.#parents[second] = first;
  }
}

/**
 * The labels of a layer's output channels, given those of its inputs.
 *
 * @throws {ShapeError} If the layer gives another number of them than it has channels.
 */
function outputLabels(node: GraphNode, inputs: readonly (readonly number[])[], labels: Labels) {
  const { spec, type, output } = node, own = type.channels.labels(node, inputs, labels);
  if (own.length === output.channels && own.every((label) => labels.has(label))) return own;
  const current = `${own.length} labels, ${own.filter((label) => !labels.has(label)).length} of them unknown`;
  const wanted = `${output.channels} labels of its inputs or fresh ones, one per output channel`;
  throw new ShapeError({ act: "couple channels of layer", thing: spec.name, current, wanted });
}

/** The slices of a layer's parameters, each with the label of its channel. */
function labelledSlices(node: GraphNode, { from, to }: {
  readonly from: readonly number[];
  readonly to: readonly number[];
}) {
  const { spec, parameters } = node, form = getWeightForm(node);
  return parameters.flatMap(({ name, role, rows, channels, shared = false }) => {
    if (shared) return [];
    const parameter = `${spec.name}.${name}`;
    const slices = (axis: ChannelSlice["axis"], count: number, side: readonly number[], isRead: boolean) =>
      Array.from({ length: count }, (_, index) => ({
        slice: { parameter, axis, index } satisfies ChannelSlice,
        label: side[index],
        isRead,
      }));
    if (role !== "weight") return slices("channel", channels, to, false);
    const made = slices("row", rows, to, false);
    return form?.isDepthwise ? made : [...made, ...slices("channel", channels, from, true)];
  });
}

/**
 * Finds the groups of coupled channels of a model.
 *
 * @throws {ShapeError} If a layer does not fit its inputs.
 */
export function coupleChannels(graph: Graph): Coupling {
  const nodes = resolveGraph(graph), labels = new Labels();
  const images = labels.fresh(graph.input.channels);
  const outputs: (readonly number[])[] = [];
  const at = (source: number) => source < 0 ? images : outputs[source];
  for (const node of nodes) outputs.push(outputLabels(node, node.sources.map(at), labels));
  for (const label of [...images, ...outputs[outputs.length - 1]]) labels.keep(label);
  const fixed = labels.keptRoots();
  const ids = new Map<number, number>();
  const groupOf = outputs.map((layer) =>
    layer.map((label) => {
      const root = labels.find(label);
      if (fixed.has(root)) return -1;
      if (!ids.has(root)) ids.set(root, ids.size);
      return ids.get(root)!;
    })
  );
  const parts = Array.from({ length: ids.size }, () => {
    return {
      producers: [] as ChannelSlice[],
      consumers: [] as ChannelSlice[],
      layers: new Map<string, number>(),
    };
  });
  for (const [i, node] of nodes.entries()) {
    for (const group of groupOf[i]) {
      const layers = parts[group]?.layers;
      layers?.set(node.spec.name, (layers.get(node.spec.name) ?? 0) + 1);
    }
    for (
      const { slice, label, isRead } of labelledSlices(node, { from: at(node.sources[0]), to: outputs[i] })
    ) {
      const part = parts[ids.get(labels.find(label)) ?? -1];
      if (part) (isRead ? part.consumers : part.producers).push(slice);
    }
  }
  const { sets, setOf } = gatherSets(parts.map(({ layers }) => layers));
  const groups = parts.map(({ producers, consumers }, id) => ({ set: setOf[id], producers, consumers }));
  const logits = new Set(outputs[outputs.length - 1].map((label) => labels.find(label)));
  const makers = nodes.filter(({ parameters }, i) =>
    parameters.some(({ role }) => role === "weight") &&
    outputs[i].some((label) => logits.has(labels.find(label)))
  );
  return { groups, sets, groupOf, outputLayers: makers.map(({ spec }) => spec.name) };
}

/** Collects groups with the same number of channels in the same layers into sets. */
function gatherSets(layersOf: readonly ReadonlyMap<string, number>[]) {
  const sets = new Map<string, { index: number; groups: number[]; layers: ReadonlyMap<string, number> }>();
  const setOf = layersOf.map((layers, group) => {
    const key = JSON.stringify([...layers]);
    const set = sets.get(key) ?? { index: sets.size, groups: [], layers };
    sets.set(key, set);
    set.groups.push(group);
    return set.index;
  });
  return { sets: [...sets.values()].map(({ groups, layers }): GroupSet => ({ groups, layers })), setOf };
}
