/**
 * Which channels a masked network can do without: those that are always zero, or that nothing reads.
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import { type WeightForm, weightFormOf } from "../../model/channels.ts";
import type { GraphNode } from "../../model/graph.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { quadsOf } from "../../shape.ts";
import { type Coupling, isProtected } from "../groups/coupling.ts";
import { forEachElement, groupRuns, type PlacedByName, placesByName } from "../groups/runs.ts";

/** What a network computes without a loss. */
export interface LiveParts {
  /** The groups that go, by index. */
  readonly removed: ReadonlySet<number>;
  /** The sources of each layer that are needed; undefined for layers that go. A sum lacks those that are zero. */
  readonly sources: readonly (readonly number[] | undefined)[];
}

/**
 * Finds what a network can do without, given the mask of its trained parameters: a group whose every channel is zero or
 * meets masked weights wherever it is read; an input of a sum that is zero throughout, with the layers that only it
 * needs. Every layer that stays keeps a channel, and protected layers stay as they are.
 *
 * @param mask Floats of the whole arena: 1 keeps, 0 removes.
 * @param protect Layers by name.
 */
export function findLiveParts(
  nodes: readonly GraphNode[],
  { coupling, layout, mask, protect }: {
    readonly coupling: Coupling;
    readonly layout: ParameterLayout;
    readonly mask: Float32Array;
    readonly protect: readonly string[];
  },
): LiveParts {
  const places = placesByName(layout), work = mask.slice(), removed = new Set<number>();
  const open = coupling.groups.keys().filter((group) => !isProtected(coupling.groups[group], protect))
    .toArray();
  for (;;) {
    const zero = findZeros(nodes, { places, mask: work });
    const sources = neededSources(nodes, zero, protect);
    const read = readGroups(nodes, { coupling, places, mask: work, zero, sources });
    const found = open.filter((group) => !read.has(group) && !removed.has(group));
    if (found.length === 0) return { removed: keepOneEach(nodes, { coupling, removed, sources }), sources };
    for (const group of found) {
      removed.add(group);
      for (const run of groupRuns(places, coupling.groups[group])) {
        if (run.arena === "values") forEachElement(run, (place) => work[place] = 0);
      }
    }
  }
}

interface MaskedParameters {
  readonly places: PlacedByName;
  readonly mask: Float32Array;
}

/** Whether each output channel of each layer is zero for every image. */
function findZeros(nodes: readonly GraphNode[], masked: MaskedParameters): readonly (readonly boolean[])[] {
  const zeros: (readonly boolean[])[] = [];
  for (const node of nodes) {
    const inputs = node.sources.map((source, i) =>
      zeros[source] ?? Array(node.inputs[i].channels).fill(false)
    );
    zeros.push(zerosOf(node, inputs, masked));
  }
  return zeros;
}

/**
 * Whether each output channel of a layer is zero for every image, given which of its inputs' are.
 *
 * @throws {ShapeError} Where the layer says so of another number of channels than it has.
 */
function zerosOf(
  node: GraphNode,
  inputs: readonly (readonly boolean[])[],
  { places, mask }: MaskedParameters,
): readonly boolean[] {
  const { spec, type, output } = node;
  const zeros = type.channels.zeros(node, inputs, {
    isRemoved(name, channel) {
      const parameter = places.get(`${spec.name}.${name}`);
      return parameter === undefined || mask[4 * parameter.offset + channel] === 0;
    },
    emptyRows() {
      const form = weightFormOf(node);
      return form ? zeroRows(node, form, { places, mask, isZero: inputs[0] }) : [];
    },
  });
  if (zeros.length === output.channels) return zeros;
  const current = `zeros of ${zeros.length} channels`, wanted = `of its ${output.channels}`;
  throw new ShapeError({ act: "find zeros of layer", thing: spec.name, current, wanted });
}

/** Whether each row of a weight is masked wherever its input is not zero. */
function zeroRows(
  { spec, output }: GraphNode,
  { groups }: WeightForm,
  { places, mask, isZero }: MaskedParameters & { readonly isZero: readonly boolean[] },
): readonly boolean[] {
  const { rows, taps, channels, offset, rowQuads } = places.get(`${spec.name}.weight`)!;
  const share = output.channels / groups, stride = 4 * quadsOf(channels);
  return Array.from({ length: rows }, (_, row) => {
    const firstChannel = Math.floor(row / share) * channels;
    for (let channel = 0; channel < channels; channel++) {
      if (isZero[firstChannel + channel]) continue;
      for (let tap = 0; tap < taps; tap++) {
        if (mask[4 * (offset + row * rowQuads) + tap * stride + channel] !== 0) return false;
      }
    }
    return true;
  });
}

/** The sources of each layer that the last one needs, after sums have dropped inputs that are zero and not protected. */
function neededSources(
  nodes: readonly GraphNode[],
  zeros: readonly (readonly boolean[])[],
  protect: readonly string[],
): LiveParts["sources"] {
  const areZero = zeros.map((channels) => channels.every(Boolean)), needed = sourcesWithout(nodes, areZero);
  const keeps = new Set(
    nodes.keys().filter((i) => protect.includes(nodes[i].spec.name) && needed[i] === undefined),
  );
  if (keeps.size === 0) return needed;
  // What leads from a protected layer to what is needed stays with it.
  for (const [i, { sources }] of nodes.entries()) {
    if (needed[i] === undefined && sources.some((source) => keeps.has(source))) keeps.add(i);
  }
  return sourcesWithout(nodes, areZero.map((isZero, i) => isZero && !keeps.has(i)));
}

/** The sources of each layer that the last one needs, where sums drop some of theirs. */
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

/** The groups with a channel that is not zero and meets a kept weight. */
function readGroups(
  nodes: readonly GraphNode[],
  { coupling, places, mask, zero, sources }: MaskedParameters & {
    readonly coupling: Coupling;
    readonly zero: readonly (readonly boolean[])[];
    readonly sources: LiveParts["sources"];
  },
): ReadonlySet<number> {
  const read = new Set<number>();
  for (const [i, node] of nodes.entries()) {
    const form = weightFormOf(node), source = sources[i]?.[0];
    if (!form || form.isDepthwise || source === undefined || source < 0) continue;
    const { rows, taps, channels, offset } = places.get(`${node.spec.name}.weight`)!;
    const share = rows / form.groups, width = quadsOf(channels);
    for (let row = 0; row < rows; row++) {
      const firstChannel = Math.floor(row / share) * channels;
      for (let tap = 0; tap < taps; tap++) {
        const first = 4 * (offset + (row * taps + tap) * width);
        for (let channel = 0; channel < channels; channel++) {
          if (mask[first + channel] === 0 || zero[source][firstChannel + channel]) continue;
          read.add(coupling.groupOf[source][firstChannel + channel]);
        }
      }
    }
  }
  return read;
}

/** The removed groups less one for each layer that would keep no channel. */
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
