/**
 * The splits that a model has met, on its device or streamed to it.
 *
 * @module
 */
import { isStreamed, type Split } from "../data/dataset.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Examples } from "../gpu/examples.ts";
import { DeviceImages } from "../gpu/images.ts";
import { StreamedImages } from "../gpu/stream.ts";
import { evaluationBatch, type ModelTask } from "./model_options.ts";

/** A split as steps take batches of it. */
export type SplitOnDevice = Examples & Disposable & { readonly mostRows: number };

/** Uploads a split when it is first needed, and keeps it. Dispose of it to free them all. */
export class SplitImages {
  readonly #gpu: Gpu;
  readonly #task: ModelTask;
  readonly #held = new Map<Split, readonly SplitOnDevice[]>();

  constructor(gpu: Gpu, task: ModelTask) {
    this.#gpu = gpu;
    this.#task = task;
  }

  /** Returns a split for batches of as many rows as wanted. */
  of(split: Split, rows = evaluationBatch): SplitOnDevice {
    const held = this.#held.get(split) ?? [];
    const fitting = held.find(({ mostRows }) => mostRows >= Math.min(rows, split.count));
    if (fitting) return fitting;
    const mostRows = Math.max(rows, evaluationBatch);
    const options = { dataset: this.#task, batch: evaluationBatch, mostRows };
    const images = isStreamed(split)
      ? new StreamedImages(this.#gpu, split, options)
      : new DeviceImages(this.#gpu, split, options);
    this.#held.set(split, [...held, images]);
    return images;
  }

  [Symbol.dispose](): void {
    for (const images of [...this.#held.values()].flat()) images[Symbol.dispose]();
    this.#held.clear();
  }
}
