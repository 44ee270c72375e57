/**
 * A split of a data set on the device: all of it as bytes where it fits, else a batch at a time.
 *
 * @module
 */
import type { Dataset, ImageSplit } from "../data/dataset.ts";
import { quadsOf } from "../shape.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Examples } from "./examples.ts";
import type { Gpu } from "./device.ts";

/** The largest split that is kept on the device whole unless told otherwise, in bytes. */
const residentLimitBytes = 2 ** 30;

type ImageBuffer = "images" | "classes" | "rows" | "normalization";

/** Images and labels of a split, from which batches are made on the device. */
export class DeviceImages implements Examples {
  readonly areImages = true;
  /** Examples in the split. */
  readonly count: number;
  /** The most rows of a batch. */
  readonly batch: number;
  /** The most rows that `select` takes: all where the split is resident. */
  readonly mostRows: number;
  readonly isResident: boolean;
  readonly #split: ImageSplit;
  readonly #exampleBytes: number;
  readonly #buffers: Readonly<Record<ImageBuffer, DeviceBuffer>>;

  /** Uploads a split of a data set for batches of `batch` rows, and now and then of up to `mostRows`. */
  constructor(gpu: Gpu, split: ImageSplit, {
    dataset,
    batch,
    mostRows = batch,
    mostResidentBytes = residentLimitBytes,
  }: {
    readonly dataset: Pick<Dataset, "channels" | "height" | "width" | "mean" | "std">;
    readonly batch: number;
    readonly mostRows?: number;
    /** The largest split that is kept on the device whole, in bytes. */
    readonly mostResidentBytes?: number;
  }) {
    const { channels, height, width, mean, std } = dataset;
    this.count = split.count;
    this.batch = batch;
    this.#split = split;
    this.#exampleBytes = channels * height * width;
    const totalBytes = split.count * this.#exampleBytes;
    const { maxStorageBufferBindingSize } = gpu.device.limits;
    this.isResident = totalBytes <= Math.min(mostResidentBytes, maxStorageBufferBindingSize);
    const held = this.isResident ? split.count : mostRows;
    this.mostRows = held;
    this.#buffers = {
      images: gpu.createBuffer("images", held * this.#exampleBytes),
      classes: gpu.createBuffer("classes", 4 * held),
      rows: gpu.createBuffer("rows", 4 * held),
      normalization: gpu.createBuffer("normalization", 32 * quadsOf(channels)),
    };
    const inverse = 4 * quadsOf(channels), normalization = new Float32Array(2 * inverse);
    for (let c = 0; c < channels; c++) {
      normalization[c] = mean[c];
      normalization[inverse + c] = 1 / std[c];
    }
    this.#buffers.normalization.write(normalization);
    if (this.isResident) this.#upload(split.images.subarray(0, totalBytes), split.labels.subarray(0, held));
    else this.#buffers.rows.write(Uint32Array.from({ length: held }, (_, i) => i));
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
    this.#upload(bytes, Uint8Array.from(rows, (row) => labels[row]));
  }

  /** The buffer behind a name in a plan's bindings, or undefined where the name is not of this split. */
  resolve(name: string): DeviceBuffer | undefined {
    return Object.hasOwn(this.#buffers, name) ? this.#buffers[name as ImageBuffer] : undefined;
  }

  #upload(bytes: Uint8Array, labels: Uint8Array): void {
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
