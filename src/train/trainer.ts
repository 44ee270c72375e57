/**
 * Training: epochs of steps on the device, with the running mean of every parameter, watched for losses that are
 * not finite.
 *
 * @module
 */
import { epochBatches } from "../data/batches.ts";
import { NumericError } from "../errors.ts";
import { mixBits } from "../random.ts";
import type { ProductChooser } from "../kernels/gemm.ts";
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import { type PlanProgram, preparePlan } from "../gpu/plan_program.ts";
import type { SlotPool } from "../gpu/slots.ts";
import { Tally } from "../gpu/tally.ts";
import type { Augmentation } from "../plan/images.ts";
import { type Footprint, planFootprint } from "../plan/footprint.ts";
import { lowerPlan } from "../plan/lower.ts";
import { type OptimizerSettings, optimizerStep } from "../plan/optimizer.ts";
import type { Plan } from "../plan/plan.ts";
import { type Schedule, stepSchedule } from "./schedule.ts";

/** What a phase of training does. */
export interface TrainSettings {
  /** Passes over the examples. */
  readonly epochs: number;
  /** Examples a step; the last, partial batch of an epoch is left out. */
  readonly batch: number;
  /** Step size before the schedule's share of it. */
  readonly learningRate: number;
  /** The rule that turns gradients into steps; its state starts from zero. */
  readonly optimizer: OptimizerSettings;
  /** Chooses the order of the examples and their augmentation, together with `firstEpoch`. */
  readonly seed: number;
  /** Share of each label's probability that is spread over all classes, in [0, 1); 0 where left out. */
  readonly labelSmoothing?: number;
  /** How images are varied; not at all where left out. */
  readonly augmentation?: Augmentation;
  /** Counts the steps of earlier phases, so that each phase draws other batches. */
  readonly firstEpoch?: number;
  /** How the learning rate falls and from when on parameters are averaged. */
  readonly schedule?: Schedule;
  /** False takes the examples in their order. */
  readonly shuffle?: boolean;
  /** Steps between two readings of the loss; each waits for the device and costs a fixed time. */
  readonly stepsPerReading?: number;
  /** Called every so many steps and at the end of each epoch. */
  readonly onProgress?: (progress: TrainProgress) => void;
}

/** What a phase of training does, and what it runs on. */
export interface TrainOptions extends TrainSettings {
  readonly choose: ProductChooser;
  readonly slots: SlotPool;
}

/** Where training is. */
export interface TrainProgress {
  /** Steps made so far in this phase. */
  readonly step: number;
  /** Steps of the phase in all. */
  readonly steps: number;
  /** Zero-based epoch of the phase. */
  readonly epoch: number;
  /** Mean loss in nats over the steps of this epoch so far, each before its update. */
  readonly loss: number;
  /** Fraction predicted right over the steps of this epoch so far, each before its update. */
  readonly accuracy: number;
  /** Examples trained on a second since the phase began. */
  readonly examplesPerSecond: number;
}

/** What a phase of training came to. */
export interface TrainResult {
  /** Steps made. */
  readonly steps: number;
  /** Mean loss in nats over the last epoch, each step's before its update. */
  readonly loss: number;
  /** Fraction predicted right over the last epoch, each step's before its update. */
  readonly accuracy: number;
  /** Time that the steps took, in seconds. */
  readonly seconds: number;
}

/**
 * Trains a network in place. Afterwards its values are the running mean over the steps that the schedule averages (the
 * last quarter by default), which the arena `mean` holds too. The mask is respected throughout.
 *
 * @throws {NumericError} Where a loss or a value is not finite; the values are then those of the last reading at
 *   which all was finite.
 */
