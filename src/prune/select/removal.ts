/**
 * What may be removed: in which units, from which layers, and how much of each.
 *
 * @module
 */
import { checkWords, describeValue, isNumberAs } from "../../checks.ts";
import { ConfigError } from "../../errors.ts";
import { describeAlternatives } from "../../nearest.ts";
import { layerNameOf, type ParameterLayout } from "../../plan/layout.ts";
import type { Measure } from "../cost.ts";
import { prunableTensors } from "../score/criteria.ts";

/**
 * Blocks of a weight's rows (output channels) and columns: input channels at one tap of a convolution, input features of a
 * linear layer in PyTorch's order, behind a flatten too; smaller at the edges.
 */
export interface BlockShape {
  /** Neighbouring rows of a block, at least 1. */
  readonly rows: number;
  /** Neighbouring columns of a block, at least 1. */
  readonly channels: number;
}

/**
 * What goes as one: a weight; a filter (all weights of an output channel or unit, but those of the network's outputs); a
 * channel with all that is coupled to
 * it, biases and batch norm included, so that the model can be compacted; or a block.
 */
export type Granularity = "element" | "filter" | "channel" | BlockShape;

/** Which weights may go. */
export interface RemovalOptions {
  /** What goes as one. Default: `element`. */
  readonly granularity?: Granularity;
  /** Whether all layers are ranked together, or each loses the same share. Default: `global`. */
  readonly scope?: "global" | "layer";
  /**
   * The least fraction of its weights (filters, channels, blocks) that a layer keeps, in [0, 1]; above 0, and for all but
   * single weights, at least one. 0 By default then a layer keeps one still, unless it is of a branch of a sum, such
   * as a residual block, which goes as a whole with the last channel of a layer.
   */
  readonly floor?: number;
  /**
   * What the channels that coupled layers keep come in multiples of, where they lose some; 1 where left out, which all but
   * channels need.
   */
  readonly roundTo?: number;
  /**
   * What the target of a removal counts, of groups: weights, or the multiply-adds that they take for one image; `weights`
   * where left out.
   */
  readonly measure?: Measure;
  /**
   * True ranks groups by what they are worth for each weight, or multiply-add, that goes with them: of criterion
   * confidence by z_g^2, of others whose rank is a root by its square.
   */
  readonly perCost?: boolean;
  /** Layers by name that lose nothing: with channels neither filters nor inputs, so that what feeds them stays too. */
  readonly protect?: readonly string[];
  /**
   * Layers by name, for channels: only channels that all of these layers make, and no other layer, may be removed.
   * Default: all layers.
   */
  readonly madeBy?: readonly string[];
}

/**
 * N:M sparsity, as sparse hardware reads it: how many of every so many neighbouring columns are kept. Columns are input
 * channels at one tap of a convolution (of its group), and input features of a linear layer in PyTorch's order, behind a
 * flatten too. Where their number is no multiple of M, the last group of a line is shorter and keeps ceil(N length / M),
 * at most N, so that it fits when it is filled up with zeros.
 */
export interface Pattern {
  /** Weights that are kept of each full group, from 1 to `of`. */
  readonly keep: number;
  /** Neighbouring columns that make a group, at most 32. */
  readonly of: number;
}

/** The most columns of a group of N:M sparsity. */
const largestPattern = 32;

/** What a layer may lose. */
export interface LayerBounds {
  /** Its weights in all. */
  readonly weights: number;
  /** Those that are removed already. */
  readonly removed: number;
  /** The most that may be removed, those removed already among them. */
  readonly most: number;
}

/** The least part of a whole that a floor keeps, in units; at least one where one is to be kept at all. */
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
  const names = prunableTensors(layout).map(layerNameOf);
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

/** The error of a removal of more than may go; the model is then as it was. */
export class TooManyError extends ConfigError {}

/** The error of a removal of more weights than may go. */
export function tooMany(target: number, most: number, what: string): TooManyError {
  const current = `only ${most} may be removed by ${what}`;
  return new TooManyError({
    act: "remove weights",
    thing: `${target}`,
    current,
    wanted: "fewer, a lower floor, less protected, or another criterion",
  });
}

/**
 * How many weights each layer loses where all lose the same share of theirs, as far as their bounds allow: exactly
 * `target` in all; what rounding leaves goes to the layers with the largest remainders, earlier ones first.
 *
 * @param target At least what is removed already, at most what may be removed.
 */
export function apportion(target: number, bounds: readonly LayerBounds[]): readonly number[] {
  const at = (share: number) =>
    bounds.map(({ weights, removed, most }) =>
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
      if (counts[layer] >= bounds[layer].most) continue;
      counts[layer]++;
      left--;
    }
    if (left === before) break;
  }
  return counts;
}
