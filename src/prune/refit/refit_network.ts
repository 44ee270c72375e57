/**
 * Refits a network's kept weights on new examples: layer by layer they become the weights that bring the pruned
 * network's activations nearest to the dense network's.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Examples } from "../../gpu/examples.ts";
import { checkArenasFinite } from "../../gpu/finite.ts";
import { fitBatch } from "../../gpu/fitting.ts";
import type { Network } from "../../gpu/network.ts";
import { readBuffers, readFloats } from "../../gpu/readback.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import { resolveGraph } from "../../model/graph.ts";
import { lowerForward } from "../../plan/forward.ts";
import type { Plan } from "../../plan/plan.ts";
import { wireLayers } from "../../plan/wire.ts";
import type { CallOptions } from "../../train/call_options.ts";
import { countQuads } from "../../shape.ts";
import type { SolveBuffers } from "./refit_layer.ts";
import { DenseState, freeTargets, type LayerTargets, lowerTargets, sampleTargets } from "./refit_target.ts";
import { GroupRefit } from "./group_refit.ts";
import { countSteps, planReconstruction, reconstruct, type ReconstructionPhase } from "./reconstruct.ts";
import { type PassSource, ResumableForward } from "./resumable_forward.ts";
import {
  fillRefitSettings,
  type LayerRefitReport,
  type RefitSettings,
  samplePositions,
  sampleRows,
} from "./settings.ts";
import { selectByObs } from "./select_by_obs.ts";
import { type RefittableLayer, refittableLayers } from "./refittable_layers.ts";

/** The parts of a refit. */
interface RefitParts {
  readonly settings: RefitSettings;
  readonly layers: readonly RefittableLayer[];
  readonly source: PassSource;
  /** Sampled positions of each layer by its name, one list per batch. */
  readonly positions: ReadonlyMap<string, readonly Uint32Array[]>;
  readonly targets: ReadonlyMap<string, LayerTargets>;
  readonly dense: DenseState;
  /** The training of all layers together. */
  readonly phases: readonly ReconstructionPhase[];
  readonly plan: Plan;
  readonly pass: ResumableForward;
  readonly mask: Float32Array;
  readonly owned: Disposable | undefined;
}

/** Groups of a layer that are refit side by side. */
export const groupsAtOnce = 32;

/**
 * A refit whose target is the network as it was at the opening, dense or pruned so far. Write masks, and call `apply`
 * after each. Dispose of it to free the dense weights and activations; the network stays.
 */
export class Refit {
  readonly #parts: Omit<RefitParts, "mask">;
  /** The requested mask, and the mask of the last refit or of the opening. */
  #mask: Float32Array;
  #maskBefore: Float32Array;

  private constructor({ mask, ...parts }: RefitParts) {
    this.#parts = parts;
    this.#mask = this.#maskBefore = mask;
  }

