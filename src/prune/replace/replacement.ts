/**
 * Replaces what a network keeps, on new examples: layer by layer the kept weights become those with which the pruned
 * network's activations are nearest to the dense network's.
 *
 * @module
 */
import { ConfigError } from "../../errors.ts";
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import { copyQuads } from "../../gpu/copy.ts";
import type { Examples } from "../../gpu/examples.ts";
import type { Network } from "../../gpu/network.ts";
import { readBuffers, readFloats } from "../../gpu/readback.ts";
import type { ProductChooser } from "../../kernels/gemm.ts";
import { resolveGraph } from "../../model/graph.ts";
import { lowerForward } from "../../plan/forward.ts";
import { takeParameter } from "../../plan/layout.ts";
import type { Plan } from "../../plan/plan.ts";
import { wireLayers } from "../../plan/wire.ts";
import { quadsOf } from "../../shape.ts";
import { freeTargets, type LayerTargets, outputsOf, sampleTargets } from "./dense_targets.ts";
import { GroupRefit } from "./group_refit.ts";
import { type PassSource, PiecewisePass } from "./passes.ts";
import { type ReplacedLayer, replacedLayers } from "./replaced_layers.ts";
import { samplePositions, sampleRows } from "./sampling.ts";

/** On what and how weights are replaced; what is left out is as in `replaceDefaults`. */
export interface ReplaceSettings {
  /** Examples that are taken, chosen by the seed; all where there are fewer. */
  readonly images: number;
  /** Output positions of each layer that are taken from an example; all where there are fewer. */
  readonly positions: number;
  /** Examples that run together. */
  readonly batch: number;
  /** The pull towards the dense weights, as a share of the mean variance of a layer's inputs. */
  readonly damping: number;
  /** Chooses examples and positions. */
  readonly seed: number;
  /** Bytes that the batches' activations may take; beyond them every layer's pass begins at the images. */
  readonly memoryBytes: number;
}

/** Replacement unless told otherwise. */
export const replaceDefaults: ReplaceSettings = {
  images: 1000,
  positions: 64,
  batch: 100,
  damping: 3e-3,
  seed: 0,
  memoryBytes: 2 ** 30,
};

/** What a replacement did to one layer. */
export interface LayerReplacement {
  /** The layer's name. */
  readonly name: string;
  /** Kept weights of each output channel. */
  readonly kept: readonly number[];
  /** Output channels whose systems were singular in f32, so that they were pulled more towards the dense weights. */
  readonly raised: number;
  /** What took the change of the outputs' means; `none` where there is neither a bias nor a batch norm of its own. */
  readonly shifted: "bias" | "running mean" | "none";
}

/** Groups of a layer that are refit side by side. */
const groupsAtOnce = 32;

/**
 * A network that is dense, or pruned so far, as the model of what it becomes. Masks may then be written, and `replace`
 * called after each. Dispose of it to free the dense weights and activations; the network stays.
 */
export class Replacement {
  readonly #network: Network;
  readonly #settings: ReplaceSettings;
  readonly #layers: readonly ReplacedLayer[];
  readonly #source: PassSource;
  readonly #positions: ReadonlyMap<string, readonly Uint32Array[]>;
  readonly #targets: ReadonlyMap<string, LayerTargets>;
  readonly #dense: DeviceBuffer;
  readonly #values: Float32Array;
  readonly #statistics: Float32Array;
  readonly #plan: Plan;
  readonly #pass: PiecewisePass;

  private constructor(parts: {
    readonly settings: ReplaceSettings;
    readonly layers: readonly ReplacedLayer[];
    readonly source: PassSource;
    readonly positions: ReadonlyMap<string, readonly Uint32Array[]>;
    readonly targets: ReadonlyMap<string, LayerTargets>;
    readonly dense: {
      readonly buffer: DeviceBuffer;
      readonly values: Float32Array;
      readonly statistics: Float32Array;
    };
    readonly plan: Plan;
    readonly pass: PiecewisePass;
  }) {
    this.#network = parts.source.network;
    this.#settings = parts.settings;
    this.#layers = parts.layers;
    this.#source = parts.source;
    this.#positions = parts.positions;
    this.#targets = parts.targets;
    this.#dense = parts.dense.buffer;
    this.#values = parts.dense.values;
    this.#statistics = parts.dense.statistics;
    this.#plan = parts.plan;
    this.#pass = parts.pass;
  }

