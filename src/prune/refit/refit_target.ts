/**
 * The target of a refit: the dense network's weights, and the activations of its layers at sampled positions.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import { copyQuads } from "../../gpu/copy.ts";
import type { Program } from "../../gpu/executor.ts";
import { Network } from "../../gpu/network.ts";
import { readFloats } from "../../gpu/readback.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import { type Graph, resolveGraph } from "../../model/graph.ts";
import { lowerForward } from "../../plan/forward.ts";
import { takeParameter } from "../../plan/layout.ts";
import type { Plan } from "../../plan/plan.ts";
import { wireLayers } from "../../plan/wire.ts";
import { countQuads } from "../../shape.ts";
import { openRowGather } from "./gather_rows.ts";
import { type PassSource, ResumableForward } from "./resumable_forward.ts";
import type { RefittableLayer } from "./refittable_layers.ts";

/** A copy of a network's parameters, which can be restored. Dispose of it to free the copy. */
export class DenseState {
  readonly #network: Network;
  readonly #values: Float32Array;
  readonly #statistics: Float32Array;
  readonly #mask: Float32Array;

  private constructor(
    network: Network,
    /** The copy on the device. */
    readonly copy: Network,
    { values, statistics, mask }: Readonly<Record<"values" | "statistics" | "mask", Float32Array>>,
  ) {
    this.#network = network;
    this.#values = values;
    this.#statistics = statistics;
    this.#mask = mask;
  }

  /** Copies a network's present parameters. */
  static async open(network: Network): Promise<DenseState> {
    const { gpu, graph, layout } = network, copy = new Network(gpu, graph, new Map());
    try {
      const parts = { values: layout.quads, statistics: layout.statisticsQuads };
      for (const role of ["values", "statistics"] as const) {
        if (parts[role] === 0) continue;
        copyQuads(gpu, [{ from: network.arena(role), to: copy.arena(role), quads: parts[role] }]);
      }
      return new DenseState(network, copy, {
        values: await readFloats(gpu, copy.arena("values")),
        statistics: parts.statistics > 0
          ? await readFloats(gpu, copy.arena("statistics"))
          : new Float32Array(),
        mask: await readFloats(gpu, network.arena("mask")),
      });
    } catch (error) {
      copy[Symbol.dispose]();
      throw error;
    }
  }