  /**
   * Makes the present network the target, and runs it over the examples.
   *
   * @throws {ConfigError} If a number is not positive.
   * @throws {ShapeError} If the adapter's limits do not allow the samples of a layer.
   * @throws {NumericError} If a weight or a statistic is not finite.
   */
  static async open(
    network: Network,
    examples: Examples,
    options: Partial<RefitSettings> & {
      readonly choose?: ProductChooser;
      /** Disposed of with the refit. */
      readonly owned?: Disposable;
      /** Ends the opening between two passes once it is aborted. */
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<Refit> {
    const { choose = network.gpu.choose, owned, signal, ...given } = options;
    const settings = fillRefitSettings(given);
    await checkArenasFinite(network, ["values", "statistics"], "refit");
    const { memoryBytes } = settings;
    const { layers, plan, positions, rows } = planRefit(network, examples, { choose, settings });
    const source = { network, examples, rows };
    const dense = await DenseState.open(network);
    let targets: ReadonlyMap<string, LayerTargets> = new Map();
    try {
      const phases = planReconstruction({ network, dense: dense.copy, examples, choose }, settings);
      targets = await sampleTargets(layers, { source, positions, choose, memoryBytes, signal });
      const cuts = layers.map((layer) => countDispatchesBefore(plan, layer, examples));
      const pass = new ResumableForward(plan, source, { cuts, memoryBytes });
      const mask = await readFloats(network.gpu, network.arena("mask"));
      return new Refit({
        settings,
        layers,
        source,
        positions,
        targets,
        dense,
        phases,
        plan,
        pass,
        mask,
        owned,
      });
    } catch (error) {
      for (const held of targets.values()) freeTargets(held);
      dense[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Refits every kept weight under the network's present mask, with the layers' biases and running means, layer by layer
   * and then, if asked for, all layers together. Removed weights become zero. The target stays that of the opening,
   * whatever was refitted since.
   *
   * @throws {NumericError} If activations or refitted weights are not finite.
   * @throws The reason of the signal if it ends the refit. Whatever is thrown, values, statistics and mask are then
   *   those of the opening.
   */
  async apply(
    { signal, onProgress, isFinal = true }: CallOptions & {
      /** False refits layer by layer alone, on the way to a later removal. Default: true. */
      readonly isFinal?: boolean | undefined;
    } = {},
  ): Promise<readonly LayerRefitReport[]> {
    const { source: { network, examples }, layers, dense, pass } = this.#parts;
    const phases = isFinal ? this.#parts.phases : [];
    const steps = layers.length + countSteps(examples, phases);
    const mask = this.#mask = await readFloats(network.gpu, network.arena("mask"));
    const wires = wireLayers(resolveGraph(network.graph), "evaluate");
    const tensorOf = (node: number) => pass.tensor(node < 0 ? "x" : wires[node].y);
    dense.restoreUnder(mask);
    pass.rewind();
    const reports: LayerRefitReport[] = [];
    try {
      onProgress?.({ step: 0, steps });
      for (const layer of layers) {
        signal?.throwIfAborted();
        const x = tensorOf(layer.source), terms = layer.skip?.terms.map(tensorOf) ?? [];
        reports.push(await this.#refitLayer(layer, { x, terms, mask, signal }));
        onProgress?.({ step: reports.length, steps });
      }
      await reconstruct(network, examples, {
        phases,
        signal,
        onProgress: ({ step }) => onProgress?.({ step: layers.length + step, steps }),
      });
      await checkArenasFinite(network, ["values", "statistics"], "refit");
    } catch (error) {
      dense.restore();
      throw error;
    }
    this.#maskBefore = await readFloats(network.gpu, network.arena("mask"));
    return reports;
  }

  async #refitLayer(
    layer: RefittableLayer,
    { mask, signal, ...tensors }: Pick<Parameters<typeof GroupRefit.open>[1], "x" | "terms"> & {
      readonly mask: Float32Array;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<LayerRefitReport> {
    const { name, groups, geometry: { outChannels } } = layer, { gpu } = this.#parts.source.network;
    const shifts = new Float32Array(groups * outChannels), regionQuads = countQuads(outChannels);
    const shift = gpu.createBuffer(`${name} shift`, 16 * groups * regionQuads);
    const shifted = layer.bias ? "bias" : layer.norm ? "running mean" : "none";
    const kept: number[] = [];
    let raised = 0;
    try {
      for (let first = 0; first < groups; first += groupsAtOnce) {
        const chosen = Array.from({ length: Math.min(groupsAtOnce, groups - first) }, (_, i) => first + i);
        const reports = await this.#solveGroups(layer, chosen, {
          ...tensors,
          signal,
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
    this.#parts.dense.writeShifts(layer, { shifts, mask });
    return { name, kept, raised, shifted };
  }

  /** Refits some groups of a layer on all batches. Their shifts are written to regions of whole quads. */
  async #solveGroups(
    layer: RefittableLayer,
    chosen: readonly number[],
    { shift, isCentred, signal, ...tensors }:
      & Pick<Parameters<typeof GroupRefit.open>[1], "x" | "terms" | "isCentred">
      & {
        readonly shift: DeviceBuffer;
        readonly signal: AbortSignal | undefined;
      },
  ) {
    const { name, geometry: { outChannels }, weight } = layer;
    const { source: { network, rows, examples }, dense, plan, pass, settings, ...parts } = this.#parts;
    const { gpu } = network, positions = parts.positions.get(name)!, targets = parts.targets.get(name)!;
    const alpha = dense.alphaOf(layer);
    const open: GroupRefit[] = [];
    try {
      for (const group of chosen) {
        open.push(
          await GroupRefit.open(gpu, {
            ...tensors,
            layer,
            group,
            isCentred,
            targets,
            alpha,
            batch: rows[0].length,
            samples: positions[0].length,
          }),
        );
      }
      let firstLine = 0;
      await pass.visit(countDispatchesBefore(plan, layer, examples), async (batch) => {
        signal?.throwIfAborted();
        for (const refit of open) {
          await refit.accumulate(positions[batch], { count: rows[batch].length, firstLine });
        }
        firstLine += positions[batch].length;
      });
      const reports = [];
      for (const [i, refit] of open.entries()) {
        signal?.throwIfAborted();
        const before = chosen[i] * outChannels * weight.rowQuads, { window } = weight;
        const slice = (buffer: DeviceBuffer) => ({
          buffer,
          offset: weight.offset + before,
          ...(window.isWhole ? {} : { range: window }),
        });
        const solved: SolveBuffers = {
          mask: slice(network.arena("mask")),
          dense: slice(dense.copy.arena("values")),
          values: slice(network.arena("values")),
          shift: { buffer: shift, offset: chosen[i] * countQuads(outChannels) },
          damping: settings.damping,
        };
        const start = 4 * (weight.first + before), words = 4 * outChannels * weight.rowQuads;
        await selectByObs(gpu, refit, {
          targets: solved,
          steps: settings.selectionSteps,
          signal,
          before: this.#maskBefore.subarray(start, start + words),
          asked: this.#mask.subarray(start, start + words),
          weights: outChannels * weight.taps * weight.channels,
          rowScales: alpha.subarray(chosen[i] * outChannels, (chosen[i] + 1) * outChannels),
        });
        reports.push(await refit.solve(solved));
      }
      return reports;
    } finally {
      for (const refit of open) refit[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    const { targets, dense, pass, owned } = this.#parts;
    for (const held of targets.values()) freeTargets(held);
    dense[Symbol.dispose]();
    pass[Symbol.dispose]();
    owned?.[Symbol.dispose]();
  }
}

/**
 * Lowers the pass of a refit, and draws its examples and positions.
 *
 * @throws {ShapeError} If the device cannot hold a single example.
 */
export function planRefit(
  network: Network,
  examples: Examples,
  { choose, settings }: { readonly choose: ProductChooser; readonly settings: RefitSettings },
) {
  const { graph, layout } = network, { images, positions: each, seed } = settings;
  const layers = refittableLayers(graph, layout);
  const maxBatch = Math.min(settings.batch, examples.batch, examples.count, images);
  const plain = examples.areImages ? { images: { augmentation: "none" } as const } : {};
  const lower = (batch: number) => lowerForward(graph, { layout, batch, choose, ...plain });
  const lowerBoth = (batch: number) => [
    lower(batch),
    lowerTargets(layers, { network, examples, batch, choose }),
  ];
  const batch = fitBatch(network.gpu, maxBatch, lowerBoth, ["refit weights of", graph.name]);
  const rows = sampleRows({ count: examples.count, images, batch, seed });
  const positions = new Map(
    layers.map((own, layer) => [own.name, samplePositions(own, { layer, rows, positions: each, seed })]),
  );
  return { layers, plan: lower(batch), positions, rows };
}

/** The number of dispatches of a plan before a layer, including those that make the batch. */
export function countDispatchesBefore(
  { dispatchesUpTo }: Plan,
  { index }: RefittableLayer,
  { areImages }: Examples,
): number {
  return index === 0 ? (areImages ? 1 : 0) : [...dispatchesUpTo.values()][index - 1];
}
