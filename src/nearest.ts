/**
 * Finds the name that someone probably meant.
 *
 * @module
 */

/** The fewest insertions, deletions and substitutions that turn one word into another (Levenshtein, 1966). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const substituted = previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(substituted, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[to.length]!;
}

/** What an error offers in place of an unknown name among many: the nearest one, or the nearest three. */
export function describeNearest(name: string, candidates: readonly string[], others: string): string {
  const nearest = nearestName(name, candidates);
  if (nearest !== undefined) return `"${nearest}", the nearest known name`;
  const distances = new Map(candidates.map((candidate) => [candidate, editDistance(name, candidate)]));
  const three = candidates.toSorted((a, b) => distances.get(a)! - distances.get(b)!).slice(0, 3);
  return `such as ${three.join(", ")}; ${others}`;
}

/**
 * The candidate that differs from `name` in the fewest letters, or none where more than a third of them differ.
 *
 * @example
 * ```ts
 * import { nearestName } from "./nearest.ts";
 *
 * nearestName("epoch", ["epochs", "batch"]); // "epochs"
 * ```
 */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let smallest = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < smallest) [nearest, smallest] = [candidate, distance];
  }
  return nearest;
}

/** What an error offers in place of an unknown name: the nearest one, or all of them. */
export function describeAlternatives(name: string, candidates: readonly string[]): string {
  const nearest = nearestName(name, candidates);
  if (nearest !== undefined) return `"${nearest}", the nearest known name`;
  return candidates.length === 0 ? "none" : `one of ${candidates.join(", ")}`;
}
