/**
 * How weights are replaced, and what is said of it.
 *
 * @module
 */
import { anyCount, checkNumbers, positiveCount, seedRule } from "../../checks.ts";

/** On what and how weights are replaced; what is left out is as in `replaceDefaults`. */
export interface ReplaceSettings {
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
  /** Called before the first layer of each replacement, and after each, with how many are done, of how many. */
  readonly onLayer?: (done: number, layers: number) => void;
}

/** Replacement unless told otherwise. */
export const replaceDefaults: ReplaceSettings = {
  images: 1000,
  positions: 64,
  batch: 100,
  damping: 3e-3,
  seed: 0,
  selectionSteps: 0,
  memoryBytes: 2 ** 30,
};

/** What a replacement did to one layer. */
export interface LayerReplacement {
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
 * @throws {ConfigError} Where a number is not possible.
 */
export function replaceSettings(given: Partial<ReplaceSettings>): ReplaceSettings {
  const settings: ReplaceSettings = { ...replaceDefaults, ...given };
  const { images, positions, batch, damping, seed, selectionSteps, memoryBytes } = settings;
  checkNumbers("replace weights with", {
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
