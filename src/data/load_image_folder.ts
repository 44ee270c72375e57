/**
 * Loads a data set whose folders are its classes: finds its images, chooses their size, and decodes them.
 *
 * @module
 */
import { ConfigError, FormatError, ShapeError } from "../errors.ts";
import type { Files } from "../files.ts";
import { imageBounds } from "../shape.ts";
import { type Dataset, describeDataset } from "./dataset.ts";
import { checkDistinctImages } from "./distinct_images.ts";
import { decodeSet, type DecodingTools, probeSet } from "./decode_images.ts";
import type { ImageDecoder } from "./image_decoder.ts";
import { type ListedImage, listImageFolder } from "./image_folder.ts";
import {
  describeCopies,
  describeSkipped,
  findCopies,
  type ImageFacts,
  type ImageOptions,
  type ModelInput,
} from "./image_options.ts";
import type { ImageSize } from "./image_resize.ts";

/** What images are loaded by. */
export interface ImageSources {
  readonly files: Files;
  readonly folder: string;
  readonly openDecoder: () => ImageDecoder;
  readonly images?: ImageOptions | undefined;
  readonly note: (line: string) => void;
}

/**
 * Loads the images of a folder.
 *
 * @throws {ConfigError} If nothing says what size images of several sizes are to get.
 * @throws {FileError} If a folder cannot be read.
 * @throws {FormatError} If the folder has no classes, an image is damaged, or all test images are training images.
 * @throws {ShapeError} If the images do not fit into memory.
 */
export async function loadImageFolder(
  { files, folder, openDecoder, images = {}, note }: ImageSources,
): Promise<Dataset> {
  const listed = await listImageFolder(files, folder, images), { classes } = listed;
  const take = (all: readonly ListedImage[], limit = Infinity) => all.slice(0, limit || Infinity);
  const train = take(listed.train, images.limits?.train), test = take(listed.test, images.limits?.test);
  using decoder = openDecoder();
  const tools: DecodingTools = { decoder, damaged: images.damaged ?? "refuse", signal: images.signal };
  const input = await images.modelInput?.();
  const shape = await chooseShape([...train, ...test], { tools, input, size: images.size, thing: folder });
  const resize = images.resize ?? "crop", options = { ...tools, ...shape, resize };
  checkMemory(train.length + test.length, shape, folder);
  const total = train.length + test.length;
  const hear = (from: number) => (done: number) => images.onDecoded?.(from + done, total);
  const trained = await decodeSet(train, { ...options, classes: classes.length, onDecoded: hear(0) });
  const tested = await decodeSet(test, {
    ...options,
    classes: classes.length,
    onDecoded: hear(train.length),
  });
  for (const [use, { split }] of [["train", trained], ["test", tested]] as const) {
    if (split.count > 0) continue;
    const current = `none of the images for ${use} can be read`;
    throw new FormatError({ act: "use images of", thing: folder, current, wanted: "one at least" });
  }
  const splits = { train: trained.split, test: tested.split };
  checkDistinctImages(splits, folder);
  const skipped = [...trained.skipped, ...tested.skipped];
  const facts: ImageFacts = {
    resize,
    found: { train: listed.train.length, test: listed.test.length },
    skipped: { count: skipped.length, files: skipped.slice(0, 10) },
    copies: findCopies(trained, tested),
  };
  describeFacts(facts, { ...shape, share: listed.share, total }).forEach(note);
  const parts = { name: nameFolder(folder), source: folder, classes };
  return { ...describeDataset({ ...parts, ...shape, ...splits }), images: facts };
}

/** The name of the data set in a folder. */
export function nameFolder(folder: string): string {
  const name = folder.slice(folder.lastIndexOf("/") + 1);
  return /^\.*$/.test(name) ? "images" : name;
}

/** Channels, height and width of the examples. */
export type ExampleShape = ImageSize & { readonly channels: 1 | 3 };

/** Channels and size that images get. */
export async function chooseShape(
  images: readonly ListedImage[],
  { tools, input, size, thing }: {
    readonly tools: DecodingTools;
    readonly input: ModelInput | undefined;
    readonly size: ImageSize | undefined;
    readonly thing: string;
  },
): Promise<ExampleShape> {
  const { sizes, isGrey } = await probeSet(images, tools);
  const channels = input?.channels ?? (isGrey ? 1 : 3);
  if (channels !== 1 && channels !== 3) {
    const current = `the network takes images of ${channels} channels`,
      wanted = "1 for grey or 3 for colours";
    throw new ShapeError({ act: "use images of", thing, current, wanted });
  }
  const only = sizes.length === 1 ? sizes[0] : undefined, chosen = size ?? input ?? only;
  if (!chosen) {
    const some = sizes.slice(0, 3).map(({ width, height }) => `${width} x ${height}`).join(", ");
    const current = `it has images of ${sizes.length} sizes, such as ${some}`;
    const wanted = "--size SIDE or --size WIDTHxHEIGHT, such as --size 64";
    throw new ConfigError({ act: "use images of", thing, current, wanted });
  }
  const { height, width } = chosen, most = imageBounds.numbers;
  if (height > imageBounds.side || width > imageBounds.side || channels * height * width > most) {
    const current = `images of ${width} x ${height} pixels`;
    throw new ShapeError({
      act: "use images of",
      thing,
      current,
      wanted: `at most ${most} numbers an image`,
    });
  }
  return { channels, height, width };
}

/** Most bytes of images in memory. */
const maxBytes = 2 ** 32;

function checkMemory(count: number, { channels, height, width }: ExampleShape, thing: string): void {
  const bytes = count * channels * height * width;
  if (bytes <= maxBytes) return;
  const current = `${count} images of ${width} x ${height} pixels take ${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const wanted = "at most 4 GiB in memory: fewer (--limit, --test-limit) or smaller ones (--size)";
  throw new ShapeError({ act: "use images of", thing, current, wanted });
}

/** Lines on what a user may not expect of the images. */
function describeFacts(
  { resize, found, skipped, copies }: ImageFacts,
  { channels, height, width, share, total }: ExampleShape & {
    readonly share: number | undefined;
    readonly total: number;
  },
): readonly string[] {
  const all = found.train + found.test,
    how = { crop: "cropped", stretch: "stretched", pad: "padded" }[resize];
  const twins = describeCopies(copies), left = describeSkipped(skipped.count, skipped.files);
  const colours = channels === 1 ? "grey" : "coloured";
  return [
    `images: ${total} of ${all} decoded, ${colours}, ${width} x ${height} pixels (others are ${how})`,
    ...(share === undefined
      ? []
      : [`there is no folder of test images: ${share} of each class are held out for test (--test-share)`]),
    ...(left === undefined ? [] : [left]),
    ...(twins === undefined ? [] : [twins]),
  ];
}
