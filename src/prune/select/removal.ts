/**
 * The options of a removal: units, layers, and limits per layer.
 *
 * @module
 */
import { checkWords, describeValue, isNumberAs } from "../../checks.ts";
import { largestPattern } from "../../config/prune.ts";
import { ConfigError } from "../../errors.ts";
import { describeAlternatives } from "../../nearest.ts";
import { getLayerName, type ParameterLayout } from "../../plan/layout.ts";
import type { Measure } from "../cost.ts";
import { prunableTensors } from "../score/criteria.ts";

/**
 * Blocks of a weight's rows (output channels) and columns: input channels at one tap of a convolution, input features
 * of a linear layer in PyTorch's order, after a flatten too. Blocks are smaller at the edges.
 */
export interface BlockShape {
  /** Neighbouring rows of a block, at least 1. */
  readonly rows: number;
  /** Neighbouring columns of a block, at least 1. */
  readonly channels: number;
}

/**
 * The unit of removal: a weight; a filter (all weights of an output channel or unit, except the network's outputs); a
 * coupled group of channels, including biases and batch norm, so that the model can be compacted; or a block.
 */
export type Granularity = "element" | "filter" | "channel" | BlockShape;

/** Options of a removal: which weights may be removed, and in which units. */
export interface RemovalOptions {
  /** The unit of removal. Default: `element`. */
  readonly granularity?: Granularity;
  /** Whether all layers are ranked together, or each loses the same share. Default: `global`. */
  readonly scope?: "global" | "layer";
  /**
   * Minimum fraction of its weights (filters, channels, blocks) that each layer keeps, in [0, 1]. Default 0: a layer
   * still keeps one filter, channel or block, except in a branch of a sum such as a residual block, which is removed
   * whole when one of its layers loses its last channel.
   */
  readonly floor?: number;
  /**
   * Keeps the number of channels a multiple of this in coupled layers that lose some. Default: 1, the only value for
   * other units than channels.
   */
  readonly roundTo?: number;
  /**
   * The count of a removal of groups: weights, or their multiply-adds for one image. Default: `weights`.
   */
  readonly measure?: Measure;
  /**
   * True ranks groups by their worth per removed weight or multiply-add: by z_g^2 for the criterion confidence, and
   * by the square for other criteria whose rank is a root.
   */
  readonly perCost?: boolean;
  /**
   * Names of protected layers, which lose nothing. With channels they lose neither filters nor inputs, so the
   * channels that they read stay too.
   */
  readonly protect?: readonly string[];
  /**
   * Layers by name, for channels: only channels that all of these layers make, and no other layer, may be removed.
   * Default: all layers.
   */
  readonly madeBy?: readonly string[];
}

/**
 * N:M sparsity, as sparse hardware reads it: N of every M neighbouring columns are kept. Columns are input channels
 * at one tap of a convolution (of its group), and input features of a linear layer in PyTorch's order, after a
 * flatten too. If their number is not a multiple of M, the last group of a line is shorter and keeps ceil(N length /
 * M), at most N, so that it fits when it is padded with zeros.
 */
export interface Pattern {
  /** Kept weights of each full group, from 1 to `of`. */
  readonly keep: number;
  /** Neighbouring columns per group, at most 32. */
  readonly of: number;
}

/** The limit of a layer. */
export interface LayerBounds {
  /** Its weights. */
  readonly weights: number;
  /** Weights that are removed already. */
  readonly removed: number;
  /** Maximum number of removed weights, including those removed already. */
  readonly max: number;
}

/** The minimum number of units that a floor keeps; at least one if one must be kept. */
export function minKept(count: number, floor: number, keepsOne: boolean): number {
  return Math.min(count, Math.max(keepsOne || floor > 0 ? 1 : 0, Math.ceil(floor * count - 1e-9)));
}

/**
 * Checks the options of a removal against a model.
 *
 * @throws {ConfigError} If a floor, a block or a named layer is not possible.
 */