export async function train(
  network: Network,
  examples: Examples,
  options: TrainOptions,
): Promise<TrainResult> {
  const { epochs, seed, optimizer, learningRate, firstEpoch = 0, stepsPerReading = 25 } = options;
  const { schedule = stepSchedule, shuffle = true } = options;
  const batch = Math.min(options.batch, examples.count);
  const stepsPerEpoch = Math.floor(examples.count / batch), steps = epochs * stepsPerEpoch;
  using tally = new Tally(network.gpu);
  using programs = await prepareStep(network, examples, { ...options, batch, tally });
  network.clearArena("velocity");
  if (optimizer.kind !== "sgd") network.clearArena("second_moment");
  // The first mean is old + (value - old), which gives the value's own bits only where old is zero.
  if (steps > 0 && schedule.averagedCount(steps - 1, steps) > 0) network.clearArena("mean");
  keepState(network);
  const start = performance.now();
  let index = 0, read = await tally.read();
  const report = async (epoch: number) => {
    read = await tally.read();
    if (read.badStep !== undefined) {
      returnToKeptState(network);
      const current = "the loss or a parameter is not finite";
      const wanted = "finite numbers (a smaller learning rate may help)";
      const complaint = { act: "train at step", thing: `${read.badStep}`, current, wanted };
      throw new NumericError(complaint, read.badStep);
    }
    keepState(network);
    const examplesPerSecond = index * batch / (performance.now() - start) * 1000;
    options.onProgress?.({ step: index, steps, epoch, ...meansOf(read), examplesPerSecond });
  };
  for (let epoch = 0; epoch < epochs; epoch++) {
    tally.clear();
    const order = { count: examples.count, batch, seed, epoch: firstEpoch + epoch, shuffle, dropLast: true };
    for (const rows of epochBatches(order)) {
      const averaged = schedule.averagedCount(index, steps);
      const { program, resolve } = averaged > 0 ? programs.averaging : programs.plain;
      const share = schedule.learningRateShare(index, steps);
      examples.select(rows, resolve);
      program.run({
        ...optimizerStep(optimizer, { learningRate: share * learningRate, step: index }),
        mean_weight: averaged > 0 ? 1 / averaged : 0,
        count: batch,
        index,
        seed: mixBits(mixBits(seed) ^ (firstEpoch * 0x10001 + index)),
      });
      index++;
      if (index % stepsPerReading === 0) await report(epoch);
    }
    if (index % stepsPerReading !== 0) await report(epoch);
  }
  if (steps > 0 && schedule.averagedCount(steps - 1, steps) > 0) network.copyArena("mean", "values");
  return { steps, ...meansOf(read), seconds: (performance.now() - start) / 1000 };
}

/** The device memory that training needs at its peak: the step's plan, and the state kept for a failed step. */
export function trainingFootprint(
  network: Network,
  examples: Examples,
  options: Omit<TrainOptions, "slots">,
): Footprint {
  const { layout, gpu } = network;
  const arenaBytes = (name: string) => 16 * (name === "statistics" ? layout.statisticsQuads : layout.quads);
  const sizeOf = (name: string) =>
    name === "tally" ? 16 : examples.resolve(name)?.sizeBytes ?? arenaBytes(name);
  const footprint = planFootprint(lowerStep(network, examples, options, true), { path: gpu.path, sizeOf });
  const keptBytes = arenaBytes("values") + arenaBytes("statistics");
  return {
    ...footprint,
    buffersBytes: footprint.buffersBytes + keptBytes,
    totalBytes: footprint.totalBytes + keptBytes,
  };
}

function lowerStep(
  { graph }: Network,
  examples: Examples,
  options: Omit<TrainOptions, "slots">,
  averages: boolean,
): Plan {
  const { augmentation = "none" } = options;
  const images = examples.areImages ? { images: { augmentation } } : {};
  const batch = Math.min(options.batch, examples.count);
  return lowerPlan(graph, { ...options, batch, mode: "train", averages, ...images });
}

/** A step without and with the running mean, so that either is one submit. */
interface StepPrograms extends Disposable {
  readonly plain: PlanProgram;
  readonly averaging: PlanProgram;
}

async function prepareStep(
  network: Network,
  examples: Examples,
  options: TrainOptions & { readonly tally: Tally },
): Promise<StepPrograms> {
  const { slots, tally } = options;
  const others = (name: string) => name === "tally" ? tally.buffer : examples.resolve(name);
  const prepare = (averages: boolean) =>
    preparePlan(lowerStep(network, examples, options, averages), { network, slots, others });
  const plain = await prepare(false), averaging = await prepare(true);
  return {
    plain,
    averaging,
    [Symbol.dispose]() {
      plain[Symbol.dispose]();
      averaging[Symbol.dispose]();
    },
  };
}

/** Keeps the values and statistics as they are now, known to be finite. */
function keepState(network: Network): void {
  network.copyArena("values", "snapshot");
  if (network.layout.statisticsQuads > 0) network.copyArena("statistics", "statistics_snapshot");
}

function returnToKeptState(network: Network): void {
  network.copyArena("snapshot", "values");
  if (network.layout.statisticsQuads > 0) network.copyArena("statistics_snapshot", "statistics");
}

function meansOf({ lossSum, correct, count }: { lossSum: number; correct: number; count: number }) {
  return { loss: lossSum / count, accuracy: correct / count };
}
