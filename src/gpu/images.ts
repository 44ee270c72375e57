/**
 * A split of a data set on the device: all of it as bytes where it fits, else a batch at a time.
 *
 * @module
 */
import type { Dataset, ImageSplit } from "../data/dataset.ts";
import { quadsOf } from "../shape.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import { maxBufferBytesOf } from "./fitting.ts";
import { type Examples, type PassOptions, residentBatches } from "./examples.ts";

/** The largest split that any device keeps whole, in bytes. */
const residentLimitBytes = 2 ** 30;

/** The buffers of a plan that makes batches out of images. */
export type ImageBuffer = "images" | "classes" | "rows" | "normalization";

/** The largest split that is kept on a device whole, in bytes. */
export function maxResidentBytesOf(gpu: Gpu): number {
  return Math.min(residentLimitBytes, maxBufferBytesOf(gpu));
}

/** Makes the buffers for so many images at a time, with the normalisation written. */
export function createImageBuffers(
  gpu: Gpu,
  { channels, height, width, mean, std }: ImageTask,
  { held, rows }: { readonly held: number; readonly rows: number },
): Readonly<Record<ImageBuffer, DeviceBuffer>> {
  const imageBytes = channels * height * width, inverse = 4 * quadsOf(channels);
  const buffers = {
    images: gpu.createBuffer("images", 4 * quadsOf(held * imageBytes)),
    classes: gpu.createBuffer("classes", 4 * held),
    rows: gpu.createBuffer("rows", 4 * rows),
    normalization: gpu.createBuffer("normalization", 8 * inverse),
  };
  const normalization = new Float32Array(2 * inverse);
  for (let c = 0; c < channels; c++) {
    normalization[c] = mean[c];
    normalization[inverse + c] = 1 / std[c];
  }
  buffers.normalization.write(normalization);
  return buffers;
}

/** What making batches needs to know of a data set. */
export type ImageTask = Pick<Dataset, "channels" | "height" | "width" | "mean" | "std">;

/** Images and labels of a split, from which batches are made on the device. */
export class DeviceImages implements Examples {
  readonly areImages = true;
  /** Examples in the split. */
  readonly count: number;
  /** The most rows of a batch. */
  readonly batch: number;
  /** The most rows that `select` takes: all where the split is resident. */
  readonly maxRows: number;
  readonly isResident: boolean;
  readonly #split: ImageSplit;
  readonly #exampleBytes: number;
  readonly #buffers: Readonly<Record<ImageBuffer, DeviceBuffer>>;

  /**
   * Uploads a split of a data set for batches of `batch` rows, and now and then of up to `maxRows`; or of as many as the
   * device holds in one buffer.
   */
  constructor(gpu: Gpu, split: ImageSplit, {
    dataset,
    batch,
    maxRows = batch,
    maxResidentBytes = Infinity,
  }: {
    readonly dataset: ImageTask;
    readonly batch: number;
    readonly maxRows?: number;
    /** The largest split that is kept on the device whole, in bytes, where the device holds it. */
    readonly maxResidentBytes?: number;
  }) {
    this.count = split.count;
    this.#split = split;
    this.#exampleBytes = dataset.channels * dataset.height * dataset.width;
    const totalBytes = split.count * this.#exampleBytes;
    this.isResident = totalBytes <= Math.min(maxResidentBytes, maxResidentBytesOf(gpu));
    const fitting = Math.max(1, Math.floor(maxBufferBytesOf(gpu) / this.#exampleBytes));
    const held = this.isResident ? split.count : Math.min(maxRows, fitting);
    this.batch = this.isResident ? batch : Math.min(batch, held);
    this.maxRows = held;
    this.#buffers = createImageBuffers(gpu, dataset, { held, rows: held });
    if (this.isResident) this.#upload(split.images.subarray(0, totalBytes), split.labels.subarray(0, held));
    else this.#buffers.rows.write(Uint32Array.from({ length: held }, (_, i) => i));
  }

  batches(pass: PassOptions): Iterable<Uint32Array> {
    return residentBatches(this.count, pass);
  }

  /** Chooses the examples of the next batch; rows of the step beyond them keep what was there. */
  select(rows: Uint32Array): void {
    if (this.isResident) {
      this.#buffers.rows.write(rows);
      return;
    }
    const size = this.#exampleBytes, { images, labels } = this.#split;
    const bytes = new Uint8Array(rows.length * size);
    for (const [i, row] of rows.entries()) {
      bytes.set(images.subarray(row * size, (row + 1) * size), i * size);
    }
    this.#upload(bytes, Uint32Array.from(rows, (row) => labels[row]));
  }

  /** The buffer behind a name in a plan's bindings, or undefined if the name is not of this split. */
  input(name: string): DeviceBuffer | undefined {
    return Object.hasOwn(this.#buffers, name) ? this.#buffers[name as ImageBuffer] : undefined;
  }

  #upload(bytes: Uint8Array, labels: Iterable<number>): void {
    // Writes are whole words, which the last image may not fill.
    const words = bytes.length % 4 === 0 ? bytes : new Uint8Array(4 * quadsOf(bytes.length));
    if (words !== bytes) words.set(bytes);
    this.#buffers.images.write(words);
    this.#buffers.classes.write(Uint32Array.from(labels));
  }

  [Symbol.dispose](): void {
    for (const buffer of Object.values(this.#buffers)) buffer[Symbol.dispose]();
  }
}
