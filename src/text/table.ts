/**
 * Plain-text tables.
 *
 * @module
 */

import { ShapeError } from "../errors.ts";
import { escapeLine } from "./escape.ts";

/** The side of its column that a cell stands on. */
export type Alignment = "left" | "right";

/** How a table is laid out. */
export interface TableOptions {
  /** The side of each column; by default the first is left and the others are right. */
  readonly align?: readonly Alignment[];
}

/**
 * Formats a head and rows with columns of equal width, a rule below the head and no line feed at the end. A cell is one
 * line: characters that would steer a terminal are escaped.
 *
 * @throws {ShapeError} where a row has not as many cells as the head
 *
 * @example
 * ```ts
 * import { formatTable } from "./table.ts";
 *
 * formatTable(["network", "accuracy"], [["trained", "61.2 %"], ["pruned", "60.9 %"]]);
 * // network  accuracy
 * // -------  --------
 * // trained    61.2 %
 * // pruned     60.9 %
 * ```
 */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { align }: TableOptions = {},
): string {
  const titles = head.map(escapeLine), lines = rows.map((row) => row.map(escapeLine));
  lines.forEach((row, index) => {
    if (row.length !== head.length) {
      const current = `${row.length} cells`;
      throw new ShapeError({ act: "format", thing: `row ${index}`, current, wanted: `${head.length}` });
    }
  });
  const widths = titles.map((title, column) =>
    lines.reduce((width, row) => Math.max(width, [...row[column]!].length), [...title].length)
  );
  const formatRow = (cells: readonly string[]) =>
    cells.map((cell, column) => {
      const space = " ".repeat(widths[column]! - [...cell].length);
      const side = align?.[column] ?? (column === 0 ? "left" : "right");
      return side === "left" ? cell + space : space + cell;
    }).join("  ").trimEnd();
  return [titles, widths.map((width) => "-".repeat(width)), ...lines].map(formatRow).join("\n");
}
