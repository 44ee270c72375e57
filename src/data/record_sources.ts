/**
 * Data sets that are read a part at a time, to be written as shards: images of folders, and any that was loaded.
 *
 * @module
 */
import type { Files } from "../files.ts";
import { type Dataset, takeSplit } from "./dataset.ts";
import { decodeSet, type DecodingTools } from "./decode_images.ts";
import type { ImageDecoder } from "./image_decoder.ts";
import { type ListedImage, listImageFolder } from "./image_folder.ts";
import type { ImageOptions } from "./image_options.ts";
import { chooseShape, nameFolder } from "./load_image_folder.ts";
import { loadStreamed } from "./shards_load.ts";
import { isStreamed, type Split } from "./split.ts";
import type { RecordSource } from "./write_shards.ts";

/**
 * The images of class folders. Only their headers are read here.
 *
 * @throws {ConfigError | FileError | FormatError | ShapeError} As loading them does.
 */
export async function openImageSource(
  { files, folder, decoder, images }: {
    readonly files: Files;
    readonly folder: string;
    readonly decoder: ImageDecoder;
    readonly images: ImageOptions;
  },
): Promise<RecordSource> {
  const { train, test, classes } = await listImageFolder(files, folder, images);
  const take = (all: readonly ListedImage[], limit: number | undefined) => all.slice(0, limit || Infinity);
  const listed = { train: take(train, images.limits?.train), test: take(test, images.limits?.test) };
  const { damaged = "refuse", resize = "crop", signal } = images;
  const tools: DecodingTools = { decoder, damaged, signal };
  const shape = await chooseShape([...listed.train, ...listed.test], {
    ...{ tools, size: images.size, thing: folder },
    input: await images.modelInput?.(),
  });
  const paths = [...listed.train, { path: "", label: 0 }, ...listed.test].map((
    { path, label },
  ) => [path, label]);
  return {
    ...{ name: nameFolder(folder), classes, ...shape },
    counts: { train: listed.train.length, test: listed.test.length },
    fingerprint: await digestText(JSON.stringify([shape, resize, damaged, classes, paths])),
    read: (use, { first, count, onRead }) =>
      decodeSet(listed[use].slice(first, first + count), {
        ...{ ...tools, ...shape, resize, classes: classes.length, onDecoded: onRead },
      }),
  };
}

/** A data set that was loaded. */
export async function openLoadedSource(dataset: Dataset<Split>): Promise<RecordSource> {
  const { name, channels, height, width, classes, mean, std, train, test } = dataset;
  const task = { name, channels, height, width, classes }, counts = { train: train.count, test: test.count };
  return {
    ...{ ...task, counts },
    fingerprint: await digestText(JSON.stringify([task, counts, mean, std])),
    async read(use, { first, count }) {
      const rows = Uint32Array.from({ length: count }, (_, i) => first + i);
      const taken = takeSplit<Split>(dataset[use], rows);
      return { split: isStreamed(taken) ? await loadStreamed(taken) : taken, skipped: [] };
    },
  };
}

async function digestText(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
