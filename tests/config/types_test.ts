/** Tests that the written types of a configuration are those of the schema. */

import type { z } from "zod";
import assert from "node:assert/strict";
import { parseRunConfig, type RunConfig, type RunConfigInput } from "../../src/config/config.ts";
import type { Tree, tree } from "../../src/config/tree.ts";

/** A value of which nothing is changed. */
type Fixed<Value> = Value extends object ? { readonly [Key in keyof Value]: Fixed<Value[Key]> } : Value;

/** The keys of each kind that a part may be of, and those of their parts. */
type Kinds<Part> = Part extends readonly unknown[] ? Part
  : Part extends object ? { readonly [Key in keyof Part]-?: Kinds<Part[Key]> }
  : Part;

/** Takes values of one type that are of another one. */
const takes = <Wanted>() => <Given extends Wanted>(_: Given | undefined) => {};

Deno.test("RunConfig is what the schema gives, and RunConfigInput what it takes", () => {
  // What `complete` gives is a RunConfig, or src/config/schema.ts does not compile.
  takes<Fixed<Tree>>()<RunConfig>(undefined);
  takes<Fixed<z.input<typeof tree>>>()<RunConfigInput>(undefined);
  takes<RunConfigInput>()<Fixed<z.input<typeof tree>>>(undefined);
  takes<Kinds<RunConfig>>()<Kinds<Fixed<Tree>>>(undefined);
  takes<Kinds<Fixed<Tree>>>()<Kinds<RunConfig>>(undefined);
  const config: RunConfig = parseRunConfig({}, "a test");
  assert(config.prune);
});
