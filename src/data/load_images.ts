/**
 * Images to predict: a split of a data set, or a file of images without labels.
 *
 * @module
 */
import type { Dataset } from "./dataset.ts";
import { readIdxImages } from "./idx.ts";
import { type DatasetSources, isOtherFormat, loadDataset } from "./locate.ts";
import { isStreamed, type Split } from "./split.ts";
import { isImageFolder, isImageName } from "./image_folder.ts";
import { loadImagesToPredict } from "./load_unlabelled.ts";
import { FileError } from "../errors.ts";
import type { Files } from "../files.ts";

/** Images of one shape. */
export interface LoadedImages {
  /** A short name, such as `cifar10`, or the file's path. */
  readonly name: string;
  /** C. */
  readonly channels: number;
  /** H, in pixels. */
  readonly height: number;
  /** W, in pixels. */
  readonly width: number;
  /** Bytes (N, C, H, W), or a split that stays in its files. */
  readonly images: Uint8Array | Split;
  /** N. */
  readonly count: number;
  /** The names of the data set's classes; absent for images without labels. */
  readonly classes?: readonly string[];
  /** Mean and deviation of each channel of the data set's training images; absent for images without labels. */
  readonly statistics?: Pick<Dataset, "mean" | "std">;
  /** The file of each image; absent where many lie in one. */
  readonly paths?: readonly string[];
  /** The files of images that could not be read and were left out; absent where none can be. */
  readonly skipped?: readonly string[];
}

/**
 * Loads images to predict.
 *
 * @param path A folder of a data set, as `loadDataset` takes it, a folder of images, an image by its ending, or one IDX file
 *   of images, with any name.
 * @param sources As for `loadDataset`. Nothing is downloaded.
 * @throws {FileError} If nothing has that path, or it cannot be read.
 * @throws {FormatError} If a file is broken, or of no known format.
 */
export async function loadImages(
  path: string,
  { split, ...sources }: Omit<DatasetSources, "folder" | "cacheFolder" | "allowDownload"> & {
    /** The split of a data set. */
    readonly split: "train" | "test";
  },
): Promise<LoadedImages> {
  const { files, openDecoder, images: options = {} } = sources;
  const isFile = !await isFolder(path, sources);
  if (isFile ? isImageName(path) : await hasImages(files, path)) {
    if (openDecoder) {
      return await loadImagesToPredict(path, { files, openDecoder, split, isFile, ...options });
    }
    const current = "there is nothing that decodes images here", wanted = "the option openDecoder";
    throw new FileError({ act: "load images from", thing: path, current, wanted });
  }
  if (isFile) {
    const { images, count, imageShape: [channels, height, width] } = await readIdxImages(files, path);
    return { name: path, channels, height, width, images, count };
  }
  const dataset = await loadDataset({ ...sources, folder: path, allowDownload: false });
  const { name, channels, height, width, classes, mean, std, [split]: chosen } = dataset;
  // Labels of a split in memory are not needed, and may be of classes that the model does not know.
  const images = isStreamed(chosen) ? chosen : chosen.pixels;
  return {
    ...{ name, channels, height, width, images, count: chosen.count, classes },
    statistics: { mean, std },
  };
}

/** True for a folder of images, or of folders of images, and of no data set of another format. */
async function hasImages(files: Files, folder: string): Promise<boolean> {
  const names = await files.list(folder) ?? [];
  if (names.some(isImageName)) return true;
  return !await isOtherFormat(files, folder) && await isImageFolder(files, folder);
}

/** False for a file. A missing path counts as a folder; the error then says that the folder is missing. */
async function isFolder(path: string, { files }: Pick<DatasetSources, "files">): Promise<boolean> {
  try {
    return await files.sizeBytes(path) === undefined;
  } catch {
    return true;
  }
}
