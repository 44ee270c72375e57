/**
 * Compares what plans ask for with what tests of kernels compared with a reference. `./winnow test` runs it behind all
 * tests of this folder, which note what they run.
 */
import assert from "node:assert/strict";
import { assembleKernel } from "../../src/kernels/assemble.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";
import { askedVariants } from "./asked.ts";
import { findUncompared } from "./uncompared.ts";
import { notesPath, parseVariant } from "./variants.ts";

const { ignore: hasNoSubgroups } = await openWithSubgroups();

Deno.test("tests of kernels compare all that plans can ask for with a reference", () => {
  const path = notesPath();
  assert(path, "./winnow test starts this file");
  const compared = Deno.readTextFileSync(path).trimEnd().split("\n").map(parseVariant);
  Deno.removeSync(path);
  const asked = askedVariants().filter(({ kernel, path, text }) =>
    !hasNoSubgroups || !assembleKernel(kernel, path, text).usesSubgroups
  );
  assert.deepEqual(findUncompared(asked, compared), []);
});
