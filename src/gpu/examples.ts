/**
 * The examples of a step: images as bytes (gpu/images.ts), or features as floats (here).
 *
 * @module
 */
import { tensorRef } from "../kernels/buffer_ref.ts";
import { epochBatches, type EpochOptions } from "../data/batches.ts";
import { countQuads } from "../shape.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Bind } from "./bind.ts";

/** The division of a pass over examples into batches. */
export interface PassOptions extends Omit<EpochOptions, "count"> {
  /** Batches come in multiples of this number; a remainder is skipped. Default: 1. */
  readonly perStep?: number;
  /** Steps to skip at the start of the pass, of `perStep` batches each. Default: 0. */
  readonly from?: number;
}

/** The batches of a pass over `count` examples that can be read in any order. */
export function* residentBatches(
  count: number,
  { perStep = 1, from = 0, ...pass }: PassOptions,
): Generator<Uint32Array> {
  const { batch } = pass;
  for (const rows of epochBatches({ ...pass, count, batch: batch * perStep }).slice(from)) {
    for (let i = 0; i < perStep; i++) yield rows.subarray(i * batch, (i + 1) * batch);
  }
}

/** Labelled examples, read in batches. */
export interface Examples {
  readonly count: number;
  /** Maximum rows of a batch. */
  readonly batch: number;
  /** True if the plan makes the batch from images. Otherwise `select` writes it. */
  readonly areImages: boolean;
  /**
   * The batches of a pass over the examples, in order, each as an argument of `select`. Submit a batch's step before
   * asking for the next batch. There is one pass at a time.
   *
   * @throws {ShapeError} If no batch would be left.
   */
  batches(pass: PassOptions): AsyncIterable<Uint32Array> | Iterable<Uint32Array>;
  /** Selects the examples of the next step. `bind` finds the plan's memory. */
  select(rows: Uint32Array, bind: Bind): void;
  /** The buffer behind an input of the plan; undefined if these examples have no such input. */
  input(name: string): DeviceBuffer | undefined;
}

/** Examples with features as floats. The host holds them and uploads one batch at a time. */
export class FeatureExamples implements Examples {
  readonly count: number;
  readonly areImages = false;
  readonly #features: Float32Array;
  readonly #labels: Uint32Array;

  /**
   * @param features The examples in the device's order, (count, H, W, quads of C, 4).
   * @param labels The class of each.
   * @param batch Maximum rows of a batch.
   */
  constructor(features: Float32Array, labels: Uint32Array, readonly batch: number) {
    this.count = labels.length;
    this.#features = features;
    this.#labels = labels;
  }

  batches(pass: PassOptions): Iterable<Uint32Array> {
    return residentBatches(this.count, pass);
  }

  select(rows: Uint32Array, bind: Bind): void {
    const size = this.#features.length / this.count;
    const features = new Float32Array(rows.length * size);
    for (const [i, row] of rows.entries()) {
      features.set(this.#features.subarray(row * size, (row + 1) * size), i * size);
    }
    const labels = new Uint32Array(4 * countQuads(rows.length));
    labels.set(Uint32Array.from(rows, (row) => this.#labels[row]));
    bind(tensorRef("x")).buffer.write(features);
    bind(tensorRef("labels")).buffer.write(labels);
  }

  input(): undefined {
    return undefined;
  }
}
