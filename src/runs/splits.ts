/**
 * The examples of a run: for training, scoring, validation and test, in memory or in their files.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import { type Dataset, isStreamed, limitDataset, type Split, splitCalibration } from "../data/dataset.ts";
import { loadStreamed } from "../data/shards_load.ts";
import { ShapeError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { getMaxResidentBytes } from "../gpu/images.ts";

/** Splits that are larger stay in their files unless told otherwise, in bytes. */
const maxHostBytes = 2 ** 29;

/** The examples of a run, and the part of the data set that they come from. */
export interface RunSplits {
  readonly limited: Dataset<Split>;
  readonly train: Split;
  readonly calibration: Split;
  readonly validation: Split | undefined;
  readonly test: Split;
}

/**
 * Takes a run's share of a data set and splits it.
 *
 * @throws {ShapeError} Where there are too few examples.
 * @throws {FileError | FormatError} Where a split that is to be in memory cannot be read.
 */
export async function splitDataset(
  gpu: Gpu,
  config: RunConfig,
  dataset: Dataset<Split>,
): Promise<RunSplits> {
  const { limited, ...splits } = chooseRows(config, dataset), { stream } = config.data;
  const maxBytes = stream === "off" ? Infinity : Math.min(maxHostBytes, getMaxResidentBytes(gpu));
  const settle = async (split: Split, most: number) =>
    isStreamed(split) && split.count * split.layout.imageBytes <= most ? await loadStreamed(split) : split;
  const maxResident = stream === "on" ? 0 : maxBytes;
  return {
    limited,
    train: await settle(splits.train, maxResident),
    test: await settle(splits.test, maxResident),
    // These lie apart in their files, so they are kept in memory where they fit.
    calibration: await settle(splits.calibration, maxBytes),
    validation: splits.validation && await settle(splits.validation, maxBytes),
  };
}

/** How many of so many training examples a run holds out for calibration. */
export function countCalibration({ data }: Pick<RunConfig, "data">, train: number): number {
  return Math.min(data.calibration, Math.floor(Math.min(data.limit || Infinity, train) / 5));
}

function chooseRows(config: RunConfig, dataset: Dataset<Split>): RunSplits {
  const limited = limitDataset(dataset, {
    train: config.data.limit || Infinity,
    test: config.data.testLimit || Infinity,
  });
  const calibrationCount = countCalibration(config, limited.train.count);
  if (calibrationCount < 1) {
    const current = `${limited.train.count} training examples`;
    throw new ShapeError({ act: "split data set", thing: limited.name, current, wanted: "5 at least" });
  }
  const { seed } = config, validationCount = config.validation?.examples ?? 0;
  const { train, calibration } = splitCalibration(limited.train, { count: calibrationCount, seed });
  const splits = { limited, calibration, test: limited.test };
  if (validationCount === 0) return { ...splits, train, validation: undefined };
  if (validationCount >= train.count) {
    const current = `${train.count} training examples beside those for calibration`;
    const wanted = `more than the ${validationCount} for validation`;
    throw new ShapeError({ act: "split data set", thing: limited.name, current, wanted });
  }
  // Another stream than calibration's: a configuration's seeds end below 2^32.
  const second = splitCalibration(train, { count: validationCount, seed: seed + 2 ** 32 });
  return { ...splits, train: second.train, validation: second.calibration };
}
