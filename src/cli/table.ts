/**
 * Plain-text tables.
 *
 * @module
 */

import { ShapeError } from "../errors.ts";

/** The side of its column that a cell stands on. */
export type Alignment = "left" | "right";

/** How a table is laid out. */
export interface TableOptions {
  /** The side of each column; by default the first is left and the others are right. */
  readonly align?: readonly Alignment[];
}

/**
 * Formats a head and rows with columns of equal width, a rule below the head and no line feed at the end.
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
  rows.forEach((row, index) => {
    if (row.length !== head.length) {
      const current = `${row.length} cells`;
      throw new ShapeError({ act: "format", thing: `row ${index}`, current, wanted: `${head.length}` });
    }
  });
  const widths = head.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column]!)].map((cell) => [...cell].length))
  );
  const formatRow = (cells: readonly string[]) =>
    cells.map((cell, column) => {
      const space = " ".repeat(widths[column]! - [...cell].length);
      const side = align?.[column] ?? (column === 0 ? "left" : "right");
      return side === "left" ? cell + space : space + cell;
    }).join("  ").trimEnd();
  return [head, widths.map((width) => "-".repeat(width)), ...rows].map(formatRow).join("\n");
}
