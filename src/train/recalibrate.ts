/**
 * Recalibration: measures batch norm's running statistics again. Averaged or pruned values give other feature maps
 * than those of the old statistics.
 *
 * @module
 */
import { copyQuads } from "../gpu/copy.ts";
import type { Examples } from "../gpu/examples.ts";
import { checkArenasFinite } from "../gpu/finite.ts";
import { fitBatch } from "../gpu/fitting.ts";
import type { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { readBuffers } from "../gpu/readback.ts";
import type { SlotPool } from "../gpu/slots.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { lowerRecalibration } from "../plan/forward.ts";
import type { Augmentation } from "../plan/images.ts";
import { mixBits } from "../random.ts";
import { type CallOptions, StepWatch } from "./call_options.ts";

/** Options of a recalibration. */
export interface RecalibrateSettings {
  /** Examples per batch, or as many as the device can hold; the last, partial batch is skipped. */
  readonly batch: number;
  /** The seed of the examples' order and augmentation. */
  readonly seed: number;
  /** The augmentation of images. Default: none. */
  readonly augmentation?: Augmentation;
  /** Side in pixels of the square that each image loses. Default: 0. */
  readonly cutout?: number;
  /** Maximum number of batches that are measured. Default: 100; beyond that the mean hardly moves. */
  readonly maxBatches?: number;
}

/** Options of a recalibration, with the memory that it uses. */
export interface RecalibrateOptions extends RecalibrateSettings, CallOptions {
  readonly choose: ProductChooser;
  readonly slots: SlotPool;
}

/** Batches in flight between two waits for the device. */
const batchesPerReading = 25;

/**
 * Replaces batch norm's running statistics by their mean over batches at the network's present values, as
 * torch.optim.swa_utils.update_bn does. A network without batch norm stays as it is.
 *
 * @returns the number of batches that were measured
 * @throws {ShapeError} If a batch holds one value per channel.
 * @throws {NumericError} If what is measured is not finite; the statistics are then those before.
 * @throws The reason of the signal if it ends the measurement; the statistics are then those before.
 */
export async function recalibrate(
  network: Network,
  examples: Examples,
  options: RecalibrateOptions,
): Promise<number> {
  const { seed, augmentation = "none", cutout = 0, maxBatches = 100, choose, slots } = options;
  if (network.layout.statisticsQuads === 0) return 0;
  const images = examples.areImages ? { images: { augmentation, cutout } } : {};
  const { gpu, graph, layout } = network;
  const lower = (batch: number) => lowerRecalibration(graph, { layout, batch, choose, ...images });
  const maxBatch = Math.min(options.batch, examples.count);
  const batch = fitBatch(gpu, maxBatch, lower, ["recalibrate", graph.name]);
  const plan = lower(batch);
  using step = await preparePlan(plan, { network, slots, input: (name) => examples.input(name) });
  const order = { batch, seed, epoch: 0, shuffle: true, dropLast: true };
  const batches = Math.min(maxBatches, Math.floor(examples.count / batch));
  const statistics = network.arena("statistics"), quads = network.layout.statisticsQuads;
  using before = gpu.createBuffer("statistics before", 16 * quads);
  copyQuads(gpu, [{ from: statistics, to: before, quads }]);
  const wait = () => readBuffers(gpu, [{ buffer: statistics, sizeBytes: 16 }]);
  const watch = new StepWatch(options, batches, wait);
  let i = 0;
  try {
    for await (const rows of examples.batches(order)) {
      if (i === batches) break;
      await watch.next();
      examples.select(rows, step.bind);
      step.program.run({ count: batch, batch_weight: 1 / (i + 1), seed: mixBits(mixBits(seed) ^ i) });
      if (++i % batchesPerReading === 0) await wait();
    }
    await watch.next();
    await checkArenasFinite(network, ["statistics"], "recalibrate");
  } catch (error) {
    copyQuads(gpu, [{ from: before, to: statistics, quads }]);
    throw error;
  }
  return batches;
}
