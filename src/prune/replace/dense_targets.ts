/**
 * What the dense network gives at the sampled positions: each layer's output, and what is added to it.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Program } from "../../gpu/executor.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import { resolveGraph } from "../../model/graph.ts";
import { lowerForward } from "../../plan/forward.ts";
import type { Plan } from "../../plan/plan.ts";
import { wireLayers } from "../../plan/wire.ts";
import { quadsOf } from "../../shape.ts";
import { openLines } from "./lines.ts";
import { type PassSource, PiecewisePass } from "./passes.ts";
import type { ReplacedLayer } from "./replaced_layers.ts";

/** The targets of one layer, (samples of all batches, quads of all its channels). */
export interface LayerTargets {
  readonly outputs: DeviceBuffer;
  /** The sum of what is added to the layer's output, where that is known before it runs. */
  readonly skip: DeviceBuffer | undefined;
}

/** Output channels of a layer, of all its groups. */
export function outputsOf({ groups, geometry: { outChannels } }: ReplacedLayer): number {
  return groups * outChannels;
}

/** The forward pass that leaves what each layer gives to be read. */
export function lowerTargets(
  layers: readonly ReplacedLayer[],
  { network, examples, batch, choose }: Pick<PassSource, "network" | "examples"> & {
    readonly batch: number;
    readonly choose: ProductChooser;
  },
): Plan {
  return lowerForward(network.graph, {
    batch,
    choose,
    probes: layers.map(({ name }) => name),
    ...(examples.areImages ? { images: { augmentation: "none" } } : {}),
  });
}

/**
 * Runs the network as it is over all batches and keeps what its layers give at their positions.
 *
 * @param positions The sampled positions of each layer, by its name, batch by batch.
 * @returns The targets of each layer, by its name; they are to be freed by the caller.
 */
export async function sampleTargets(
  layers: readonly ReplacedLayer[],
  { source, positions, choose, memoryBytes }: {
    readonly source: PassSource;
    readonly positions: ReadonlyMap<string, readonly Uint32Array[]>;
    readonly choose: ProductChooser;
    readonly memoryBytes: number;
  },
): Promise<ReadonlyMap<string, LayerTargets>> {
  const { network: { gpu, graph }, rows } = source;
  const probes = layers.map(({ name }) => name), nodes = resolveGraph(graph);
  const plan = lowerTargets(layers, { ...source, batch: rows[0].length, choose });
  const wires = wireLayers(nodes, "evaluate", probes);
  const endOf = (node: number) => node < 0 ? 0 : plan.ends.get(nodes[node].spec.name)!;
  const targets = new Map<string, LayerTargets>();
  // A term is there, whenever it was made, until the sum has run.
  const events = layers.flatMap((layer) => {
    const { name, index, skip } = layer, channels = outputsOf(layer);
    const samples = positions.get(name)!.reduce((sum, { length }) => sum + length, 0);
    const open = (what: string) => gpu.createBuffer(`${name} ${what}`, 16 * samples * quadsOf(channels));
    const held = { outputs: open("targets"), skip: skip && open("skip") };
    targets.set(name, held);
    return [
      { place: endOf(index), layer, tensor: wires[index].y, to: held.outputs, accumulate: false },
      ...(skip?.terms ?? []).map((term, i) => {
        const tensor = term < 0 ? "x" : wires[term].y, place = endOf(skip!.sum - 1);
        return { place, layer, tensor, to: held.skip!, accumulate: i > 0 };
      }),
    ];
  });
  const places = [...new Set(events.map(({ place }) => place))].sort((a, b) => a - b);
  try {
    using pass = new PiecewisePass(plan, source, { places, memoryBytes });
    for (const place of places) {
      await gatherAt(pass, events.filter((event) => event.place === place), { place, source, positions });
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

/** One tensor whose samples are taken. */
interface Gathering {
  readonly layer: ReplacedLayer;
  readonly tensor: string;
  readonly to: DeviceBuffer;
  readonly accumulate: boolean;
}

/** Takes the samples of some tensors, of all batches, at a place of a pass. */
async function gatherAt(
  pass: PiecewisePass,
  events: readonly Gathering[],
  { place, source, positions }: {
    readonly place: number;
    readonly source: PassSource;
    readonly positions: ReadonlyMap<string, readonly Uint32Array[]>;
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
    for (const { layer, tensor, to, accumulate } of events) {
      const { name } = layer, channels = outputsOf(layer);
      const lines = Math.max(...positions.get(name)!.map(({ length }) => length));
      const at = gpu.createBuffer(`${name} positions`, 4 * lines);
      const program = await openLines(gpu, {
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
    await pass.visit(place, (batch) => {
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
