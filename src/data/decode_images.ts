/**
 * Decodes listed images, many at a time, in their order.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { DamagedFile, ImageDecoder } from "./image_decoder.ts";
import type { ListedImage } from "./image_folder.ts";
import { imageFormats } from "./image_header.ts";
import type { ImageSize, ResizeMode } from "./image_resize.ts";
import type { ImageSplit } from "./split.ts";

/** What decodes, and what becomes of what cannot be. */
export interface DecodingTools {
  readonly decoder: ImageDecoder;
  readonly damaged: "refuse" | "skip";
  readonly signal?: AbortSignal | undefined;
}

/** Files whose headers are read by one message to a thread, and the most that are decoded by one. */
const probedAtOnce = 256, decodedAtOnce = 64;

/** The most bytes that a thread decodes to before it answers. */
const bytesAtOnce = 2 ** 22;

/** Cuts images into batches, has some under way at a time, and hears of each in order. */
async function inBatches<Answer>(
  images: readonly ListedImage[],
  { decoder, signal, rows }: Pick<DecodingTools, "decoder" | "signal"> & { readonly rows: number },
  ask: (paths: readonly string[]) => Promise<Answer>,
  hear: (answer: Answer, first: number) => void,
): Promise<void> {
  const pending: { readonly first: number; readonly answer: Promise<Answer> }[] = [];
  // Few images are spread over all threads.
  const step = Math.max(1, Math.min(rows, Math.ceil(images.length / decoder.threads)));
  for (let first = 0; first < images.length || pending.length > 0;) {
    signal?.throwIfAborted();
    while (first < images.length && pending.length < 2 * decoder.threads) {
      const answer = ask(images.slice(first, first + step).map(({ path }) => path));
      // A failure is reported to whoever awaits it, which may be nobody.
      answer.catch(() => {});
      pending.push({ first, answer });
      first += step;
    }
    const { first: at, answer } = pending.shift()!;
    hear(await answer, at);
  }
}

/** Refuses a file that cannot be read. */
function damage(images: readonly ListedImage[], { index, current }: DamagedFile): FormatError {
  const wanted = `${imageFormats}, or --damaged skip to leave it out`;
  return new FormatError({ act: "read image", thing: images[index].path, current, wanted });
}

/** What headers say of some images. */
export interface ProbedSet {
  /** Every size that there is, once. */
  readonly sizes: readonly ImageSize[];
  /** True if none has colours. */
  readonly isGrey: boolean;
}

/**
 * Reads the headers of images.
 *
 * @throws {FormatError} If one is damaged and that is refused.
 */
export async function probeSet(
  images: readonly ListedImage[],
  { decoder, damaged, signal }: DecodingTools,
): Promise<ProbedSet> {
  const found = new Map<string, ImageSize>();
  let isGrey = true;
  await inBatches(
    images,
    { decoder, signal, rows: probedAtOnce },
    (paths) => decoder.probe(paths),
    (answer, first) => {
      const [fault] = answer.damaged;
      if (fault && damaged === "refuse") {
        throw damage(images, { ...fault, index: first + fault.index });
      }
      for (let at = 0; at < answer.sizes.length; at += 3) {
        const [height, width, grey] = answer.sizes.subarray(at, at + 3);
        if (height === 0) continue;
        found.set(`${height} ${width}`, { height, width });
        isGrey &&= grey === 1;
      }
    },
  );
  return { sizes: [...found.values()], isGrey };
}

/** Images that were decoded. */
export interface DecodedSet {
  /** The images that could be read, in their order. */
  readonly split: ImageSplit;
  /** The file of each. */
  readonly paths: readonly string[];
  /** The digest of each file's content. */
  readonly digests: readonly string[];
  /** The files that were left out. */
  readonly skipped: readonly string[];
}

/**
 * Decodes images.
 *
 * @throws {FormatError} If one is damaged and that is refused.
 */
export async function decodeSet(
  images: readonly ListedImage[],
  { decoder, damaged, signal, classes, onDecoded, ...shape }: DecodingTools & ImageSize & {
    readonly channels: 1 | 3;
    readonly resize: ResizeMode;
    /** The number of classes. */
    readonly classes: number;
    readonly onDecoded: (done: number) => void;
  },
): Promise<DecodedSet> {
  const size = shape.channels * shape.height * shape.width;
  const pixels = new Uint8Array(images.length * size);
  const labels = classes <= 256 ? new Uint8Array(images.length) : new Uint16Array(images.length);
  const paths: string[] = [], digests: string[] = [], skipped: string[] = [];
  await inBatches(
    images,
    { decoder, signal, rows: Math.max(1, Math.min(decodedAtOnce, Math.floor(bytesAtOnce / size))) },
    (paths) => decoder.decode({ paths, ...shape }),
    (answer, first) => {
      const faults = new Map(answer.damaged.map((fault) => [fault.index, fault]));
      for (let i = 0; i < answer.digests.length / 3; i++) {
        const { path, label } = images[first + i], fault = faults.get(i);
        if (fault && damaged === "refuse") throw damage(images, { ...fault, index: first + i });
        if (fault) {
          skipped.push(path);
          continue;
        }
        pixels.set(answer.pixels.subarray(i * size, (i + 1) * size), paths.length * size);
        labels[paths.length] = label;
        paths.push(path);
        digests.push(answer.digests.subarray(3 * i, 3 * i + 3).join());
      }
      onDecoded(first + answer.digests.length / 3);
    },
  );
  const count = paths.length;
  const split = { pixels: pixels.subarray(0, count * size), labels: labels.subarray(0, count), count };
  return { split, paths, digests, skipped };
}