  /** The factor of the batch norm after a layer, per channel; 1 without a batch norm. */
  alphaOf(layer: RefittableLayer): Float32Array {
    const { norm } = layer, ones = new Float32Array(countOutputs(layer)).fill(1);
    if (!norm) return ones;
    const gamma = takeParameter(norm.scale, this.#values);
    const variance = takeParameter(norm.variance, this.#statistics);
    return ones.map((_, c) => gamma[c] / Math.sqrt(variance[c] + norm.epsilon));
  }

  /** Adds a layer's shifts to its bias, or to the running mean after it. Removed channels stay as they are. */
  writeShifts(
    { bias, norm }: RefittableLayer,
    { shifts, mask }: { readonly shifts: Float32Array; readonly mask: Float32Array },
  ): void {
    // The targets include the bias, so the shift is the whole new bias.
    if (bias) {
      const keeps = takeParameter(bias, mask);
      const values = new Float32Array(4 * bias.quads);
      values.set(shifts.map((shift, c) => keeps[c] === 0 ? 0 : shift));
      this.#network.arena("values").write(values, 16 * bias.first);
    } else if (norm) {
      const keeps = takeParameter(norm.scale, mask), dense = takeParameter(norm.mean, this.#statistics);
      const means = new Float32Array(4 * norm.mean.quads);
      means.set(dense.map((mean, c) => keeps[c] === 0 ? mean : mean - shifts[c]));
      this.#network.arena("statistics").write(means, 16 * norm.mean.first);
    }
  }

  /** Puts the parameters back, but for what a mask removes. */
  restoreUnder(mask: Float32Array): void {
    this.#network.arena("values").write(this.#values.map((value, i) => value * mask[i]));
    if (this.#statistics.length > 0) this.#network.arena("statistics").write(this.#statistics);
  }

  /** Puts the network back as it was, its mask too. */
  restore(): void {
    this.restoreUnder(this.#mask);
    this.#network.arena("mask").write(this.#mask);
  }

  [Symbol.dispose](): void {
    this.copy[Symbol.dispose]();
  }
}

/** The targets of one layer, (samples of all batches, quads of all its channels). */
export interface LayerTargets {
  readonly outputs: DeviceBuffer;
  /** The sum of the terms that are added to the layer's output, if they are known before it runs. */
  readonly skip: DeviceBuffer | undefined;
}

/** Output channels of all groups of a layer. */
function countOutputs({ groups, geometry: { outChannels } }: RefittableLayer): number {
  return groups * outChannels;
}

/** The forward pass that keeps the output of each refitted layer. */
export function lowerTargets(
  layers: readonly RefittableLayer[],
  { network, examples, batch, choose }: Pick<PassSource, "network" | "examples"> & {
    readonly batch: number;
    readonly choose: ProductChooser;
  },
): Plan {
  return lowerForward(network.graph, {
    layout: network.layout,
    batch,
    choose,
    probes: layers.map(({ name }) => name),
    ...(examples.areImages ? { images: { augmentation: "none" } } : {}),
  });
}

/** A tensor that is sampled for a layer: after how many dispatches, and what of the layer's targets it is. */
export interface Sampling {
  readonly cut: number;
  readonly layer: RefittableLayer;
  readonly tensor: string;
  readonly target: keyof LayerTargets;
  readonly accumulate: boolean;
}

/** The tensors that are sampled in a pass of `lowerTargets`. */
export function listSamplings(
  layers: readonly RefittableLayer[],
  plan: Plan,
  graph: Graph,
): readonly Sampling[] {
  const nodes = resolveGraph(graph), wires = wireLayers(nodes, "evaluate", layers.map(({ name }) => name));
  const endOf = (node: number) => node < 0 ? 0 : plan.dispatchesUpTo.get(nodes[node].spec.name)!;
  // A term stays readable until its sum has run.
  return layers.flatMap((layer): Sampling[] => [
    {
      ...{ cut: endOf(layer.index), layer, tensor: wires[layer.index].y },
      ...{ target: "outputs", accumulate: false },
    },
    ...(layer.skip?.terms ?? []).map((term, i) => ({
      ...{ cut: endOf(layer.skip!.sum - 1), layer, tensor: term < 0 ? "x" : wires[term].y },
      ...{ target: "skip" as const, accumulate: i > 0 },
    })),
  ]);
}

/** Bytes of a layer's targets at positions of all batches. */
export function countTargetBytes(layer: RefittableLayer, positions: readonly Uint32Array[]): number {
  const samples = positions.reduce((sum, { length }) => sum + length, 0);
  return 16 * samples * countQuads(countOutputs(layer));
}

/**
 * Runs the present network over all batches, and keeps the outputs of its layers at their positions.
 *
 * @param positions The sampled positions of each layer, by its name, batch by batch.
 * @param signal Ends it between two batches.
 * @returns The targets of each layer, by its name; the caller frees them.
 */
export async function sampleTargets(
  layers: readonly RefittableLayer[],
  { source, positions, choose, memoryBytes, signal }: {
    readonly source: PassSource;
    readonly positions: ReadonlyMap<string, readonly Uint32Array[]>;
    readonly choose: ProductChooser;
    readonly memoryBytes: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<ReadonlyMap<string, LayerTargets>> {
  const { network: { gpu, graph }, rows } = source;
  const plan = lowerTargets(layers, { ...source, batch: rows[0].length, choose });
  const targets = new Map<string, LayerTargets>();
  for (const layer of layers) {
    const { name, skip } = layer, sizeBytes = countTargetBytes(layer, positions.get(name)!);
    const open = (what: string) => gpu.createBuffer(`${name} ${what}`, sizeBytes);
    targets.set(name, { outputs: open("targets"), skip: skip && open("skip") });
  }
  const events = listSamplings(layers, plan, graph);
  const cuts = [...new Set(events.map(({ cut }) => cut))].sort((a, b) => a - b);
  try {
    using pass = new ResumableForward(plan, source, { cuts, memoryBytes });
    for (const cut of cuts) {
      signal?.throwIfAborted();
      await gatherAt(pass, events.filter((event) => event.cut === cut), {
        cut,
        source,
        positions,
        targets,
        signal,
      });
    }
  } catch (error) {
    for (const held of targets.values()) freeTargets(held);
    throw error;
  }
  return targets;
}

/** Frees the targets of a layer. */
export function freeTargets({ outputs, skip }: LayerTargets): void {
  outputs[Symbol.dispose]();
  skip?.[Symbol.dispose]();
}

/** Samples some tensors, for all batches, at a cut of a pass. */
async function gatherAt(
  pass: ResumableForward,
  events: readonly Sampling[],
  { cut, source, positions, targets, signal }: {
    readonly targets: ReadonlyMap<string, LayerTargets>;
    readonly cut: number;
    readonly source: PassSource;
    readonly positions: ReadonlyMap<string, readonly Uint32Array[]>;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { gpu } = source.network;
  const opened: {
    readonly name: string;
    readonly at: DeviceBuffer;
    readonly program: Program;
    line: number;
  }[] = [];
  try {
    for (const { layer, tensor, target, accumulate } of events) {
      const { name } = layer, channels = countOutputs(layer), to = targets.get(name)![target]!;
      const lines = Math.max(...positions.get(name)!.map(({ length }) => length));
      const at = gpu.createBuffer(`${name} positions`, 4 * lines);
      const program = await openRowGather(gpu, {
        label: `${name} samples of ${tensor}`,
        from: pass.tensor(tensor),
        inChannels: channels,
        lines,
        to,
        firstChannel: 0,
        channels,
        positions: at,
        accumulate,
      });
      opened.push({ name, at, program, line: 0 });
    }
    await pass.visit(cut, (batch) => {
      signal?.throwIfAborted();
      for (const event of opened) {
        const sampled = positions.get(event.name)![batch];
        event.at.write(sampled);
        event.program.run({ count: sampled.length, "first_line": 0, "first_out": event.line });
        event.line += sampled.length;
      }
    });
  } finally {
    for (const { at, program } of opened) {
      at[Symbol.dispose]();
      program[Symbol.dispose]();
    }
  }
}