  /**
   * Takes the network as it is for the dense one, and runs it over the examples.
   *
   * @throws {ConfigError} Where a number is not positive.
   * @throws {ShapeError} Where the adapter's limits do not allow the samples of a layer.
   */
  static async open(
    network: Network,
    examples: Examples,
    options: Partial<ReplaceSettings> & { readonly choose?: ProductChooser } = {},
  ): Promise<Replacement> {
    const { choose = network.gpu.choose, ...given } = options;
    const settings: ReplaceSettings = { ...replaceDefaults, ...given };
    checkSettings(settings);
    const { gpu, graph } = network, { memoryBytes, images, positions: each, seed } = settings;
    const layers = replacedLayers(graph);
    const batch = Math.min(settings.batch, examples.batch, examples.count, images);
    const rows = sampleRows({ count: examples.count, images, batch, seed });
    const source = { network, examples, rows };
    const positions = new Map(
      layers.map((layer) => [layer.name, samplePositions(layer, { rows, positions: each, seed })]),
    );
    const plan = lowerForward(graph, {
      batch,
      choose,
      ...(examples.areImages ? { images: { augmentation: "none" } } : {}),
    });
    const buffer = gpu.createBuffer("dense values", network.arena("values").sizeBytes);
    copyQuads(gpu, [{ from: network.arena("values"), to: buffer, quads: buffer.sizeBytes / 16 }]);
    let targets: ReadonlyMap<string, LayerTargets> = new Map();
    try {
      const values = await readFloats(gpu, buffer);
      const statistics = network.layout.statisticsQuads > 0
        ? await readFloats(gpu, network.arena("statistics"))
        : new Float32Array();
      targets = await sampleTargets(layers, { source, positions, choose, memoryBytes });
      const places = layers.map((layer) => startOf(plan, layer, examples));
      const pass = new PiecewisePass(plan, source, { places, memoryBytes });
      const dense = { buffer, values, statistics };
      return new Replacement({ settings, layers, source, positions, targets, dense, plan, pass });
    } catch (error) {
      for (const held of targets.values()) freeTargets(held);
      buffer[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Replaces every kept weight under the mask that the network has now, removed ones becoming zero, with the biases and
   * running means that go with them. The dense network is what it was at the opening, whatever was replaced since.
   *
   * @throws {NumericError} Where activations are not finite; values and statistics are then the dense ones.
   */
  async replace(): Promise<readonly LayerReplacement[]> {
    const mask = await readFloats(this.#network.gpu, this.#network.arena("mask"));
    const wires = wireLayers(resolveGraph(this.#network.graph), "evaluate");
    const tensorOf = (node: number) => this.#pass.tensor(node < 0 ? "x" : wires[node].y);
    this.#restoreDense(mask);
    this.#pass.rewind();
    const reports: LayerReplacement[] = [];
    try {
      for (const layer of this.#layers) {
        const x = tensorOf(layer.source), terms = layer.skip?.terms.map(tensorOf) ?? [];
        reports.push(await this.#replaceLayer(layer, { x, terms, mask }));
      }
    } catch (error) {
      this.#restoreDense();
      throw error;
    }
    return reports;
  }

  async #replaceLayer(
    layer: ReplacedLayer,
    { mask, ...tensors }: Pick<Parameters<typeof GroupRefit.open>[1], "x" | "terms"> & {
      readonly mask: Float32Array;
    },
  ): Promise<LayerReplacement> {
    const { name, groups, geometry: { outChannels } } = layer, { gpu } = this.#network;
    const shifts = new Float32Array(groups * outChannels), regionQuads = quadsOf(outChannels);
    const shift = gpu.createBuffer(`${name} shift`, 16 * groups * regionQuads);
    const shifted = layer.bias ? "bias" : layer.norm ? "running mean" : "none";
    const kept: number[] = [];
    let raised = 0;
    try {
      for (let first = 0; first < groups; first += groupsAtOnce) {
        const chosen = Array.from({ length: Math.min(groupsAtOnce, groups - first) }, (_, i) => first + i);
        const reports = await this.#solveGroups(layer, chosen, {
          ...tensors,
          shift,
          isCentred: shifted !== "none",
        });
        for (const report of reports) {
          kept.push(...report.kept);
          raised += report.raised.length;
        }
      }
      const [bytes] = await readBuffers(gpu, [{ buffer: shift }]);
      const padded = new Float32Array(bytes);
      for (let group = 0; group < groups; group++) {
        const start = 4 * group * regionQuads;
        shifts.set(padded.subarray(start, start + outChannels), group * outChannels);
      }
    } finally {
      shift[Symbol.dispose]();
    }
    this.#writeShifts(layer, { shifts, mask });
    return { name, kept, raised, shifted };
  }

  /** Refits some groups of a layer on all batches; their shifts go to regions of whole quads. */
  async #solveGroups(
    layer: ReplacedLayer,
    chosen: readonly number[],
    { shift, isCentred, ...tensors }:
      & Pick<Parameters<typeof GroupRefit.open>[1], "x" | "terms" | "isCentred">
      & {
        readonly shift: DeviceBuffer;
      },
  ) {
    const { name, geometry: { outChannels }, weight } = layer, { gpu } = this.#network;
    const positions = this.#positions.get(name)!, { rows, examples } = this.#source;
    const open: GroupRefit[] = [];
    try {
      for (const group of chosen) {
        open.push(
          await GroupRefit.open(gpu, {
            ...tensors,
            layer,
            group,
            isCentred,
            targets: this.#targets.get(name)!,
            alpha: this.#alphaOf(layer),
            batch: rows[0].length,
            samples: positions[0].length,
          }),
        );
      }
      let firstLine = 0;
      await this.#pass.visit(startOf(this.#plan, layer, examples), async (batch) => {
        for (const refit of open) {
          await refit.accumulate(positions[batch], { count: rows[batch].length, firstLine });
        }
        firstLine += positions[batch].length;
      });
      const reports = [];
      for (const [i, refit] of open.entries()) {
        const place = (buffer: DeviceBuffer) => ({
          buffer,
          offset: weight.offset + chosen[i] * outChannels * weight.rowQuads,
        });
        reports.push(
          await refit.solve({
            mask: place(this.#network.arena("mask")),
            dense: place(this.#dense),
            values: place(this.#network.arena("values")),
            shift: { buffer: shift, offset: chosen[i] * quadsOf(outChannels) },
            damping: this.#settings.damping,
          }),
        );
      }
      return reports;
    } finally {
      for (const refit of open) refit[Symbol.dispose]();
    }
  }

  /** What the batch norm behind a layer multiplies its channels by; 1 without one. */
  #alphaOf(layer: ReplacedLayer): Float32Array {
    const { norm } = layer, ones = new Float32Array(outputsOf(layer)).fill(1);
    if (!norm) return ones;
    const gamma = takeParameter(norm.scale, this.#values);
    const variance = takeParameter(norm.variance, this.#statistics);
    return ones.map((_, c) => gamma[c] / Math.sqrt(variance[c] + norm.epsilon));
  }

  /** Gives a layer's shifts to its bias, or to the running mean behind it. Channels that are removed stay as they are. */
  #writeShifts(
    { bias, norm }: ReplacedLayer,
    { shifts, mask }: { readonly shifts: Float32Array; readonly mask: Float32Array },
  ): void {
    // The targets have the bias in them, so that the shift is all of the new one.
    if (bias) {
      const keeps = takeParameter(bias, mask);
      const values = new Float32Array(4 * bias.quads);
      values.set(shifts.map((shift, c) => keeps[c] === 0 ? 0 : shift));
      this.#network.arena("values").write(values, 16 * bias.offset);
    } else if (norm) {
      const keeps = takeParameter(norm.scale, mask), dense = takeParameter(norm.mean, this.#statistics);
      const means = new Float32Array(4 * norm.mean.quads);
      means.set(dense.map((mean, c) => keeps[c] === 0 ? mean : mean - shifts[c]));
      this.#network.arena("statistics").write(means, 16 * norm.mean.offset);
    }
  }

  /** Puts the dense network back, or what a mask leaves of it. */
  #restoreDense(mask?: Float32Array): void {
    const values = mask ? this.#values.map((value, i) => value * mask[i]) : this.#values;
    this.#network.arena("values").write(values);
    if (this.#statistics.length > 0) this.#network.arena("statistics").write(this.#statistics);
  }

  [Symbol.dispose](): void {
    for (const held of this.#targets.values()) freeTargets(held);
    this.#dense[Symbol.dispose]();
    this.#pass[Symbol.dispose]();
  }
}

/** The dispatches of a plan that run before a layer; first of all those that make the batch. */
function startOf({ ends }: Plan, { index }: ReplacedLayer, { areImages }: Examples): number {
  return index === 0 ? (areImages ? 1 : 0) : [...ends.values()][index - 1];
}

function checkSettings(settings: ReplaceSettings): void {
  for (const key of ["images", "positions", "batch"] as const) {
    if (Number.isInteger(settings[key]) && settings[key] > 0) continue;
    const current = `${settings[key]}`, wanted = "a whole number above 0";
    throw new ConfigError({ act: "replace weights with", thing: key, current, wanted });
  }
}
