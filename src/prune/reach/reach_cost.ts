/**
 * What a network on a device costs, and the removal that brings its cost down to so much.
 *
 * @module
 */
import type { Network } from "../../gpu/network.ts";
import { readFloats } from "../../gpu/readback.ts";
import { compactCostOf, costOf, weightCosts } from "../cost.ts";
import { prunableTensors } from "../score/criteria.ts";
import type { PruneGoal } from "../goal.ts";
import type { LayerCount } from "../mask.ts";
import type { Pruner } from "../pruner.ts";
import { type RemovalOptions, TooManyError } from "../select/removal.ts";

/** A cost that is to be reached. */
export type CostGoal = Extract<PruneGoal, { readonly cost: unknown }>;

/** The cost of a network: of channels that are removed as compaction makes them go, else of what is kept. */
export async function measureCost(
  network: Network,
  layers: readonly LayerCount[],
  { cost: kind, isSparse = false }: CostGoal,
  { granularity, protect }: RemovalOptions,
): Promise<number> {
  if (granularity !== "channel") return costOf(network.graph, layers, { isSparse })[kind];
  const mask = await readFloats(network.gpu, network.arena("mask"));
  return compactCostOf(network.graph, mask, { protect, layout: network.layout })[kind];
}

/** All that could go, in what a removal counts. */
function countAll({ layout, graph }: Network, { measure = "weights" }: RemovalOptions): number {
  const costOf = weightCosts(graph, measure);
  return prunableTensors(layout).reduce((sum, tensor) => sum + tensor.count * costOf(tensor), 0);
}

/**
 * Removes as few weights, by their scores, as bring a cost down to so much at most, by bisection over how many go.
 *
 * @throws {TooManyError} If nothing that may go brings it so far; the network is then as it was.
 */
export async function reachCost(
  network: Network,
  pruner: Pruner,
  goal: CostGoal,
  options: RemovalOptions,
): Promise<void> {
  const { cost: kind, most } = goal;
  // Groups that are ranked by their worth for each multiply-add are counted by those too.
  const counted: RemovalOptions = kind === "multiplyAdds" && options.perCost
    ? { ...options, measure: "multiply-adds" }
    : options;
  const mask = await readFloats(network.gpu, network.arena("mask"));
  network.copyState("values", "snapshot");
  const restore = () => {
    network.copyState("snapshot", "values");
    network.arena("mask").write(mask);
  };
  const costOf = weightCosts(network.graph, counted.measure ?? "weights"),
    tensors = prunableTensors(network.layout);
  /** What removing so much comes to: what is gone then, and the cost; Infinity where that is not possible. */
  const probe = async (removed: number): Promise<{ readonly gone: number; readonly cost: number }> => {
    restore();
    try {
      const layers = await pruner.remove(removed, counted);
      const gone = layers.reduce(
        (sum, { weights, kept }, i) => sum + (weights - kept) * costOf(tensors[i]),
        0,
      );
      return { gone, cost: await measureCost(network, layers, goal, options) };
    } catch (error) {
      if (error instanceof TooManyError) return { gone: removed, cost: Infinity };
      throw error;
    }
  };
  // Removing more than may go fails, so that the cost falls with the count and is Infinity from some count on. Groups
  // remove more than was asked: below that nothing need be tried, and above it one more group may be all that lacks.
  let below = 0, above = countAll(network, counted) + 1, least = Infinity, fewest: number | undefined;
  for (let last = -1, isRepeated = false; above - below > 1;) {
    const next = isRepeated ? below + 1 : Math.floor((below + above) / 2), { gone, cost } = await probe(next);
    least = Math.min(least, cost);
    if (cost <= most) fewest = next;
    if (cost <= most || cost === Infinity) above = next;
    else below = Math.max(next, gone);
    isRepeated = gone === last;
    last = gone;
  }
  restore();
  if (fewest !== undefined) return void await pruner.remove(fewest, counted);
  const others = "a lower floor, less protected, or another criterion";
  throw new TooManyError({
    act: "prune to",
    thing: `${kind} ${Math.floor(most)}`,
    ...(least === Infinity
      ? { current: "nothing may go", wanted: others }
      : { current: `${least} is the least there is`, wanted: `${Math.ceil(least)} or more, ${others}` }),
  });
}