export function checkRemoval(layout: ParameterLayout, options: RemovalOptions): void {
  const { floor = 0, protect = [], madeBy, granularity = "element" } = options;
  const refuse = (thing: string, current: string, wanted: string) => {
    throw new ConfigError({ act: "remove weights with", thing, current, wanted });
  };
  if (!isNumberAs(floor, { atLeast: 0, atMost: 1 })) {
    refuse("floor", describeValue(floor), "a fraction from 0 to 1");
  }
  checkWords("remove weights with", {
    scope: [options.scope, ["global", "layer"]],
    measure: [options.measure, ["weights", "multiply-adds"]],
    ...(typeof granularity === "object"
      ? {}
      : { granularity: [granularity, ["element", "filter", "channel"]] as const }),
  });
  const { roundTo = 1 } = options;
  if (!Number.isInteger(roundTo) || roundTo < 1) {
    refuse("roundTo", `${roundTo}`, "a whole number, at least 1");
  }
  if (roundTo > 1 && granularity !== "channel") refuse("roundTo", `${roundTo}`, "1 unless channels go");
  if (granularity === "element" && (options.perCost || (options.measure ?? "weights") !== "weights")) {
    refuse("granularity", "single weights, each of which counts as one", "groups where their cost matters");
  }
  if (typeof granularity === "object") {
    for (const side of ["rows", "channels"] as const) {
      const size = granularity[side];
      if (!Number.isInteger(size) || size < 1) {
        refuse(`granularity.${side}`, `${size}`, "a whole number, at least 1");
      }
    }
  }
  if (madeBy && granularity !== "channel") refuse("madeBy", madeBy.join(", "), "none unless channels go");
  const names = prunableTensors(layout).map(getLayerName);
  for (const [option, given] of [["protect", protect], ["madeBy", madeBy ?? []]] as const) {
    for (const name of given) {
      if (names.includes(name)) continue;
      refuse(option, `no layer with weights is named ${name}`, describeAlternatives(name, names));
    }
  }
}

/**
 * Checks a pattern.
 *
 * @throws {ConfigError} If it is not possible.
 */
export function checkPattern({ keep, of }: Pattern): void {
  const areWhole = Number.isInteger(keep) && Number.isInteger(of);
  if (areWhole && keep >= 1 && keep <= of && of <= largestPattern) return;
  throw new ConfigError({
    act: "remove weights by pattern",
    thing: `${keep}:${of}`,
    current: "not a possible pattern",
    wanted: `whole numbers N:M with 1 <= N <= M <= ${largestPattern}`,
  });
}

/** The error for a removal of more than is possible. The model is then unchanged. */
export class TooManyError extends ConfigError {}

/** The error for a removal of more weights than is possible. */
export function tooMany(target: number, max: number, what: string): TooManyError {
  const current = `only ${max} may be removed by ${what}`;
  return new TooManyError({
    act: "remove weights",
    thing: `${target}`,
    current,
    wanted: "fewer, a lower floor, less protected, or another criterion",
  });
}

/**
 * The number of weights that each layer loses if all lose the same share, within their limits: exactly `target` in
 * all. Rounding favours the layers with the largest remainders, earlier layers first.
 *
 * @param target At least the number removed already, at most the number that may be removed.
 */
export function apportion(target: number, bounds: readonly LayerBounds[]): readonly number[] {
  const at = (share: number) =>
    bounds.map(({ weights, removed, max: most }) =>
      Math.min(most, Math.max(removed, Math.floor(share * weights)))
    );
  const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
  let low = 0, high = 1;
  if (total(at(1)) <= target) low = 1;
  for (let i = 0; i < 60 && low < 1; i++) {
    const middle = (low + high) / 2;
    if (total(at(middle)) <= target) low = middle;
    else high = middle;
  }
  const counts = at(low);
  const remainder = (layer: number) => low * bounds[layer].weights % 1;
  const order = [...bounds.keys()].sort((a, b) => remainder(b) - remainder(a) || a - b);
  for (let left = target - total(counts); left > 0;) {
    const before = left;
    for (const layer of order) {
      if (left === 0) break;
      if (counts[layer] >= bounds[layer].max) continue;
      counts[layer]++;
      left--;
    }
    if (left === before) break;
  }
  return counts;
}
