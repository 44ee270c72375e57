/**
 * The steps of the pruning loop on a model.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { readFloats } from "../gpu/readback.ts";
import { decodeModel } from "../io/model_file.ts";
import { weightCosts } from "../prune/costs.ts";
import { prunableTensors } from "../prune/criteria.ts";
import { compactCostOf, type CostKind, costOf } from "../prune/goal.ts";
import type { PruneSteps } from "../prune/loop.ts";
import type { LayerCount } from "../prune/mask.ts";
import type { RemovalOptions } from "../prune/removal.ts";
import type { TemperatureChoice } from "../prune/temperature.ts";
import type { Model } from "./model.ts";
import type { ModelPruneOptions, ModelState } from "./model_options.ts";
import { temperModel, validationToTemper } from "./tempering.ts";

/** What may go, of the options of pruning. */
function removalOf(
  { granularity, scope, floor, roundTo, protect, madeBy, perCost }: ModelPruneOptions,
): RemovalOptions {
  return {
    ...(granularity ? { granularity } : {}),
    ...(scope ? { scope } : {}),
    ...(floor === undefined ? {} : { floor }),
    ...(roundTo === undefined ? {} : { roundTo }),
    ...(protect ? { protect } : {}),
    ...(madeBy ? { madeBy } : {}),
    ...(perCost === undefined ? {} : { perCost }),
  };
}

/** Does the loop's steps on a model. @throws {ConfigError} Where a temperature is to be chosen that would do nothing. */
export function pruneSteps(model: Model, options: ModelPruneOptions): PruneSteps {
  const { record = (_, act) => act(), keep = (_, make) => make(), settle, validation } = options;
  const tempering = options.tempering && { ...options.tempering, validation: validationToTemper(options) };
  const removal = removalOf(options), { protect = [] } = removal;
  const accuracyOn = async (split: typeof options.test) => (await model.evaluate(split)).accuracy;
  let saved: ModelState | undefined, chosen: TemperatureChoice | undefined;
  /** Does a removal, at the temperature of which it costs least where one is to be chosen. */
  const removeBy = async (name: string, act: () => Promise<readonly LayerCount[]>) => {
    if (tempering) {
      const trials = { ...tempering, scoring: options, remove: act };
      chosen = await record("temperature", () => temperModel(model, trials));
    }
    return await record(name, act);
  };
  return {
    count: () => record("count", () => model.pruner.count()),
    score() {
      chosen = undefined;
      return record("score", async () => {
        await options.prepare?.();
        await model.score(options.calibration, options);
      });
    },
    countBelow: (threshold) => record("count below", () => model.pruner.countBelow(threshold, removal)),
    chosenTemperature: () => chosen,
    remove: (removed) => removeBy("remove", () => model.remove(removed, removal)),
    cost: (kind) =>
      record("cost", async () => await measureCost(model, await model.pruner.count(), { kind, options })),
    reach: (kind, most) => removeBy("reach", () => reachCost(model, most, { kind, removal, options })),
    removePattern: (pattern) => removeBy("remove", () => model.pruner.removePattern(pattern, { protect })),
    regrow: (threshold) =>
      record("regrow", () => model.pruner.regrow(threshold, { examples: options.examples, protect })),
    settle: () =>
      record("settle", async () => {
        await settle?.();
        return await model.pruner.count();
      }),
    finetune: async (round) => void await options.finetune(round),
    evaluate: () => record("evaluate", () => accuracyOn(options.test)),
    validate() {
      if (validation) return record("validate", () => accuracyOn(validation));
      const current = "there are no validation examples", wanted = "some to measure it on";
      throw new ConfigError({ act: "prune with", thing: "allowedDrop", current, wanted });
    },
    async save(round) {
      const name = `before-round-${round}.safetensors`;
      saved = decodeModel(await keep(name, () => model.encode()), name, model.graph);
    },
    undo: () =>
      record("undo", () => {
        model.restore(saved!);
        options.onUndo?.();
        return Promise.resolve();
      }),
  };
}

/** What a cost is measured for. */
interface CostContext {
  readonly kind: CostKind;
  readonly options: Pick<ModelPruneOptions, "granularity" | "isSparse" | "protect">;
}

/** The cost of a model: of channels that are removed as compaction makes them go, else of what is kept. */
async function measureCost(
  { network }: Model,
  layers: readonly LayerCount[],
  { kind, options: { granularity, isSparse = false, protect } }: CostContext,
): Promise<number> {
  if (granularity !== "channel") return costOf(network.graph, layers, { isSparse })[kind];
  const mask = await readFloats(network.gpu, network.arena("mask"));
  return compactCostOf(network.graph, mask, { protect })[kind];
}

/** All that could go, in what a removal counts. */
function countAll({ network: { layout, graph } }: Model, { measure = "weights" }: RemovalOptions): number {
  const costOf = weightCosts(graph, measure);
  return prunableTensors(layout).reduce((sum, tensor) => sum + tensor.count * costOf(tensor), 0);
}

/**
 * Removes as few weights, by their scores, as bring a cost down to so much at most, by bisection over how many go.
 *
 * @throws {ConfigError} Where nothing that may go brings it so far; the model is then as it was.
 */
async function reachCost(
  model: Model,
  most: number,
  { removal, ...context }: CostContext & { readonly removal: RemovalOptions },
): Promise<readonly LayerCount[]> {
  // Groups that are ranked by their worth for each multiply-add are counted by those too.
  const counted: RemovalOptions = context.kind === "multiplyAdds" && removal.perCost
    ? { ...removal, measure: "multiply-adds" }
    : removal;
  const { network, pruner } = model, mask = await readFloats(network.gpu, network.arena("mask"));
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
      return { gone, cost: await measureCost(model, layers, context) };
    } catch (error) {
      if (error instanceof ConfigError) return { gone: removed, cost: Infinity };
      throw error;
    }
  };
  // Removing more than may go fails, so that the cost falls with the count and is Infinity from some count on. Groups
  // remove more than was asked: below that nothing need be tried, and above it one more group may be all that lacks.
  let below = 0, above = countAll(model, counted) + 1, least = Infinity, fewest: number | undefined;
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
  if (fewest !== undefined) return await pruner.remove(fewest, counted);
  const { kind } = context, others = "a lower floor, less protected, or another criterion";
  throw new ConfigError({
    act: "prune to",
    thing: `${kind} ${Math.floor(most)}`,
    ...(least === Infinity
      ? { current: "nothing may go", wanted: others }
      : { current: `${least} is the least there is`, wanted: `${Math.ceil(least)} or more, ${others}` }),
  });
}
