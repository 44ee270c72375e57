/**
 * Training: epochs of steps on the device, with the running mean of every parameter, checks for losses that are not
 * finite, and early stopping by validation examples.
 *
 * @module
 */
import { NumericError } from "../errors.ts";
import type { Examples } from "../gpu/examples.ts";
import { findNotFinite } from "../gpu/finite.ts";
import type { Network } from "../gpu/network.ts";
import { Tally, type TallyCount } from "../gpu/tally.ts";
import type { ArenaRole } from "../kernels/buffer_ref.ts";
import { gradientArena, optimizerStep } from "../plan/optimizer.ts";
import { mixBits } from "../random.ts";
import { checkTrainOptions } from "./check_options.ts";
import { recalibrate } from "./recalibrate.ts";
import { meanWeight, stepSchedule } from "./schedule.ts";
import type { EpochResult, TrainOptions, TrainResult } from "./phase.ts";
import { prepareStep, type StepPrograms } from "./step_programs.ts";
import { openEpochWatcher } from "./validation.ts";

/**
 * Trains a network in place. Afterwards its values are the running mean over the steps that the schedule averages (the
 * last quarter by default), which is also in the arena `mean`. With early stopping they are those of the best epoch,
 * as if training had ended there. The mask holds throughout.
 *
 * @throws {NumericError} If a loss, or what a step stores, is not finite; the values are then those of the last
 *   reading at which all was finite.
 * @throws {ShapeError} If there are too few examples for a step, or the teacher does not fit.
 * @throws {ConfigError} If an option is not possible, or what it needs was not given.
 * @throws The reason of `options.signal` where it ends training.
 */
export async function train(
  network: Network,
  examples: Examples,
  options: TrainOptions,
): Promise<TrainResult> {
  checkTrainOptions({ ...options, hasValidation: options.validation !== undefined });
  const { epochs, seed, optimizer, accumulate = 1, stepsPerReading = 25 } = options;
  const { schedule = stepSchedule, shuffle = true, firstEpoch = 0 } = options;
  const batch = Math.min(options.batch, examples.count), rowsPerStep = batch * accumulate;
  const stepsPerEpoch = Math.floor(examples.count / rowsPerStep), steps = epochs * stepsPerEpoch;
  using tally = new Tally(network.gpu);
  using programs = await prepareStep(network, examples, { ...options, batch, tally });
  const { earlyStopping, validation, resume, checkpoints, signal } = options;
  using watcher = earlyStopping && validation
    ? await openEpochWatcher(network, validation, { ...earlyStopping, ...options, best: resume?.best })
    : undefined;
  if (!resume) {
    network.clearArena("velocity");
    if (optimizer.kind !== "sgd") network.clearArena("second_moment");
    // The first mean is old + (value - old), which has the value's own bits only if old is zero.
    if (steps > 0 && schedule.averagedCount(steps - 1, steps) > 0) {
      network.clearArena("mean");
      if (options.keepsVariance) network.clearArena("variance");
    }
  }
  // Layers outside a reconstruction write no gradients, and are to stay as they are.
  if (options.reconstruction) network.clearArena("gradients");
  network.copyState("values", "snapshot");
  const start = performance.now(), firstStep = resume?.step ?? 0;
  const results: EpochResult[] = [...resume?.epochs ?? []];
  let index = firstStep, read = await tally.read();
  const report = async (epoch: number) => {
    read = await tally.read();
    await checkFinite(network, read, options);
    network.copyState("values", "snapshot");
    const examplesPerSecond = (index - firstStep) * rowsPerStep / (performance.now() - start) * 1000;
    options.onProgress?.({ step: index, steps, epoch, ...computeMeans(read), examplesPerSecond });
  };
  /** Sets the values to those that training returns if it ends after the steps so far. */
  const finish = async () => {
    if (index === 0 || schedule.averagedCount(index - 1, steps) === 0) return;
    network.copyArena("mean", "values");
    const { recalibration = "none", augmentation = "none", cutout = 0 } = options;
    if (recalibration === "none") return;
    const varied = recalibration === "augmented" ? { augmentation, cutout } : {};
    await recalibrate(network, examples, {
      ...varied,
      batch,
      seed,
      choose: options.choose,
      slots: options.slots,
    });
  };
  const stops = () => signal?.aborted === true;
  const isCheckpoint = () => stops() || checkpoints?.isDue(index) === true;
  /** Saves a checkpoint, and ends training if it was aborted. */
  const save = async (epoch: number) => {
    const { lossSum, correct, count } = read, tally = { lossSum, correct, count };
    await checkpoints?.save({ epoch, step: index, steps, tally, epochs: results, best: watcher?.best });
    signal?.throwIfAborted();
  };
  const { reduceGradients } = options, role = gradientArena({ batches: accumulate, isLast: true });
  const reduce = reduceGradients && (() => reduceGradients(network.arena(role)));
  for (let epoch = resume?.epoch ?? 0; epoch < epochs; epoch++) {
    const from = index - epoch * stepsPerEpoch, end = (epoch + 1) * stepsPerEpoch;
    if (resume && from > 0) tally.restore(resume.tally);
    else tally.clear();
    const order = { batch, perStep: accumulate, from, seed, epoch: firstEpoch + epoch, shuffle };
    let i = 0;
    for await (const rows of examples.batches({ ...order, dropLast: true })) {
      const learningRate = schedule.learningRateShare(index, steps) * options.learningRate;
      await runBatch(programs, examples, {
        rows,
        isLast: i === accumulate - 1,
        reduce,
        values: {
          ...optimizerStep(optimizer, { learningRate, step: index }),
          mean_weight: meanWeight(schedule, index, steps),
          count: batch,
          index,
          is_first: i === 0 ? 1 : 0,
          seed: mixBits(mixBits(seed) ^ (firstEpoch * 0x10001 + index * accumulate + i)),
        },
      });
      i = (i + 1) % accumulate;
      if (i > 0) continue;
      index++;
      const saves = index < end && isCheckpoint();
      if (saves || index % stepsPerReading === 0) await report(epoch);
      if (saves) await save(epoch);
    }
    if (index % stepsPerReading !== 0) await report(epoch);
    if (watcher) {
      network.copyState("values", "held");
      try {
        await finish();
        const { validation, stops } = await watcher.evaluate(epoch);
        results.push({ ...computeMeans(read), validation });
        if (stops) break;
      } finally {
        network.copyState("held", "values");
      }
    } else results.push(computeMeans(read));
    // The caller saves what follows the last epoch.
    if (epoch + 1 < epochs && isCheckpoint()) await save(epoch + 1);
  }
  if (watcher?.best) network.copyState("best", "values");
  else await finish();
  const averaged = index > 0 && schedule.averagedCount(index - 1, steps) > 0;
  await checkResult(network, index, averaged && options.keepsVariance === true);
  const best = watcher?.best ? { best: watcher.best } : {};
  const seconds = (performance.now() - start) / 1000;
  return { steps: index, ...computeMeans(read), seconds, epochs: results, ...best };
}

