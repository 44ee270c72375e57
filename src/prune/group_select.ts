/**
 * Which groups of channels go: those with the smallest scores, within what layers need.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import type { Coupling } from "./coupling.ts";

/** How many groups may go, and what must stay. */
export interface GroupLimits {
  /** Groups that are to be removed in all, those in `gone` among them; fewer where layers would be empty. */
  readonly remove: number;
  /** Groups that are removed already. */
  readonly gone?: Iterable<number>;
  /** Channels that layers keep come in multiples of this, 1 where left out; sets that lose none stay as they are. */
  readonly roundTo?: number;
  /** Layers that may lose all channels, such as those of branches (`findBranches`); every other keeps one. */
  readonly mayVanish?: Iterable<string>;
}

/**
 * Chooses groups by ascending score, equal ones by index. Where a set would keep a number that is no multiple of
 * `roundTo`, its best removed groups stay.
 *
 * @param scores What each group is worth, by its index.
 * @returns The groups to remove, those that were gone before among them.
 * @throws {ShapeError} Where the scores are not one a group, or `remove` or `roundTo` is not possible.
 */
export function selectGroups(
  { groups, sets }: Coupling,
  scores: ArrayLike<number>,
  { remove, gone = [], roundTo = 1, mayVanish = [] }: GroupLimits,
): ReadonlySet<number> {
  const refuse = (thing: string, current: string, wanted: string): never => {
    throw new ShapeError({ act: "select groups", thing, current, wanted });
  };
  if (scores.length !== groups.length) refuse("scores", `${scores.length}`, `${groups.length}, one a group`);
  if (!Number.isInteger(remove) || remove < 0 || remove > groups.length) {
    refuse("remove", `${remove}`, `an integer from 0 to ${groups.length}`);
  }
  if (!Number.isInteger(roundTo) || roundTo < 1) refuse("roundTo", `${roundTo}`, "an integer of at least 1");
  const before = new Set(gone), removed = new Set(before), free = new Set(mayVanish);
  const kept = new Map<string, number>();
  const count = (group: number, sign: 1 | -1) => {
    for (const [layer, channels] of sets[groups[group].set].layers) {
      kept.set(layer, (kept.get(layer) ?? 0) + sign * channels);
    }
  };
  for (const group of groups.keys()) if (!removed.has(group)) count(group, 1);
  const ascending = [...groups.keys()].filter((group) => !before.has(group))
    .sort((a, b) => scores[a] - scores[b] || a - b);
  for (const group of ascending) {
    if (removed.size >= remove) break;
    const { layers } = sets[groups[group].set];
    const empties = [...layers].some(([layer, channels]) => !free.has(layer) && kept.get(layer)! <= channels);
    if (empties) continue;
    removed.add(group);
    count(group, -1);
  }
  const position = new Map(ascending.map((group, i) => [group, i]));
  for (const set of sets) {
    const chosen = set.groups.filter((group) => removed.has(group) && !before.has(group))
      .sort((a, b) => position.get(b)! - position.get(a)!);
    let left = set.groups.filter((group) => !removed.has(group)).length;
    for (const group of chosen) {
      if (left % roundTo === 0) break;
      removed.delete(group);
      left++;
    }
  }
  return removed;
}
