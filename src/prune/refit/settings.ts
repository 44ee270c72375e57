/**
 * The settings of a refit, its examples and its positions.
 *
 * @module
 */
import { epochBatches } from "../../data/batches.ts";
import { anyCount, checkNumbers, checkWords, positiveCount, seedRule } from "../../checks.ts";
import { type Augmentation, augmentations } from "../../plan/images.ts";
import { openRandomStream } from "../../random.ts";
import type { RefittableLayer } from "./refittable_layers.ts";

/** The settings of a refit. Defaults: `refitDefaults`. */
export interface RefitSettings {
  /** Number of examples, chosen by the seed; all if there are fewer. */
  readonly images: number;
  /** Number of output positions of each layer per example; all if there are fewer. */
  readonly positions: number;
  /** Examples per batch. */
  readonly batch: number;
  /** The pull towards the dense weights, as a share of the mean variance of a layer's inputs. */
  readonly damping: number;
  /** The seed of examples and positions. */
  readonly seed: number;
  /**
   * Steps in which a layer chooses its own weights to remove, as many as the mask removes. 0 takes the mask as it is,
   * as channels and N:M patterns need.
   */
  readonly selectionSteps: number;
  /**
   * Maximum bytes of the batches' activations. If they need more, every layer's pass begins at the images. Beyond layers
   * also the maximum for what the dense network computes for all examples, which it then computes once, if no
   * augmentation changes them.
   */
  readonly memoryBytes: number;
  /**
   * What is fitted: the outputs of each layer on its own (`layers`); and then, by training without labels, those of parts
   * of the network one after the other (`blocks`), or of all parts and the logits at once (`end-to-end`). A part ends with
   * the last map of a size that all paths go through.
   */
  readonly by: "layers" | "blocks" | "end-to-end";
  /** Beyond layers: steps of training, of each part with `blocks`; rounded up to whole passes over all examples. */
  readonly steps: number;
  /** Beyond layers: the learning rate of Adam, which falls to zero along half a cosine. */
  readonly learningRate: number;
  /** Beyond layers: the augmentation of images. */
  readonly augmentation: Augmentation;
}

/** The default settings of a refit. */
export const refitDefaults: RefitSettings = {
  images: 1000,
  positions: 64,
  batch: 100,
  damping: 3e-3,
  seed: 0,
  selectionSteps: 0,
  memoryBytes: 2 ** 30,
  by: "layers",
  steps: 300,
  learningRate: 3e-3,
  augmentation: "none",
};

/** The refit of one layer. */
export interface LayerRefitReport {
  /** The layer's name. */
  readonly name: string;
  /** Kept weights of each output channel. */
  readonly kept: readonly number[];
  /**
   * Output channels whose systems were singular in f32, so they were pulled more strongly towards the dense weights.
   */
  readonly raised: number;
  /**
   * What absorbed the change of the outputs' means; `none` if the layer has neither a bias nor a batch norm of its
   * own.
   */
  readonly shifted: "bias" | "running mean" | "none";
}

/**
 * Fills in the defaults.
 *
 * @throws {ConfigError} If a number is not possible.
 */
export function fillRefitSettings(given: Partial<RefitSettings>): RefitSettings {
  const settings: RefitSettings = { ...refitDefaults, ...given };
  const { images, positions, batch, damping, seed, selectionSteps, memoryBytes } = settings;
  const act = "refit weights with";
  checkWords(act, {
    by: [settings.by, ["layers", "blocks", "end-to-end"]],
    augmentation: [settings.augmentation, augmentations],
  });
  checkNumbers(act, {
    images: [images, positiveCount],
    positions: [positions, positiveCount],
    batch: [batch, positiveCount],
    damping: [damping, { atLeast: 0 }],
    seed: [seed, seedRule],
    selectionSteps: [selectionSteps, anyCount],
    memoryBytes: [memoryBytes, { atLeast: 0 }],
    steps: [settings.steps, positiveCount],
    learningRate: [settings.learningRate, { above: 0 }],
  });
  return settings;
}

/** The sampled rows of a split, batch by batch: as many as asked, or all, chosen by the seed. */
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
 * Output positions of a layer for each batch, (n height + y) width + x: so many different ones per example, or all,
 * chosen by the seed and the layer's index.
 */
export function samplePositions(
  { geometry: { outSize: [height, width] } }: RefittableLayer,
  { layer, rows, positions, seed }: {
    /** Its index among the refitted layers. */
    readonly layer: number;
    readonly rows: readonly Uint32Array[];
    readonly positions: number;
    readonly seed: number;
  },
): readonly Uint32Array[] {
  const area = height * width, each = Math.min(positions, area);
  const stream = openRandomStream(seed, `positions of layer ${layer}`);
  const indices = Uint32Array.from({ length: area }, (_, i) => i);
  return rows.map(({ length }) => {
    const sampled = new Uint32Array(length * each);
    for (let image = 0; image < length; image++) {
      // The first steps of a shuffle; the order of the previous image is a valid start.
      for (let i = 0; each < area && i < each; i++) {
        const j = i + Math.floor(stream.nextUniform() * (area - i)), held = indices[i];
        indices[i] = indices[j];
        indices[j] = held;
      }
      for (let i = 0; i < each; i++) sampled[image * each + i] = image * area + indices[i];
    }
    return sampled;
  });
}
