/** Tests of plain-text tables. */

import assert from "node:assert/strict";
import { formatTable } from "../../src/text/table.ts";
import { ShapeError } from "../../src/errors.ts";

Deno.test("formatTable() aligns the first column left and the others right", () => {
  const table = formatTable(["network", "accuracy"], [["trained", "61.2 %"], ["a", "100.0 %"]]);
  assert.equal(
    table,
    ["network  accuracy", "-------  --------", "trained    61.2 %", "a         100.0 %"].join("\n"),
  );
});

Deno.test("formatTable() takes alignments, empty cells and no rows", () => {
  const table = formatTable(["n", "kind"], [["10", "x"], ["", ""]], { align: ["right", "left"] });
  assert.equal(table, [" n  kind", "--  ----", "10  x", ""].join("\n"));
  assert.equal(formatTable(["a", "b"], []), "a  b\n-  -");
});

Deno.test("formatTable() refuses a row of another length", () => {
  assert.throws(() => formatTable(["a", "b"], [["1"]]), ShapeError);
});
