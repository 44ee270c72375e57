/**
 * What is worth a warning after a removal: a goal that removed nothing, layers of which little or nothing is left, and
 * accuracy that is no better than chance.
 *
 * @module
 */
import { parseLayerName } from "../plan/layout.ts";
import type { Granularity } from "../prune/select/removal.ts";
import type { PruneRound } from "../prune/loop.ts";
import { emptyLayers, type LayerCount } from "../prune/mask.ts";

/** The share of a layer below which a removal left little of it. */
const minShare = 0.05;

/** A layer of which little is left, by name. */
export interface ThinLayer {
  readonly name: string;
  /** What it keeps, and what it had. */
  readonly kept: number;
  readonly of: number;
}

/** What is counted where a granularity removes: channels, filters, or single weights. */
function nameUnit(granularity: Granularity): "channels" | "filters" | "weights" {
  return granularity === "channel" ? "channels" : granularity === "filter" ? "filters" : "weights";
}

/** True for less than 5 % of a whole, but not for nothing. */
export function isThin(kept: number, of: number): boolean {
  return kept > 0 && kept < minShare * of;
}

/** The layers that keep something, but less than 5 % of their channels, filters or weights. */
export function thinLayers(
  layers: readonly LayerCount[],
  granularity: Granularity,
): readonly ThinLayer[] {
  return layers.map(({ name, weights, kept, channels, emptyChannels }): ThinLayer => {
    const counts = nameUnit(granularity) === "weights"
      ? { kept, of: weights }
      : { kept: channels - emptyChannels, of: channels };
    return { name: parseLayerName(name), ...counts };
  }).filter(({ kept, of }) => isThin(kept, of));
}

/** True where an accuracy is within one standard error of guessing among so many classes, or below. */
export function isAtChance(
  accuracy: number,
  { classes, examples }: { readonly classes: number; readonly examples: number },
): boolean {
  const chance = 1 / classes;
  return classes > 1 && examples > 0 && accuracy <= chance + Math.sqrt(chance * (1 - chance) / examples);
}

/**
 * Says that no weight of some layers is left.
 *
 * @param names At least one.
 * @param where By what, such as `random at 98 %`, where that is not plain.
 */
export function describeEmpty(names: readonly string[], where = ""): string {
  const by = where && ` by ${where}`;
  const outputs = names.length === 1 ? "its output no longer depends" : "their outputs no longer depend";
  return `nothing is left of ${names.join(", ")}${by}, so ${outputs} on the images; ` +
    "a --floor above 0 keeps some of each layer";
}

/** Says that little of some layers is left, at least one. */
function describeThin(layers: readonly ThinLayer[], unit: ReturnType<typeof nameUnit>): string {
  const listed = layers.map(({ name, kept, of }) => `${name} ${kept} of ${of}`).join(", ");
  return `under 5 % of the ${unit} of a layer are left: ${listed}; a higher --floor keeps more of each layer`;
}

/** What a run came to. */
export interface PrunedOutcome {
  readonly granularity: Granularity;
  readonly layers: readonly LayerCount[];
  /** Layers that compaction took out, by name: nothing of them is left, and nothing needs it. */
  readonly removedLayers: readonly string[];
  readonly rounds: readonly PruneRound[];
  /** Test accuracy before and after. */
  readonly accuracy: { readonly trained: number; readonly finetuned: number };
  readonly classes: number;
  /** Test examples. */
  readonly examples: number;
}

/** All that is worth a warning after a run, a sentence each without its full stop. */
export function describeWarnings(outcome: PrunedOutcome): readonly string[] {
  const { layers, removedLayers, granularity } = outcome, chance = describeChance(outcome);
  const empty = emptyLayers(layers).filter((name) => !removedLayers.includes(name));
  const thin = thinLayers(layers, granularity);
  return [
    ...describeNone(outcome),
    ...(empty.length > 0 ? [describeEmpty(empty)] : []),
    ...(thin.length > 0 ? [describeThin(thin, nameUnit(granularity))] : []),
    ...(chance ? [chance] : []),
  ];
}

/** Says that no round removed anything, as where the network was given as sparse as it was to become. */
function describeNone({ rounds }: PrunedOutcome): readonly string[] {
  if (rounds.length === 0 || rounds.some(({ outflow }) => outflow > 0)) return [];
  const share = `${(100 * rounds[0].sparsity).toFixed(1)} %`;
  return [`no weight was removed: ${share} of them were removed before, and the goal asks for no more`];
}

/** Says when accuracy is no better than chance: before pruning, at the end, or on the way. */
function describeChance({ accuracy, rounds, classes, examples }: PrunedOutcome): string | undefined {
  const isLost = (value: number) => isAtChance(value, { classes, examples });
  const percent = (fraction: number) => `${(100 * fraction).toFixed(1)} %`;
  const among = `on ${examples} test examples of ${classes} classes`;
  const what = (when: string, value: number) =>
    `accuracy ${when} is no better than chance: ${percent(value)} ${among}`;
  if (isLost(accuracy.trained)) return what("before pruning", accuracy.trained);
  const remedy = "a smaller goal, more rounds or a --floor may keep it";
  if (isLost(accuracy.finetuned)) return `${what("after pruning", accuracy.finetuned)}; ${remedy}`;
  const lost = rounds.find(({ accuracyPruned, isUndone }) => !isUndone && isLost(accuracyPruned));
  return lost && `${what(`right after the removal of round ${lost.round}`, lost.accuracyPruned)}; ` +
      `training on what was left brought it to ${percent(lost.accuracyFinetuned)}`;
}
