/**
 * Checks by the graph alone, before anything is trained, whether the goal of a configuration can be reached.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import type { NamedParameters } from "../gpu/network.ts";
import { summarizeModel } from "../model/summary.ts";
import { type Criterion, prunableTensors, scoredTensors } from "../prune/score/criteria.ts";
import { nameOfCriterion } from "../prune/score/own_criterion.ts";
import type { CriterionModel } from "../prune/score/criterion.ts";
import { computeCost, computeDenseCost, type Cost } from "../prune/cost.ts";
import { type PruneGoal, removedAt } from "../prune/goal.ts";
import { maxRemovable, minChannelCost } from "../prune/reach/reach.ts";

/** What is to be reached, and from where. */
export interface ReachableOptions {
  readonly goal: PruneGoal;
  /** The verb phrase of the error; `prune to` where left out. */
  readonly act?: string;
  /** What weights are scored by. Default: the configuration's criterion. */
  readonly by?: Criterion | undefined;
  /** The masks that pruning starts from, by full name; nothing is removed where left out. */
  readonly masks?: NamedParameters | undefined;
}

/** How many weights of each tensor masks remove. */
export function removedBy(masks: NamedParameters | undefined): ReadonlyMap<string, number> {
  const removed = [...masks ?? []].map(([name, mask]): [string, number] => [
    name,
    mask.reduce((sum, keep) => sum + (keep === 0 ? 1 : 0), 0),
  ]);
  return new Map(removed);
}

/** The settings that keep weights from going, as a user gave them. */
function listLimits(
  model: CriterionModel,
  config: RunConfig,
  criterion: Criterion,
): readonly (readonly [key: string, text: string])[] {
  const { select } = config.prune,
    { protect, granularity } = select,
    floor = "floor" in select ? select.floor : 0;
  const sparesLayers = scoredTensors(model, criterion).length < prunableTensors(model.layout).length;
  const limits: [string, string | number, boolean][] = [
    ["floor", floor, floor > 0],
    ["protect", protect.join(), protect.length > 0],
    ...("roundTo" in select
      ? [["roundTo", select.roundTo, select.roundTo > 1] as [string, number, boolean]]
      : []),
    ["criterion", nameOfCriterion(criterion), sparesLayers],
  ];
  const found = limits.filter(([, , limits]) => limits).map(([key, value]) =>
    [key, `${key} ${value}`] as const
  );
  const unit = typeof granularity === "object" ? `${granularity.rows}x${granularity.channels}` : granularity;
  // The filters of the last layer are the classes.
  const spared = granularity === "filter" ? ", which spares the last layer," : "";
  return found.length > 0 ? found : [["granularity", `granularity ${unit}${spared}`]];
}

const shareText = (share: number) => `${Math.floor(1e4 * share) / 1e4}`;

/**
 * Refuses a sparsity, or a cost, beyond what may be removed, and any goal where protection leaves nothing that may go.
 *
 * @throws {ConfigError} Then, naming what keeps weights from going, and what can be reached.
 */
export function checkReachable(
  model: CriterionModel,
  config: RunConfig,
  { goal, masks, act = "prune to", by: criterion = config.prune.score.by }: ReachableOptions,
): void {
  const { select: options, goal: asked } = config.prune, removed = removedBy(masks);
  const removable = maxRemovable(model, { criterion, options, removed });
  const refuse = (thing: string, reached: string, wanted: string) => {
    const limits = listLimits(model, config, criterion), names = limits.map(([, text]) => text).join(" and ");
    const current = `${names} ${limits.length === 1 ? "leaves" : "leave"} ${reached}`;
    const others = limits.map(([key]) => key).join(" or ");
    throw new ConfigError({ act, thing, current, wanted: `${wanted}, or another ${others}` });
  };
  const refuseAll = (thing: string) => refuse(thing, "nothing that may go", "a layer that may lose weights");
  const { protect, granularity } = options;
  if (("pattern" in goal || "threshold" in goal) && (protect.length > 0 || granularity === "filter")) {
    if (maxRemovable(model, { criterion, options }).some((count) => count > 0)) return;
    if ("pattern" in goal) refuseAll(`granularity ${goal.pattern.keep}:${goal.pattern.of}`);
    if ("confidence" in asked) refuseAll(`confidence ${asked.confidence}`);
  }
  if ("sparsity" in goal) {
    const { prunableCount } = model.layout, all = removable.reduce((sum, count) => sum + count, 0);
    if (removedAt(goal.sparsity, prunableCount) <= all) return;
    const thing = `sparsity ${goal.sparsity}`;
    if (all === 0) refuseAll(thing);
    const wanted = `a sparsity of ${shareText(all / prunableCount)} or less`;
    refuse(thing, `${all} of ${prunableCount} weights that may go`, wanted);
  }
  if ("cost" in goal) {
    const { cost: kind } = goal,
      minimum = minCost(model, config, { removable, removed, criterion })?.[kind] ?? 0;
    if (minimum <= goal.max) return;
    const all = computeDenseCost(summarizeModel(model.graph))[kind];
    const share = Math.ceil(1e4 * minimum / all) / 1e4;
    refuse(
      `${kind} ${Math.floor(goal.max)}`,
      `at least ${Math.ceil(minimum)} of ${all}`,
      `a target of ${share} or more`,
    );
  }
}

/** The least that a network can cost of which so many weights of each tensor may go; undefined where scores say. */
function minCost(
  model: CriterionModel,
  config: RunConfig,
  { removable, removed, criterion }: {
    readonly removable: readonly number[];
    readonly removed: ReadonlyMap<string, number>;
    readonly criterion: Criterion;
  },
): Cost | undefined {
  const { select: options } = config.prune;
  if (options.granularity === "channel") {
    // What is gone already may make more superfluous than channels that go.
    const isWhole = removed.values().every((count) => count === 0);
    return isWhole ? minChannelCost(model, { criterion, options }) : undefined;
  }
  const layers = prunableTensors(model.layout).map(({ fullName: name, count, rows }, i) => {
    return { name, weights: count, kept: count - removable[i], channels: rows, emptyChannels: 0 };
  });
  return computeCost(model.graph, layers, { isSparse: config.output.store === "sparse" });
}
