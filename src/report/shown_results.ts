/**
 * Which results of a comparison that was added to are shown, and what may be added next.
 *
 * @module
 */
import type { ComparedLists, CompareReport } from "./compare_report.ts";

/** The values of a list to show: those asked for, and where one of them is new also those that were there. */
function chooseValues<Value>(asked: readonly Value[], there: readonly Value[]): readonly Value[] {
  return asked.every((value) => there.includes(value)) ? asked : [...there, ...asked];
}

/**
 * The part of a comparison to show: the variants, sparsities and seeds that were asked for. Where one of a list was not
 * there before, that list was added to: all its values are shown. Trained networks are those of the results.
 *
 * @param before The comparison as it was before anything was added, where there was one.
 */
export function chooseShown(
  report: CompareReport,
  asked: Required<ComparedLists>,
  before?: CompareReport,
): CompareReport {
  const there = before?.cells ?? [];
  const variants = chooseValues(asked.variants, there.map(({ variant }) => variant));
  const sparsities = chooseValues(asked.sparsities, there.map(({ sparsity }) => sparsity));
  const seeds = chooseValues(asked.seeds, there.map(({ seed }) => seed));
  const cells = report.cells.filter(({ variant, sparsity, seed }) =>
    variants.includes(variant) && sparsities.includes(sparsity) && seeds.includes(seed)
  );
  const trained = report.trained.filter(({ seed }) => cells.some((cell) => cell.seed === seed));
  return { ...report, trained, cells };
}

/** The two smallest seeds that a comparison has no network of. */
export function findNewSeeds({ trained }: Pick<CompareReport, "trained">): readonly number[] {
  const seeds = Array.from({ length: trained.length + 2 }, (_, seed) => seed);
  return seeds.filter((seed) => trained.every((network) => network.seed !== seed)).slice(0, 2);
}
