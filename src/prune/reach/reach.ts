/**
 * How far a removal can go at most, as the graph alone says: before anything is scored or trained.
 *
 * @module
 */
import { layerNameOf, type PlacedParameter } from "../../plan/layout.ts";
import { layOutBlocks } from "../groups/blocks.ts";
import { type Criterion, prunableTensors, scoredTensors } from "../score/criteria.ts";
import type { CriterionModel } from "../score/criterion.ts";
import type { Cost } from "../goal.ts";
import { leastOfChannels } from "./reach_channels.ts";
import { type BlockShape, leastKept, type RemovalOptions } from "../select/removal.ts";

/** What is to be removed of a model, and what is gone already. */
export interface ReachOptions {
  readonly criterion: Criterion;
  readonly options: RemovalOptions;
  /** Weights that are removed at the start, by the full name of their tensor; none where left out. */
  readonly removed?: ReadonlyMap<string, number>;
}

/**
 * The most weights that can be removed of each prunable tensor, those removed already among them, in the order of the
 * layers. By single weights, and by filters of a whole network, so many can go. Of blocks at the edges, which are smaller,
 * of coupled channels, and of groups that lost single weights before, scores may leave less.
 *
 * @throws {ConfigError} Where the criterion scores no layer.
 */
export function mostRemovable(
  model: CriterionModel,
  { criterion, options, removed = new Map() }: ReachOptions,
): readonly number[] {
  const { granularity = "element", floor = 0, protect = [] } = options;
  const scored = new Set(scoredTensors(model, criterion).map(({ fullName }) => fullName));
  const leastOf = granularity === "channel"
    ? leastOfChannels(model.graph, { scored, criterion, options }).weightsOf
    : (tensor: PlacedParameter): number => {
      if (!scored.has(tensor.fullName) || protect.includes(layerNameOf(tensor))) return tensor.count;
      return granularity === "element"
        ? leastKept(tensor.count, floor, false)
        : leastOfBlocks(tensor, granularity, floor);
    };
  return prunableTensors(model.layout).map((tensor) => {
    const { count, fullName } = tensor, before = removed.get(fullName) ?? 0, least = leastOf(tensor);
    // Groups that must stay may have lost weights before.
    const kept = granularity === "element" ? Math.min(count - before, least) : Math.max(0, least - before);
    return count - kept;
  });
}

/**
 * The least that the compacted network costs where coupled channels are removed of a whole one; undefined where removals
 * alone do not say. Where layers share only some of their channels, scores may leave more.
 *
 * @throws {ConfigError} Where the criterion scores no layer.
 */
export function leastChannelCost(
  model: CriterionModel,
  { criterion, options }: Omit<ReachOptions, "removed">,
): Cost | undefined {
  const scored = new Set(scoredTensors(model, criterion).map(({ fullName }) => fullName));
  return leastOfChannels(model.graph, { scored, criterion, options }).cost;
}

/** The weights of a tensor's smallest blocks, of as many as it must keep. */
function leastOfBlocks(
  tensor: PlacedParameter,
  granularity: "filter" | BlockShape,
  floor: number,
): number {
  const [{ size, shape, blocks }] = layOutBlocks([tensor], granularity);
  /** Sizes along an axis, with how many there are of each. */
  const cut = (length: number, size: number): readonly (readonly [size: number, count: number])[] => [
    [Math.min(length, size), Math.floor(length / size)],
    [length % size, length % size > 0 ? 1 : 0],
  ];
  const sizes = cut(size.rows, shape.rows).flatMap(([rows, rowBlocks]) =>
    cut(size.columns, shape.columns).map(([columns, columnBlocks]) => ({
      weights: rows * columns * shape.taps,
      count: rowBlocks * columnBlocks * size.taps / shape.taps,
    }))
  ).toSorted((a, b) => a.weights - b.weights);
  let left = leastKept(blocks, floor, true), sum = 0;
  for (const { weights, count } of sizes) {
    sum += weights * Math.min(left, count);
    left -= Math.min(left, count);
  }
  return sum;
}
