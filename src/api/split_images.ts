/**
 * Splits on a model's device: uploaded for a call, or kept as long as it is asked for.
 *
 * @module
 */
import { checkSplit, type ImageTask, isStreamed, type Split } from "../data/split.ts";
import { disposedError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Examples } from "../gpu/examples.ts";
import { DeviceImages } from "../gpu/images.ts";
import { StreamedImages } from "../gpu/stream.ts";
import { evaluationBatch } from "../train/evaluate.ts";

/** A split as steps take batches of it, and the rows of a batch that it was uploaded for. */
interface Upload {
  readonly examples: Examples & Disposable & { readonly maxRows: number };
  readonly rows: number;
}

/** A split in use. Dispose of it when it is not: what nobody keeps is freed then. */
export interface OpenSplit extends Disposable {
  readonly examples: Examples;
}

/** A split that is kept, by how many, and what was uploaded of it: for larger batches more than once. */
interface KeptSplit {
  keepers: number;
  readonly uploads: Upload[];
}

/** What a split is opened for. */
export interface SplitUse {
  /** The argument that holds it, for messages. */
  readonly name: string;
  /** Rows of the largest batch; those of evaluation where left out. */
  readonly rows?: number;
}

/** Uploads splits. Dispose of it to free them all. */
export class SplitImages {
  readonly #gpu: Gpu;
  readonly #task: ImageTask;
  readonly #batch: number;
  readonly #kept = new Map<Split, KeptSplit>();
  #isDisposed = false;

  /** @param batch Rows of a batch of evaluation. */
  constructor(gpu: Gpu, task: ImageTask, batch: number = evaluationBatch) {
    this.#gpu = gpu;
    this.#task = task;
    this.#batch = batch;
  }

  /**
   * Keeps a split on the device, from its first use until it is released as often as it was kept.
   *
   * @throws {ShapeError} If it is not what its interface says, or not of the model's images.
   */
  keep(split: Split, name: string): void {
    this.#checkInUse();
    checkSplit(split, name, this.#task);
    const kept = this.#kept.get(split) ?? { keepers: 0, uploads: [] };
    kept.keepers++;
    this.#kept.set(split, kept);
  }

  /** Gives up one keeping of a split, and says whether that was the last. */
  release(split: Split): boolean {
    const kept = this.#kept.get(split);
    if (!kept || --kept.keepers > 0) return false;
    for (const { examples } of kept.uploads) examples[Symbol.dispose]();
    return this.#kept.delete(split);
  }

  /** True for a split that is kept. */
  isKept(split: Split): boolean {
    return this.#kept.has(split);
  }

  /**
   * Opens a split for use; one that is not kept is checked and uploaded anew.
   *
   * @throws {ShapeError} If it is not what its interface says, or not of the model's images.
   */
  open(split: Split, { name, rows = this.#batch }: SplitUse): OpenSplit {
    this.#checkInUse();
    const kept = this.#kept.get(split);
    if (!kept) {
      checkSplit(split, name, this.#task);
      const { examples } = this.#upload(split, rows);
      return { examples, [Symbol.dispose]: () => examples[Symbol.dispose]() };
    }
    // One that was asked for as many rows has as many as the device can hold.
    const serves = ({ examples: { maxRows }, rows: asked }: Upload) =>
      asked >= rows || maxRows >= Math.min(rows, split.count);
    let upload = kept.uploads.find(serves);
    if (!upload) kept.uploads.push(upload = this.#upload(split, rows));
    const { examples } = upload;
    return { examples, [Symbol.dispose]: () => {} };
  }

  #upload(split: Split, asked: number): Upload {
    const rows = Math.max(asked, this.#batch);
    const options = { dataset: this.#task, batch: this.#batch, maxRows: rows };
    const examples = isStreamed(split)
      ? new StreamedImages(this.#gpu, split, options)
      : new DeviceImages(this.#gpu, split, options);
    return { examples, rows };
  }

  #checkInUse(): void {
    if (this.#isDisposed) throw disposedError("model", this.#task.name);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const { examples } of [...this.#kept.values()].flatMap(({ uploads }) => uploads)) {
      examples[Symbol.dispose]();
    }
    this.#kept.clear();
  }
}
