/**
 * Decides which layers of a model are fused, and which tensors lie between them.
 *
 * @module
 */
import type { GraphNode } from "../model/graph.ts";
import type { PassMode } from "../model/layer.ts";
import { layerTensor } from "./plan.ts";

/** The wiring of one layer. Tensors are given by name, layers by index. */
export interface Wire {
  /** The tensors of its inputs and its output. */
  readonly xs: readonly string[];
  readonly y: string;
  /** The gradient of its output, and the gradients of its inputs that it writes itself. */
  readonly dy: string;
  readonly dxs: readonly (string | undefined)[];
  /** The layer whose forward pass computes this one's output: itself, unless it is fused into another. */
  readonly computedBy: number;
  /** The following layers that are fused into its forward pass. */
  readonly norm: number | undefined;
  readonly residual: string | undefined;
  readonly relu: boolean;
  readonly pool: number | undefined;
  /**
   * The tensor that its backward pass adds to its input's gradient, and whether it then applies a ReLU's backward
   * pass.
   */
  readonly addend: string | undefined;
  readonly gated: boolean;
  /** True if it needs no backward pass. */
  readonly skipsBackward: boolean;
  /** Sums of gradients to compute before its own backward pass. */
  readonly sums: readonly GradientSum[];
}

/** The gradient of a tensor with several readers: the sum of a term from each. */
export interface GradientSum {
  readonly terms: readonly string[];
  readonly sum: string;
  /** The tensor whose signs gate the sum, if the tensor came out of a ReLU. */
  readonly gate: string | undefined;
  /** The layer whose output it is the gradient of. */
  readonly of: number;
}

/**
 * Wires the layers of a model for a mode.
 *
 * @param probes Layers whose own outputs must be readable: their readers are not fused into them.
 */
export function wireLayers(
  nodes: readonly GraphNode[],
  mode: PassMode,
  probes: readonly string[] = [],
): readonly Wire[] {
  const forward = wireForward(nodes, mode, probes);
  const backward = wireBackward(nodes, { mode, forward });
  return nodes.map((_, i) => ({ ...forward[i], ...backward[i] }));
}

type ForwardWire = Pick<Wire, "xs" | "y" | "computedBy" | "norm" | "residual" | "relu" | "pool">;
type BackwardWire = Omit<Wire, keyof ForwardWire>;

/** A reader of a tensor: the layer, and the index of the input. */
interface Reader {
  readonly layer: number;
  readonly slot: number;
}

/** The readers of each layer's output, in order; index -1 is the images. */
function findReaders(nodes: readonly GraphNode[]): (layer: number) => readonly Reader[] {
  const readers = new Map<number, Reader[]>();
  for (const [layer, { sources }] of nodes.entries()) {
    for (const [slot, source] of sources.entries()) {
      const known = readers.get(source);
      if (known) known.push({ layer, slot });
      else readers.set(source, [{ layer, slot }]);
    }
  }
  return (layer) => readers.get(layer) ?? [];
}

function wireForward(
  nodes: readonly GraphNode[],
  mode: PassMode,
  probes: readonly string[],
): readonly ForwardWire[] {
  const readers = findReaders(nodes);
  /** The only reader of a layer's output, if it passes the test. */
  const next = (layer: number, isWanted: (reader: GraphNode) => boolean): number | undefined => {
    const [reader, other] = readers(layer);
    const isFree = reader !== undefined && other === undefined && !probes.includes(nodes[layer].spec.name);
    return isFree && isWanted(nodes[reader.layer]) ? reader.layer : undefined;
  };
  const wires: ForwardWire[] = [];
  // The layers that are fused into an earlier one, with that layer and the tensor of the output.
  const taken = new Map<number, Pick<ForwardWire, "computedBy" | "y">>();
  for (const [i, node] of nodes.entries()) {
    const { spec, type, sources } = node;
    const xs = sources.map((source) => source < 0 ? "x" : wires[source].y);
    const nothing = { norm: undefined, residual: undefined, relu: false, pool: undefined };
    if (type.isView?.(mode)) {
      wires.push({
        ...nothing,
        xs,
        y: xs[0],
        computedBy: sources[0] < 0 ? -1 : wires[sources[0]].computedBy,
      });
      continue;
    }
    const takenOver = taken.get(i);
    if (takenOver) {
      wires.push({ ...nothing, xs, ...takenOver });
      continue;
    }
    let tail = i;
    const take = (reader: number | undefined): number | undefined => {
      if (reader === undefined) return undefined;
      taken.set(reader, { computedBy: i, y: layerTensor("output", spec.name) });
      return tail = reader;
    };
    const mayNorm = mode !== "train" && type.fusesNorm?.(spec) === true;
    const norm = mayNorm ? take(next(tail, ({ type }) => type.normForm !== undefined)) : undefined;
    // The other term must be computed when this layer runs.
    const otherTerm = ({ sources }: GraphNode) => sources.find((source) => source !== tail)!;
    const isReadySum = (reader: GraphNode) =>
      reader.type.isSum === true && reader.sources.length === 2 &&
      (otherTerm(reader) < 0 || (wires[otherTerm(reader)]?.computedBy ?? i) < i);
    const sum = type.fusesAdd?.(spec, mode) ? next(tail, isReadySum) : undefined;
    const term = sum === undefined ? undefined : otherTerm(nodes[sum]);
    const residual = term === undefined ? undefined : term < 0 ? "x" : wires[term].y;
    take(sum);
    const relu = type.fusesRelu ? take(next(tail, ({ type }) => type.isRelu === true)) : undefined;
    const mayPool = relu !== undefined && norm === undefined && sum === undefined && type.fusesPool?.(spec);
    const pool = mayPool ? next(tail, ({ spec, type }) => type.isHalvingPool?.(spec) === true) : undefined;
    if (pool !== undefined) {
      taken.set(pool, { computedBy: i, y: layerTensor("output", nodes[pool].spec.name) });
    }
    wires.push({
      xs,
      y: layerTensor("output", spec.name),
      computedBy: i,
      norm,
      residual,
      relu: relu !== undefined,
      pool,
    });
  }
  return wires;
}

