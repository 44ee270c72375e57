/**
 * How a network is refitted, and on which examples and positions.
 *
 * @module
 */
import { epochBatches } from "../../data/batches.ts";
import { anyCount, checkNumbers, positiveCount, seedRule } from "../../checks.ts";
import { openRandomStream } from "../../random.ts";
import type { RefittableLayer } from "./refittable_layers.ts";

/** On what and how weights are refitted; what is left out is as in `refitDefaults`. */
export interface RefitSettings {
  /** Examples that are taken, chosen by the seed; all where there are fewer. */
  readonly images: number;
  /** Output positions of each layer that are taken from an example; all where there are fewer. */
  readonly positions: number;
  /** Examples that run together. */
  readonly batch: number;
  /** The pull towards the dense weights, as a share of the mean variance of a layer's inputs. */
  readonly damping: number;
  /** Chooses examples and positions. */
  readonly seed: number;
  /**
   * Steps in which a layer chooses which of its weights go, as many as the mask removes; 0 takes the mask as it is, which
   * patterns such as whole channels or N:M need.
   */
  readonly selectionSteps: number;
  /** Bytes that the batches' activations may take; beyond them every layer's pass begins at the images. */
  readonly memoryBytes: number;
  /** Called before the first layer of each refit, and after each, with how many are done, of how many. */
  readonly onLayer?: (done: number, layers: number) => void;
}

/** Refit unless told otherwise. */
export const refitDefaults: RefitSettings = {
  images: 1000,
  positions: 64,
  batch: 100,
  damping: 3e-3,
  seed: 0,
  selectionSteps: 0,
  memoryBytes: 2 ** 30,
};

/** Steps in which layers choose their own weights; six lose no less on validation images. */
export const usualSelectionSteps = 3;

/** What a refit did to one layer. */
export interface LayerRefitReport {
  /** The layer's name. */
  readonly name: string;
  /** Kept weights of each output channel. */
  readonly kept: readonly number[];
  /** Output channels whose systems were singular in f32, so that they were pulled more towards the dense weights. */
  readonly raised: number;
  /** What took the change of the outputs' means; `none` where there is neither a bias nor a batch norm of its own. */
  readonly shifted: "bias" | "running mean" | "none";
}

/**
 * Fills in what is left out.
 *
 * @throws {ConfigError} If a number is not possible.
 */
export function fillRefitSettings(given: Partial<RefitSettings>): RefitSettings {
  const settings: RefitSettings = { ...refitDefaults, ...given };
  const { images, positions, batch, damping, seed, selectionSteps, memoryBytes } = settings;
  checkNumbers("refit weights with", {
    images: [images, positiveCount],
    positions: [positions, positiveCount],
    batch: [batch, positiveCount],
    damping: [damping, { atLeast: 0 }],
    seed: [seed, seedRule],
    selectionSteps: [selectionSteps, anyCount],
    memoryBytes: [memoryBytes, { atLeast: 0 }],
  });
  return settings;
}

/** The rows of a split that are taken, batch by batch: as many as wanted, or all, chosen by the seed. */
export function sampleRows(
  { count, images, batch, seed }: {
    readonly count: number;
    readonly images: number;
    readonly batch: number;
    readonly seed: number;
  },
): readonly Uint32Array[] {
  const [rows] = epochBatches({ count, batch: count, seed, epoch: 0, shuffle: true, dropLast: false });
  const taken = Math.min(images, count);
  const starts = Array.from({ length: Math.ceil(taken / batch) }, (_, i) => i * batch);
  return starts.map((start) => rows.subarray(start, Math.min(start + batch, taken)));
}

/**
 * Output positions of a layer for each batch, (n height + y) width + x: so many different ones an example, or all where
 * there are not more, chosen by the seed and which layer it is.
 */
export function samplePositions(
  { geometry: { outSize: [height, width] } }: RefittableLayer,
  { layer, rows, positions, seed }: {
    /** Its place among the layers that are refitted. */
    readonly layer: number;
    readonly rows: readonly Uint32Array[];
    readonly positions: number;
    readonly seed: number;
  },
): readonly Uint32Array[] {
  const area = height * width, each = Math.min(positions, area);
  const stream = openRandomStream(seed, `positions of layer ${layer}`);
  const places = Uint32Array.from({ length: area }, (_, i) => i);
  return rows.map(({ length }) => {
    const sampled = new Uint32Array(length * each);
    for (let image = 0; image < length; image++) {
      // The first steps of a shuffle, whatever order the image before left.
      for (let i = 0; each < area && i < each; i++) {
        const j = i + Math.floor(stream.nextUniform() * (area - i)), held = places[i];
        places[i] = places[j];
        places[j] = held;
      }
      for (let i = 0; i < each; i++) sampled[image * each + i] = image * area + places[i];
    }
    return sampled;
  });
}
