/**
 * Images and labels in IDX files, the format of MNIST: a big-endian magic number 0x0000TTDD (type TT, 08 for bytes; DD
 * dimensions), one 32-bit size per dimension, then the bytes, last dimension fastest. Source: Y. LeCun,
 * http://yann.lecun.com/exdb/mnist/, "The IDX file format".
 *
 * @module
 */

import { FileError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { imageBounds } from "../shape.ts";
import { type Dataset, describeDataset, type ImageSplit } from "./dataset.ts";
import { checkDistinctFiles } from "./distinct_files.ts";
import { checkDistinctImages } from "./distinct_images.ts";
import { gunzip } from "./gunzip.ts";

/** An IDX file of bytes. */
export interface IdxArray {
  /** Size of each dimension, none of them zero. */
  readonly shape: readonly number[];
  /** The elements, last dimension fastest; a view of the file's bytes. */
  readonly values: Uint8Array<ArrayBuffer>;
}

/** The dimensions that a file may have: 1 for labels (N), 3 or 4 for images (N, H, W) or (N, C, H, W). */
export type IdxRank = 1 | 3 | 4;

const LABEL_RANKS: readonly IdxRank[] = [1], IMAGE_RANKS: readonly IdxRank[] = [3, 4];
const MAX_BYTES = 2 ** 31;

/** True for a name that `readIdx` looks for, such as `train-images-idx3-ubyte` or `t10k-labels.idx1-ubyte.gz`. */
export function isIdxName(name: string): boolean {
  return /^(train|t10k)-(images[.-]idx[34]|labels[.-]idx1)-ubyte(\.gz)?$/.test(name);
}

/**
 * Reads the training and test images of a folder: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
 * `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, also with `.idx` for `-idx`, with `idx4` for images
 * (N, C, H, W), and with `.gz`. The classes are the digits from 0 to the largest label of both splits.
 *
 * @param options.name the data set's name. Default: `idx`.
 * @param options.source its origin in reports. Default: the folder.
 * @throws {FileError} If one of the four is absent.
 * @throws {FormatError} If a file is not IDX, is truncated or too long, the four do not fit together, or test images
 *   are training images.
 */
export async function readIdx(
  { files, folder, name = "idx", source = folder }: {
    files: Files;
    folder: string;
    name?: string;
    source?: string;
  },
): Promise<Dataset> {
  const train = await readIdxSplit(files, folder, "train");
  const test = await readIdxSplit(files, folder, "t10k");
  await checkDistinctFiles(files, { training: [train.path], test: [test.path] });
  const [channels, height, width] = train.imageShape;
  if (test.imageShape.join() !== train.imageShape.join()) {
    throw new FormatError({
      act: "read",
      thing: test.path,
      current: `images (C, H, W) = (${test.imageShape.join(", ")}) in the sizes at byte 8`,
      wanted: `(${train.imageShape.join(", ")}) as in ${train.path}`,
    });
  }
  let largest = 0;
  for (const { labels } of [train, test]) for (const label of labels) largest = Math.max(largest, label);
  if (largest === 0) {
    const current = "every label from byte 8 on is 0, in both splits";
    throw new FormatError({ act: "read", thing: folder, current, wanted: "labels of at least 2 classes" });
  }
  checkDistinctImages({ train, test }, test.path);
  const classes = Array.from({ length: largest + 1 }, (_, label) => `${label}`);
  return describeDataset({ name, source, channels, height, width, classes, train, test });
}

/** Images without labels. */
export interface IdxImages {
  /** Pixels 0 to 255, (N, C, H, W). */
  readonly images: Uint8Array;
  /** N. */
  readonly count: number;
  /** C, H and W. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
}

/**
 * Reads one IDX file of images (N, H, W) or (N, C, H, W), with any name. A file whose name ends in `.gz` is
 * decompressed.
 *
 * @throws {FileError} If it cannot be read.
 * @throws {FormatError} If it is not IDX, not of images, truncated or too long.
 */
export async function readIdxImages(files: Files, path: string): Promise<IdxImages> {
  const { values: images, shape } = await readIdxPath(files, path, IMAGE_RANKS);
  return { images, count: shape[0], imageShape: readImageShape(shape) };
}

/** (C, H, W) of images (N, H, W) or (N, C, H, W). */
function readImageShape(shape: readonly number[]): readonly [number, number, number] {
  const [channels, height, width] = shape.length === 3 ? [1, ...shape.slice(1)] : shape.slice(1);
  return [channels, height, width];
}

async function readIdxSplit(
  files: Files,
  folder: string,
  use: "train" | "t10k",
): Promise<ImageSplit & { path: string; imageShape: readonly [number, number, number] }> {
  const images = await readIdxFile(files, folder, { stem: `${use}-images`, ranks: IMAGE_RANKS });
  const labels = await readIdxFile(files, folder, { stem: `${use}-labels`, ranks: LABEL_RANKS });
  const [count] = images.shape;
  if (labels.shape[0] !== count) {
    throw new FormatError({
      act: "read",
      thing: labels.path,
      current: `${labels.shape[0]} labels by the size at byte 4`,
      wanted: `${count}, a label for each image of ${images.path}`,
    });
  }
  return {
    pixels: images.values,
    labels: labels.values,
    count,
    path: images.path,
    imageShape: readImageShape(images.shape),
  };
}

async function readIdxFile(
  files: Files,
  folder: string,
  { stem, ranks }: { stem: string; ranks: readonly IdxRank[] },
): Promise<IdxArray & { path: string }> {
  const names = await files.list(folder) ?? [];
  const candidates = ranks.flatMap((rank) => [`${stem}-idx${rank}-ubyte`, `${stem}.idx${rank}-ubyte`])
    .flatMap((name) => [name, `${name}.gz`]);
  const found = candidates.find((name) => names.includes(name));
  if (found === undefined) {
    const current = `there is no ${candidates[0]}`;
    throw new FileError({
      act: "read IDX files from",
      thing: folder,
      current,
      wanted: candidates.join(", "),
    });
  }
  return await readIdxPath(files, `${folder}/${found}`, ranks);
}

async function readIdxPath(
  files: Files,
  path: string,
  ranks: readonly IdxRank[],
): Promise<IdxArray & { path: string }> {
  const sizeBytes = await files.sizeBytes(path) ?? 0;
  if (sizeBytes > MAX_BYTES) {
    const current = `${sizeBytes} bytes`;
    throw new FormatError({ act: "read", thing: path, current, wanted: `at most ${MAX_BYTES} bytes` });
  }
  let bytes = await files.read(path);
  if (path.endsWith(".gz")) {
    // The header gives the size of the output, so a second pass never decompresses more.
    const head = await gunzip(bytes, { name: path, maxBytes: 4 + 4 * 4 });
    const { headerBytes, elements } = parseHeader(head, { name: path, ranks });
    bytes = await gunzip(bytes, { name: path, maxBytes: headerBytes + elements + 1 });
  }
  return { ...parseIdx(bytes, { name: path, ranks }), path };
}

/**
 * Parses one IDX file of bytes with one of the given numbers of dimensions.
 *
 * @throws {FormatError} If the magic number, a dimension or the length is wrong.
 */
export function parseIdx(
  bytes: Uint8Array<ArrayBuffer>,
  { name, ranks }: { name: string; ranks: readonly IdxRank[] },
): IdxArray {
  const { shape, headerBytes, elements } = parseHeader(bytes, { name, ranks });
  const wanted = `${headerBytes + elements} bytes, a header and (${shape.join(", ")}) elements`;
  if (bytes.length < headerBytes + elements) {
    const current = `truncated, it ends at byte ${bytes.length}`;
    throw new FormatError({ act: "read", thing: name, current, wanted });
  }
  if (bytes.length > headerBytes + elements) {
    const current = `bytes are left over from byte ${headerBytes + elements} on`;
    throw new FormatError({ act: "read", thing: name, current, wanted });
  }
  return { shape, values: bytes.subarray(headerBytes) };
}

function parseHeader(bytes: Uint8Array, { name, ranks }: { name: string; ranks: readonly IdxRank[] }) {
  const complain = (current: string, wanted: string) =>
    new FormatError({ act: "read", thing: name, current, wanted });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hex = (value: number) => `0x${value.toString(16).padStart(8, "0")}`;
  const magics = ranks.map((rank) => hex(0x800 + rank)).join(" or ");
  if (bytes.length < 4) {
    throw complain(`truncated, it ends at byte ${bytes.length}`, `magic ${magics} at byte 0`);
  }
  const rank = ranks.find((rank) => view.getUint32(0) === 0x800 + rank);
  if (rank === undefined) throw complain(`magic ${hex(view.getUint32(0))} at byte 0`, magics);
  const headerBytes = 4 + 4 * rank;
  if (bytes.length < headerBytes) {
    throw complain(`truncated, it ends at byte ${bytes.length}`, `${rank} sizes up to byte ${headerBytes}`);
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const zero = shape.indexOf(0);
  if (zero >= 0) throw complain(`dimension ${zero} is 0 at byte ${4 + 4 * zero}`, "at least 1");
  // (N), (N, H, W) or (N, C, H, W).
  const bounds = [2 ** 32, ...(rank === 4 ? [imageBounds.channels] : []), imageBounds.side, imageBounds.side];
  const large = shape.findIndex((size, i) => size > bounds[i]);
  if (large >= 0) {
    throw complain(
      `dimension ${large} is ${shape[large]} at byte ${4 + 4 * large}`,
      `at most ${bounds[large]}`,
    );
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements > MAX_BYTES) {
    throw complain(
      `sizes (${shape.join(", ")}) at byte 4, ${elements} elements`,
      `at most ${MAX_BYTES} elements`,
    );
  }
  return { shape, headerBytes, elements };
}