/** Runs one batch of a step, and after the last batch the step's update. */
async function runBatch(
  { gathering, gradients, plain, averaging, teacher, mixup }: StepPrograms,
  examples: Examples,
  { rows, isLast, reduce, values }: {
    readonly rows: Uint32Array;
    readonly isLast: boolean;
    /** Changes the step's gradient before the update. */
    readonly reduce: (() => Promise<void>) | undefined;
    readonly values: Readonly<Record<"mean_weight" | "seed", number>> & Readonly<Record<string, number>>;
  },
): Promise<void> {
  const update = values.mean_weight > 0 ? averaging : plain;
  const { program, bind } = isLast ? gradients ?? update : gathering!;
  examples.select(rows, bind);
  mixup?.draw(values.seed);
  teacher?.run(rows, values.seed);
  program.run(values);
  if (!isLast || !reduce) return;
  await reduce();
  update.program.run(values);
}

/**
 * Returns to the last state that was read as finite, if the present one is not.
 *
 * @throws {NumericError} If it is not.
 */
async function checkFinite(
  network: Network,
  { bad }: TallyCount,
  { optimizer, accumulate = 1 }: Pick<TrainOptions, "optimizer" | "accumulate">,
): Promise<void> {
  if (bad === undefined) return;
  const stored: ArenaRole[] = ["values", "statistics", "velocity"];
  if (optimizer.kind !== "sgd") stored.push("second_moment");
  // After a bad loss the gradients say nothing more.
  if (!bad.isLoss) stored.push("gradients", ...accumulate > 1 ? ["gradient_sum"] as const : []);
  const found = await findNotFinite(network, stored);
  const current = found ?? (bad.isLoss ? "the loss is not finite" : "a gradient was not finite");
  throw returnToSnapshot(network, bad.step, current);
}

/**
 * Checks the result of training: the mean over the steps, which no reading has checked, and the statistics.
 *
 * @throws {NumericError} If a number is not finite.
 */
async function checkResult(network: Network, steps: number, withVariance: boolean): Promise<void> {
  const roles: readonly ArenaRole[] = ["values", "statistics", ...withVariance ? ["variance"] as const : []];
  const current = await findNotFinite(network, roles);
  if (current !== undefined) throw returnToSnapshot(network, Math.max(0, steps - 1), current);
}

/** Returns to the last state that was read as finite, and makes the error. */
function returnToSnapshot(network: Network, step: number, current: string): NumericError {
  network.copyState("snapshot", "values");
  const wanted = "finite numbers (a smaller learning rate may help)";
  return new NumericError({ act: "train at step", thing: `${step}`, current, wanted }, step);
}

function computeMeans({ lossSum, correct, count }: TallyCount) {
  return { loss: lossSum / count, accuracy: correct / count };
}
