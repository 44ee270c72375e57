/**
 * Loading a data set with what the runtime offers.
 *
 * @module
 */
import { type Dataset, splitCalibration } from "../data/dataset.ts";
import { LabelledImages } from "../data/labelled_images.ts";
import { type DatasetSources, loadDataset as loadFrom } from "../data/locate.ts";
import { loadStreamed } from "../data/shards_load.ts";
import { isStreamed, type Split } from "../data/split.ts";
import { currentHost, filesFor } from "./host.ts";

/**
 * Where to look for a data set. Defaults: the files, the cache folder and the digits' package of the runtime, no download,
 * and notes on standard error.
 */
export type DatasetOptions = Partial<DatasetSources>;

/**
 * Loads a data set. A named folder may hold CIFAR-10's binary files, IDX files or shards, or a folder
 * `cifar-10-batches-bin` or `mnist` with them, or images in a folder for each class, which the runtime decodes. Without one: `./data`, then the cache folder, then with `allowDownload`
 * CIFAR-10 by download, or MNIST's digits where that fails. Shards are read into memory, unless `openReader` is given:
 * then they stay in their files and are read while they are used.
 *
 * In Deno this takes `--allow-read`; a download takes `--allow-net=www.cs.toronto.edu`, and to be kept `--allow-write` and
 * `--allow-env` of the cache folder.
 *
 * @throws {FileError} If the folder, or every place to look in, holds no data set, or the runtime has no files.
 * @throws {FormatError} If a folder holds something else, a file is broken, or a download has the wrong checksum.
 */
export function loadDataset(
  options?: DatasetOptions & { readonly openReader?: undefined },
): Promise<Dataset<LabelledImages>>;
/** Loads a data set that may stay in its files. */
export function loadDataset(options: DatasetOptions): Promise<Dataset<Split>>;
export async function loadDataset(options: DatasetOptions = {}): Promise<Dataset<Split>> {
  const host = currentHost(), cacheFolder = options.cacheFolder ?? host?.cacheFolder();
  const dataset: Dataset<Split> = await loadFrom({
    allowDownload: false,
    note: host?.note ?? console.warn,
    ...(host ? { openReader: host.openReader, openDecoder: host.openDecoder } : {}),
    // The digits stand in for a download that failed, and for nothing else that is missing.
    ...(host && options.allowDownload && !options.only ? { mnistFolder: host.mnistFolder } : {}),
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    ...(cacheFolder === undefined ? {} : { cacheFolder }),
    files: filesFor(options.files, "load a data set from", options.folder ?? "./data"),
  });
  if (options.openReader) return dataset;
  const whole = async (split: Split) =>
    new LabelledImages(isStreamed(split) ? await loadStreamed(split) : split, dataset);
  return { ...dataset, train: await whole(dataset.train), test: await whole(dataset.test) };
}

/** Which images of CIFAR-10 are set aside, and where to look for them; what is left out is as in `loadDataset`. */
export interface Cifar10Options
  extends Omit<DatasetOptions, "only" | "openReader" | "streams" | "mnistFolder"> {
  /** Training images that are set aside, to score weights on. Default: 1000, of fewer than 5000 a fifth. */
  readonly calibration?: number | undefined;
  /** What chooses them. Default: 0. */
  readonly seed?: number | undefined;
}

/** CIFAR-10, split. */
export interface Cifar10 {
  /** The images to train on. */
  readonly train: LabelledImages;
  /** Training images to score weights on, which training does not see. */
  readonly calibration: LabelledImages;
  /** The images to test with. */
  readonly test: LabelledImages;
}

/**
 * Loads CIFAR-10 (Krizhevsky 2009) and sets images aside for calibration. It is looked for as the commands do: in `./data`,
 * then in the cache folder; else it is downloaded (170 MB) and kept there. Permissions are those of `loadDataset`.
 *
 * @throws {FileError} If it is nowhere, or the runtime has no files.
 * @throws {FormatError} If a file is broken, or a download has the wrong checksum.
 * @throws {ShapeError} If no image would be left to train on, or none for calibration.
 */
export async function cifar10({ calibration, seed = 0, ...sources }: Cifar10Options = {}): Promise<Cifar10> {
  const { train, test } = await loadDataset({ allowDownload: true, ...sources, only: "cifar10" });
  const count = calibration ?? Math.min(1000, Math.floor(train.count / 5));
  return { ...splitCalibration(train, { count, seed }), test };
}
