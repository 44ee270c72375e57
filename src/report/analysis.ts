/**
 * Where the errors come from: which classes lost and gained, and which examples changed sides.
 *
 * @module
 */

/** Accuracy of one class before and after. */
export interface ClassChange {
  /** The class's name. */
  readonly name: string;
  /** Test examples of the class. */
  readonly count: number;
  /** Fraction of them predicted right before pruning and after it. */
  readonly before: number;
  /** The same after pruning. */
  readonly after: number;
  /** Examples gained (above 0) or lost. */
  readonly change: number;
  /** The class that its examples are mistaken for most often after pruning, and how many are. */
  readonly mistakenFor: { readonly name: string; readonly count: number } | null;
}

/** Examples by whether they were right before and after. */
export interface Flips {
  /** Right before pruning and wrong after it. */
  readonly rightToWrong: number;
  /** Wrong before pruning and right after it. */
  readonly wrongToRight: number;
  /** Right before and after. */
  readonly stayedRight: number;
  /** Wrong before and after. */
  readonly stayedWrong: number;
}

/** Predictions of two networks for the same labelled examples. */
export interface PredictionPair {
  readonly labels: ArrayLike<number>;
  readonly before: ArrayLike<number>;
  readonly after: ArrayLike<number>;
}

/** Compares two networks class by class. */
export function compareClasses(
  { labels, before, after }: PredictionPair,
  classes: readonly string[],
): readonly ClassChange[] {
  const table = classes.map(() => ({ count: 0, before: 0, after: 0, mistaken: classes.map(() => 0) }));
  for (let i = 0; i < before.length; i++) {
    const row = table[labels[i]];
    row.count++;
    if (before[i] === labels[i]) row.before++;
    if (after[i] === labels[i]) row.after++;
    else row.mistaken[after[i]]++;
  }
  return table.map((row, label) => {
    const max = Math.max(...row.mistaken);
    return {
      name: classes[label],
      count: row.count,
      before: row.count === 0 ? 0 : row.before / row.count,
      after: row.count === 0 ? 0 : row.after / row.count,
      change: row.after - row.before,
      mistakenFor: max === 0 ? null : { name: classes[row.mistaken.indexOf(max)], count: max },
    };
  });
}

/** Counts examples by class, in rows, and prediction, in columns. */
export function countConfusion(
  { labels, predictions, classes }: {
    readonly labels: ArrayLike<number>;
    readonly predictions: ArrayLike<number>;
    readonly classes: number;
  },
): readonly (readonly number[])[] {
  const rows = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < predictions.length; i++) rows[labels[i]!]![predictions[i]!]!++;
  return rows;
}

/** Counts the examples that changed sides. */
export function countFlips({ labels, before, after }: PredictionPair): Flips {
  const flips = { rightToWrong: 0, wrongToRight: 0, stayedRight: 0, stayedWrong: 0 };
  for (let i = 0; i < before.length; i++) {
    const wasRight = before[i] === labels[i], isRight = after[i] === labels[i];
    if (wasRight) flips[isRight ? "stayedRight" : "rightToWrong"]++;
    else flips[isRight ? "wrongToRight" : "stayedWrong"]++;
  }
  return flips;
}