function wireBackward(nodes: readonly GraphNode[], { mode, forward }: {
  readonly mode: PassMode;
  readonly forward: readonly ForwardWire[];
}): readonly BackwardWire[] {
  const readers = findReaders(nodes);
  const isTrained: boolean[] = [];
  for (const { sources, parameters } of nodes) {
    isTrained.push(parameters.length > 0 || sources.some((source) => source >= 0 && isTrained[source]));
  }
  const gates = (i: number) => nodes[i].type.gatesInput?.(nodes[i].spec) === true;
  // If several layers read a tensor, the first of them runs its backward pass last, and may add the others'
  // gradients.
  const adder = (i: number): number | undefined => {
    const { length, 0: first } = readers(i);
    if (length < 2) return undefined;
    const { spec, type } = nodes[first.layer];
    return type.addsToInput?.(spec) === true ? first.layer : undefined;
  };
  // A ReLU passes its output's gradient on unchanged if the layer that writes that gradient applies the ReLU's
  // backward pass.
  const isGated = (i: number) => {
    if (!nodes[i].type.isRelu) return false;
    const all = readers(i);
    if (all.length === 1) return gates(all[0].layer);
    return all.length > 1 && (adder(i) === undefined || gates(all[0].layer));
  };
  // A batch norm that is fused into the layer before it is in that layer's backward pass too.
  const isFusedNorm = (i: number) => nodes[i].sources.some((source) => forward[source]?.norm === i);
  const handsOn = (i: number) => {
    const { type } = nodes[i];
    return type.isSum === true || type.isView?.(mode) === true || isGated(i) || isFusedNorm(i);
  };
  const dy: string[] = [], wires: BackwardWire[] = [];
  for (const [i, { spec }] of [...nodes.entries()].toReversed()) {
    const all = readers(i);
    dy[i] = all.length === 1 && handsOn(all[0].layer) ? dy[all[0].layer] : layerTensor("gradient", spec.name);
  }
  /** The tensor for a reader's term of the gradient of one of its inputs. */
  const shareOf = ({ layer, slot }: Reader, source: number): string => {
    if (handsOn(layer)) return dy[layer];
    if (readers(source).length === 1 || adder(source) === layer) return dy[source];
    return layerTensor(`gradient of input ${slot}`, nodes[layer].spec.name);
  };
  for (const [i, { spec, sources }] of nodes.entries()) {
    const dxs = sources.map((source, slot) =>
      source >= 0 && isTrained[source] && !handsOn(i) ? shareOf({ layer: i, slot }, source) : undefined
    );
    const sums: GradientSum[] = [];
    // The terms of the output's gradient, unless the first reader adds them up.
    if (isTrained[i] && readers(i).length > 1 && adder(i) === undefined) {
      const gate = isGated(i) ? forward[i].y : undefined;
      sums.push({ terms: readers(i).map((reader) => shareOf(reader, i)), sum: dy[i], gate, of: i });
    }
    const [source] = sources;
    const addsUp = source >= 0 && isTrained[source] && adder(source) === i;
    const others = addsUp ? readers(source).slice(1).map((reader) => shareOf(reader, source)) : [];
    const addend = others.length > 1 ? layerTensor("addend", spec.name) : others[0];
    if (others.length > 1) sums.push({ terms: others, sum: addend, gate: undefined, of: source });
    const { computedBy } = forward[i];
    // A pool that is fused into a convolution without an input gradient has nothing to pass back.
    const isPoolOfFirst = computedBy >= 0 && forward[computedBy].pool === i &&
      !nodes[computedBy].sources.some((source) => source >= 0 && isTrained[source]);
    wires.push({
      dy: dy[i],
      dxs,
      addend,
      gated: source >= 0 && isGated(source) && (readers(source).length === 1 || addsUp),
      skipsBackward: !isTrained[i] || handsOn(i) || isPoolOfFirst,
      sums,
    });
  }
  return wires;
}
