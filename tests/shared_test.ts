/** Tests that the tests on shared reference values really run where they are required to. */

import assert from "node:assert/strict";
import { sharedPath } from "./helpers/shared.ts";

const required = Deno.env.get("WINNOW_REQUIRE_SHARED") === "1" || sharedPath("") !== undefined;

Deno.test(
  "sharedPath() finds goldens and data where ../shared is present or WINNOW_REQUIRE_SHARED is 1",
  { ignore: !required },
  () => {
    for (
      const path of ["goldens/ops.safetensors", "goldens/training.safetensors", "data/cifar-10-batches-bin"]
    ) {
      assert.notEqual(sharedPath(path), undefined, `../shared/${path} is absent`);
    }
  },
);
