/**
 * Loads images to predict: those of one split of class folders, all of a folder, or a single one.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { channelStatistics, countValues, type Dataset } from "./dataset.ts";
import { type DecodedSet, decodeSet, type DecodingTools } from "./decode_images.ts";
import type { ImageDecoder } from "./image_decoder.ts";
import { isHidden, isImageFolder, type ListedImage, listImageFolder } from "./image_folder.ts";
import type { ImageOptions } from "./image_options.ts";
import { chooseShape, type ExampleShape } from "./load_image_folder.ts";

/** Training images that are decoded for mean and deviation. */
const statisticsImages = 1000;

/** Images to predict, with their files. */
export interface UnlabelledImages extends ExampleShape {
  readonly name: string;
  readonly images: Uint8Array;
  readonly count: number;
  readonly paths: readonly string[];
  readonly skipped: readonly string[];
  readonly classes?: readonly string[];
  readonly statistics?: Pick<Dataset, "mean" | "std">;
}

/** What is to be predicted, and how it is read. */
interface UnlabelledOptions extends ImageOptions {
  readonly files: Files;
  readonly openDecoder: () => ImageDecoder;
  /** Which images of class folders. */
  readonly split: "train" | "test";
  /** True for a single image. */
  readonly isFile: boolean;
}

/**
 * Decodes images, sorted by their paths.
 *
 * @throws {FormatError} If one is damaged, or there is none.
 * @throws {ConfigError} If nothing says what size images of several sizes are to get.
 */
export async function loadImagesToPredict(
  path: string,
  { files, openDecoder, split, isFile, ...options }: UnlabelledOptions,
): Promise<UnlabelledImages> {
  const folder = path.replace(/(?<=.)\/+$/, "");
  const listed = isFile || !await isImageFolder(files, folder)
    ? undefined
    : await listImageFolder(files, folder, options);
  const all = listed ? listed[split] : isFile ? [{ path, label: 0 }] : await listFlat(files, folder);
  const limit = options.limits?.[split] || Infinity;
  const chosen = all.toSorted((a, b) => a.path < b.path ? -1 : 1).slice(0, limit);
  using decoder = openDecoder();
  const tools: DecodingTools = { decoder, damaged: options.damaged ?? "refuse", signal: options.signal };
  const input = await options.modelInput?.();
  const shape = await chooseShape(chosen, { tools, input, size: options.size, thing: path });
  const decode = (images: readonly ListedImage[], onDecoded: (done: number) => void) =>
    decodeSet(images, { ...tools, ...shape, resize: options.resize ?? "crop", classes: 1, onDecoded });
  const { split: { pixels, count }, paths, skipped } = await decode(
    chosen,
    (done) => options.onDecoded?.(done, chosen.length),
  );
  if (count === 0) {
    const current = "none of its images can be read";
    throw new FormatError({ act: "predict", thing: path, current, wanted: "one at least" });
  }
  const found = { name: path, ...shape, images: pixels, count, paths, skipped };
  if (!listed) return found;
  const sample = await decode(listed.train.slice(0, statisticsImages), () => {});
  return { ...found, classes: listed.classes, statistics: measure(sample, shape) };
}

/** The images that lie in a folder. */
async function listFlat(files: Files, folder: string): Promise<readonly ListedImage[]> {
  const names = (await files.list(folder) ?? []).filter((name) => !isHidden(name));
  return names.map((name) => ({ path: `${folder}/${name}`, label: 0 }));
}

function measure(
  { split }: DecodedSet,
  { channels, height, width }: ExampleShape,
): Pick<Dataset, "mean" | "std"> {
  const counts = Array.from({ length: channels }, () => new Float64Array(256));
  countValues(split.pixels, counts, height * width);
  return channelStatistics(counts);
}
