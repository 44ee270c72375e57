/**
 * What the tuner measured, for people.
 *
 * @module
 */
import { formatTable } from "../src/text/table.ts";
import type { TunedProduct } from "../src/gpu/tuner.ts";
import { choiceText } from "../src/kernels/product_choices.ts";

/** For each product: the core taken and what it and the others took, fastest first. */
export function formatExplanation(products: readonly TunedProduct[]): string {
  if (products.length === 0) return "Nothing is tuned: --tune is off, or the read path is forced.";
  return products.map(({ shape, taken, byDefault, candidates }) => {
    const note = (text: string) =>
      [text === choiceText(taken) ? "taken" : "", text === choiceText(byDefault) ? "default" : ""]
        .filter((word) => word !== "").join(", ");
    const rows = candidates.toSorted((a, b) => (a.timeMs ?? Infinity) - (b.timeMs ?? Infinity))
      .map(({ choice, timeMs, rejected }) => {
        const text = choiceText(choice);
        return [text, timeMs === undefined ? rejected ?? "not timed" : `${timeMs.toFixed(3)} ms`, note(text)];
      });
    const table = rows.length === 0
      ? `${choiceText(taken)}: too small to be timed`
      : formatTable(["core", "time", ""], rows, { align: ["left", "right", "left"] });
    return `${shape}\n${table}`;
  }).join("\n\n");
}
