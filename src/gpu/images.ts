/**
 * A split of a data set on the device: all of it as bytes if it fits, otherwise one batch at a time.
 *
 * @module
 */
import type { Dataset, ImageSplit } from "../data/dataset.ts";
import { countQuads } from "../shape.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import { getMaxBufferBytes } from "./fitting.ts";
import { type Examples, type PassOptions, residentBatches } from "./examples.ts";

/** The largest split that any device keeps whole, in bytes. */
const residentLimitBytes = 2 ** 30;

/** The inputs of a plan that makes batches from images. */
export type ImageBuffer = "images" | "classes" | "rows" | "normalization";

/** The largest split that is kept on a device whole, in bytes. */
export function getMaxResidentBytes(gpu: Gpu): number {
  return Math.min(residentLimitBytes, getMaxBufferBytes(gpu));
}

/** Creates the buffers for so many images at a time, and writes the normalisation. */
export function createImageBuffers(
  gpu: Gpu,
  { channels, height, width, mean, std }: ImageTask,
  { held, rows }: { readonly held: number; readonly rows: number },
): Readonly<Record<ImageBuffer, DeviceBuffer>> {
  const imageBytes = channels * height * width, inverse = 4 * countQuads(channels);
  const buffers = {
    images: gpu.createBuffer("images", 4 * countQuads(held * imageBytes)),
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

/** The facts about a data set that making batches needs. */
export type ImageTask = Pick<Dataset, "channels" | "height" | "width" | "mean" | "std">;

/** Images and labels of a split, from which batches are made on the device. */
export class DeviceImages implements Examples {
  readonly areImages = true;
  /** Examples in the split. */
  readonly count: number;
  /** Maximum rows of a batch. */
  readonly batch: number;
  /** Maximum rows of a `select`: all if the split is resident. */
  readonly maxRows: number;
  readonly isResident: boolean;
  readonly #split: ImageSplit;
  readonly #exampleBytes: number;
  readonly #buffers: Readonly<Record<ImageBuffer, DeviceBuffer>>;

  /**
   * Uploads a split of a data set for batches of `batch` rows, and sometimes of up to `maxRows`, or as many as fit in
   * one buffer.
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
    /** Maximum size of a split that is kept whole on the device, in bytes, if the device can hold it. */
    readonly maxResidentBytes?: number;
  }) {
    this.count = split.count;
    this.#split = split;
    this.#exampleBytes = dataset.channels * dataset.height * dataset.width;
    const totalBytes = split.count * this.#exampleBytes;
    this.isResident = totalBytes <= Math.min(maxResidentBytes, getMaxResidentBytes(gpu));
    const fitting = Math.max(1, Math.floor(getMaxBufferBytes(gpu) / this.#exampleBytes));
    const held = this.isResident ? split.count : Math.min(maxRows, fitting);
    this.batch = this.isResident ? batch : Math.min(batch, held);
    this.maxRows = held;
    this.#buffers = createImageBuffers(gpu, dataset, { held, rows: held });
    if (this.isResident) this.#upload(split.pixels.subarray(0, totalBytes), split.labels.subarray(0, held));
    else this.#buffers.rows.write(Uint32Array.from({ length: held }, (_, i) => i));
  }

  batches(pass: PassOptions): Iterable<Uint32Array> {
    return residentBatches(this.count, pass);
  }

  /** Selects the examples of the next batch. Further rows of the step keep their previous examples. */
  select(rows: Uint32Array): void {
    if (this.isResident) {
      this.#buffers.rows.write(rows);
      return;
    }
    const size = this.#exampleBytes, { pixels: images, labels } = this.#split;
    const bytes = new Uint8Array(rows.length * size);
    for (const [i, row] of rows.entries()) {
      bytes.set(images.subarray(row * size, (row + 1) * size), i * size);
    }
    this.#upload(bytes, Uint32Array.from(rows, (row) => labels[row]));
  }

  /** The buffer behind an input of the plan; undefined if this split has no such input. */
  input(name: string): DeviceBuffer | undefined {
    return Object.hasOwn(this.#buffers, name) ? this.#buffers[name as ImageBuffer] : undefined;
  }

  #upload(bytes: Uint8Array, labels: Iterable<number>): void {
    // Writes are whole words; the last image may not fill one.
    const words = bytes.length % 4 === 0 ? bytes : new Uint8Array(4 * countQuads(bytes.length));
    if (words !== bytes) words.set(bytes);
    this.#buffers.images.write(words);
    this.#buffers.classes.write(Uint32Array.from(labels));
  }

  [Symbol.dispose](): void {
    for (const buffer of Object.values(this.#buffers)) buffer[Symbol.dispose]();
  }
}
