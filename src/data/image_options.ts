/**
 * How images of folders become examples, and what became of them.
 *
 * @module
 */
import { z } from "zod";
import type { ImageSize, ResizeMode } from "./image_resize.ts";

/** The images that a network takes. */
export interface ModelInput extends ImageSize {
  /** C: 1 for grey images, 3 for coloured ones. */
  readonly channels: number;
}

/** How the images of a folder become examples. */
export interface ImageOptions {
  /** The size that all get. Default: that of `modelInput`, else the size that all have. */
  readonly size?: ImageSize | undefined;
  /** How they get it: `crop` takes the middle, `stretch` changes the shape, `pad` leaves black edges. Default: crop. */
  readonly resize?: ResizeMode | undefined;
  /** The share of each class that becomes test images, where the folder has none. Default: 0.2. */
  readonly testShare?: number | undefined;
  /** Chooses those images, and the order of all. Default: 0. */
  readonly splitSeed?: number | undefined;
  /** What becomes of an image that cannot be read. Default: refuse. */
  readonly damaged?: "refuse" | "skip" | undefined;
  /** Images to decode of each split, the first in its order. Default: all. */
  readonly limits?: { readonly train?: number | undefined; readonly test?: number | undefined } | undefined;
  /** The images that the network takes that the data set is for, where a file says so. */
  readonly modelInput?: (() => Promise<ModelInput | undefined>) | undefined;
  /** Hears how many images of how many were decoded. */
  readonly onDecoded?: ((done: number, total: number) => void) | undefined;
  /** Ends the call, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What became of the files of images. */
export interface ImageFacts {
  /** How images got their size. */
  readonly resize: ResizeMode;
  /** Images that a folder has in all. */
  readonly found: { readonly train: number; readonly test: number };
  /** Images that could not be read and were left out, and the first ten of them. */
  readonly skipped: { readonly count: number; readonly files: readonly string[] };
  /** Test images whose file has the content of a training image's, and the first such pair. */
  readonly copies: { readonly count: number; readonly first?: readonly [test: string, train: string] };
}

/** A line on images that were left out; undefined if none was. */
export function describeSkipped(count: number, files: readonly string[]): string | undefined {
  if (count === 0) return undefined;
  const some = files.slice(0, 10).join(", ") + (count > 10 ? ", ..." : "");
  return `${count} damaged ${count === 1 ? "image is" : "images are"} left out: ${some}`;
}

/** Files, and the digest of each one's content. */
interface SeenFiles {
  readonly paths: readonly string[];
  readonly digests: readonly string[];
}

/** Test images that are training images, by the content of their files. */
export function findCopies(train: SeenFiles, test: SeenFiles): ImageFacts["copies"] {
  const seen = new Map(train.paths.map((path, i) => [train.digests[i], path]));
  const copies = test.paths.flatMap((path, i) => {
    const twin = seen.get(test.digests[i]);
    return twin === undefined ? [] : [[path, twin] as const];
  });
  return { count: copies.length, ...(copies.length > 0 ? { first: copies[0] } : {}) };
}

/** A line on test images that are training images; undefined if none is. */
export function describeCopies({ count, first }: ImageFacts["copies"]): string | undefined {
  if (!first) return undefined;
  const are = count === 1
    ? "1 test image is a copy of a training image"
    : `${count} test images are copies of training images`;
  return `${are}, such as ${first[0]} of ${first[1]}`;
}

const count = z.int().min(0);

/** The schema of {@linkcode ImageFacts}. */
export const imageFactsSchema = z.strictObject({
  resize: z.enum(["crop", "stretch", "pad"]),
  found: z.strictObject({ train: count, test: count }),
  skipped: z.strictObject({ count, files: z.array(z.string()) }),
  copies: z.strictObject({ count, first: z.tuple([z.string(), z.string()]).exactOptional() }),
});

/** Reads a size as flags give it, `SIDE` or `WIDTHxHEIGHT`; undefined for what is none. */
export function parseImageSize(text: string): ImageSize | undefined {
  const [, first, second = first] = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text) ?? [];
  return first === undefined ? undefined : { width: Number(first), height: Number(second) };
}
