/**
 * The cost of a network on a device, and the removal that brings its cost down to a limit.
 *
 * @module
 */
import type { Network } from "../../gpu/network.ts";
import { readFloats } from "../../gpu/readback.ts";
import { computeCompactCost, computeCost, weightCosts } from "../cost.ts";
import { prunableTensors } from "../score/criteria.ts";
import type { PruneGoal } from "../goal.ts";
import type { LayerCount } from "../mask.ts";
import type { Pruner } from "../pruner.ts";
import { type RemovalOptions, TooManyError } from "../select/removal.ts";

/** A limit of a cost. */
export type CostGoal = Extract<PruneGoal, { readonly cost: unknown }>;

/** The cost of a network: for channels, of the compacted network; otherwise of the kept weights. */
export async function measureCost(
  network: Network,
  layers: readonly LayerCount[],
  { cost: kind, isSparse = false }: CostGoal,
  { granularity, protect }: RemovalOptions,
): Promise<number> {
  if (granularity !== "channel") return computeCost(network.graph, layers, { isSparse })[kind];
  const mask = await readFloats(network.gpu, network.arena("mask"));
  return computeCompactCost(network.graph, mask, { protect, layout: network.layout })[kind];
}

/** Everything that could be removed, in the unit of the removal. */
function countAll({ layout, graph }: Network, { measure = "weights" }: RemovalOptions): number {
  const costOf = weightCosts(graph, measure);
  return prunableTensors(layout).reduce((sum, tensor) => sum + tensor.count * costOf(tensor), 0);
}

/**
 * Removes the fewest weights, by their scores, that bring a cost down to the limit, by bisection over their number.
 *
 * @throws {TooManyError} If nothing that may go brings it so far; the network is then as it was.
 */
export async function reachCost(
  network: Network,
  pruner: Pruner,
  goal: CostGoal,
  options: RemovalOptions,
): Promise<void> {
  const { cost: kind, max } = goal;
  // Groups that are ranked by worth per multiply-add are also counted in multiply-adds.
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
  /** The result of removing so much: the part removed, and the cost; Infinity if that is not possible. */
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
  // Removing more than is possible fails, so the cost falls with the count and is Infinity from some count on. Groups
  // remove more than asked: no smaller count need be tried, and above it one more group may be enough.
  let below = 0, above = countAll(network, counted) + 1, least = Infinity, fewest: number | undefined;
  for (let last = -1, isRepeated = false; above - below > 1;) {
    const next = isRepeated ? below + 1 : Math.floor((below + above) / 2), { gone, cost } = await probe(next);
    least = Math.min(least, cost);
    if (cost <= max) fewest = next;
    if (cost <= max || cost === Infinity) above = next;
    else below = Math.max(next, gone);
    isRepeated = gone === last;
    last = gone;
  }
  restore();
  if (fewest !== undefined) return void await pruner.remove(fewest, counted);
  const others = "a lower floor, less protected, or another criterion";
  throw new TooManyError({
    act: "prune to",
    thing: `${kind} ${Math.floor(max)}`,
    ...(least === Infinity
      ? { current: "nothing may go", wanted: others }
      : { current: `${least} is the least there is`, wanted: `${Math.ceil(least)} or more, ${others}` }),
  });
}
