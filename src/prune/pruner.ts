/**
 * Scores and removes a network's weights on the device.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { DeviceBuffer } from "../gpu/buffer.ts";
import { Program } from "../gpu/executor.ts";
import type { Examples } from "../gpu/examples.ts";
import { isArenaRole, type Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { readBuffers } from "../gpu/readback.ts";
import type { SlotPool } from "../gpu/slots.ts";
import { Tally } from "../gpu/tally.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/gemm.ts";
import { lowerPlan } from "../plan/lower.ts";
import { confidenceBins, lowerConfidence, lowerPrior, type Prior, priorSumsQuads } from "./confidence.ts";
import { type Criterion, lowerScores, prunableTensors, type ScoreSettings } from "./criteria.ts";
import { channelCounts, type LayerCount, layerCounts, lowerMaskCounts, lowerMasking } from "./mask.ts";
import { digitCounts, lowerCountBelow, lowerSelection, selectState } from "./select.ts";

/** How the confidence of one layer's kept weights is distributed. */
export interface LayerConfidence {
  /** The tensor's full name, such as `conv1.weight`. */
  readonly name: string;
  /** Kept weights by confidence, in equal bins from 0 to 1. */
  readonly histogram: readonly number[];
  /** Prior precision lambda of its weights. */
  readonly priorPrecision: number;
}

/** Examples a batch of scoring gradients: small, since the Fisher information is one example's at heart. */
export const scoreBatch = 16;

/** Scores and removes weights of one network. Dispose of it to free its buffers. */
export class Pruner {
  readonly #network: Network;
  readonly #buffers: ReadonlyMap<string, DeviceBuffer>;
  #isScored = false;

  constructor(network: Network) {
    const { gpu, layout } = network;
    const tensors = prunableTensors(layout);
    const words: Readonly<Record<string, number>> = {
      "prior_precision": tensors.length,
      "prior_sums": 4 * priorSumsQuads(layout),
      "select_state": 4,
      "digit_counts": digitCounts,
      "below_count": 1,
      "row_norms": Math.max(...tensors.map(({ rows }) => rows)),
      "channel_counts": channelCounts(layout),
      "layer_counts": tensors.length,
      histogram: confidenceBins * tensors.length,
    };
    this.#network = network;
    this.#buffers = new Map(
      Object.entries(words).map(([name, count]) => [name, gpu.createBuffer(name, 4 * count)]),
    );
    // What is no prunable weight keeps a score below zero, so no selection takes it.
    network.arena("scores").write(new Float32Array(4 * layout.quads).fill(-1));
  }

  /**
   * Accumulates the mean gradient and the diagonal Fisher information at the network's values, over as many whole
   * batches of the examples as there are.
   */
  async accumulate(
    examples: Examples,
    { choose, slots }: { readonly choose: ProductChooser; readonly slots: SlotPool },
  ): Promise<void> {
    const { gpu, graph } = this.#network;
    const batch = Math.min(scoreBatch, examples.count, examples.batch);
    const images = examples.areImages ? { images: { augmentation: "none" } as const } : {};
    const plan = lowerPlan(graph, { batch, mode: "score", choose, ...images });
    using tally = new Tally(gpu);
    const others = (name: string) => name === "tally" ? tally.buffer : examples.resolve(name);
    using step = await preparePlan(plan, { network: this.#network, slots, others });
    this.#network.clearArena("fisher");
    this.#network.clearArena("gradient_mean");
    const order = { batch, seed: 0, epoch: 0, shuffle: false, dropLast: true };
    const batches = Math.floor(examples.count / batch);
    const weights = { "fisher_weight": batch / batches, "gradient_weight": 1 / batches };
    let index = 0;
    for await (const rows of examples.batches(order)) {
      examples.select(rows, step.resolve);
      step.program.run({ ...weights, count: batch, index, seed: 0 });
      // Readings bound the work in flight.
      if (++index % 25 === 0) await tally.read();
    }
    await tally.read();
  }

  /** Scores the running mean by a criterion, into the arena `scores`. */
  async score(criterion: Criterion, settings: ScoreSettings & { readonly prior: Prior }): Promise<void> {
    const { layout } = this.#network;
    const prior = criterion === "confidence" ? lowerPrior(layout, settings.prior, settings.examples) : [];
    await this.#run([...prior, ...lowerScores(layout, criterion, settings)]);
    this.#isScored = true;
  }

  /** Turns the scores z of criterion confidence into confidences (arena `confidence`) and counts them by layer. */
  async confidences(): Promise<readonly LayerConfidence[]> {
    const { gpu, layout } = this.#network;
    const histogram = this.#buffer("histogram");
    histogram.write(new Uint32Array(histogram.sizeBytes / 4));
    await this.#run(lowerConfidence(layout));
    const read = [{ buffer: histogram }, { buffer: this.#buffer("prior_precision") }];
    const [counts, priors] = await readBuffers(gpu, read);
    return prunableTensors(layout).map(({ fullName }, layer) => ({
      name: fullName,
      histogram: [...new Uint32Array(counts, 4 * layer * confidenceBins, confidenceBins)],
      priorPrecision: new Float32Array(priors)[layer],
    }));
  }

  /** Counts the kept weights whose score is below a threshold. */
  async countBelow(threshold: number): Promise<number> {
    const count = this.#buffer("below_count");
    count.write(Uint32Array.of(0));
    await this.#run([lowerCountBelow(this.#network.layout.quads, threshold)]);
    const [bytes] = await readBuffers(this.#network.gpu, [{ buffer: count, sizeBytes: 4 }]);
    return new Uint32Array(bytes)[0];
  }

  /**
   * Removes the weights with the smallest scores, in place: exactly `remove` of all prunable weights are removed
   * afterwards, those removed before among them. Values, mean and velocity are masked.
   *
   * @throws {ConfigError} Where the weights were never scored.
   */
  async remove(remove: number): Promise<readonly LayerCount[]> {
    if (!this.#isScored) {
      const wanted = "a call of score() before";
      throw new ConfigError({
        act: "remove weights",
        thing: `${remove}`,
        current: "they have no scores",
        wanted,
      });
    }
    const { layout } = this.#network;
    this.#buffer("select_state").write(selectState(remove));
    await this.#run([
      ...lowerSelection(layout.quads, remove),
      ...lowerMasking(layout, ["values", "mean", "velocity"]),
    ]);
    return await this.count();
  }

  /** Counts the kept weights a layer and a channel. */
  async count(): Promise<readonly LayerCount[]> {
    const { gpu, layout } = this.#network;
    const channels = this.#buffer("channel_counts"), layers = this.#buffer("layer_counts");
    layers.write(new Uint32Array(layers.sizeBytes / 4));
    await this.#run(lowerMaskCounts(layout));
    const [channelBytes, layerBytes] = await readBuffers(gpu, [{ buffer: channels }, { buffer: layers }]);
    return layerCounts(layout, {
      channels: new Uint32Array(channelBytes),
      layers: new Uint32Array(layerBytes),
    });
  }

  #buffer(name: string): DeviceBuffer {
    return this.#buffers.get(name)!;
  }

  async #run(dispatches: readonly Dispatch[]): Promise<void> {
    const resolve = (name: string) => {
      const buffer = isArenaRole(name) ? this.#network.arena(name) : this.#buffer(name);
      return { buffer, quads: buffer.sizeBytes / 16 };
    };
    using program = await Program.create(this.#network.gpu, dispatches, { resolve });
    program.run();
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers.values()) buffer[Symbol.dispose]();
  }
}
