/** Tests of the names that errors offer. */

import assert from "node:assert/strict";
import { describeAlternatives, nearestName } from "../src/nearest.ts";

Deno.test("nearestName() finds a name with few other letters, in any case", () => {
  assert.equal(nearestName("epoch", ["batch", "epochs"]), "epochs");
  assert.equal(nearestName("LEARNINGRATE", ["learningRate", "rounds"]), "learningRate");
  assert.equal(nearestName("sede", ["seed"]), undefined);
  assert.equal(nearestName("sparsty", ["sparsity", "prior"]), "sparsity");
});

Deno.test("nearestName() gives nothing where all differ, or there is none", () => {
  assert.equal(nearestName("xyz", ["epochs", "batch"]), undefined);
  assert.equal(nearestName("epochs", []), undefined);
  assert.equal(nearestName("", ["epochs"]), undefined);
});

Deno.test("describeAlternatives() offers the nearest name, else all", () => {
  assert.equal(describeAlternatives("epoch", ["epochs", "batch"]), '"epochs", the nearest known name');
  assert.equal(describeAlternatives("xyz", ["epochs", "batch"]), "one of epochs, batch");
  assert.equal(describeAlternatives("xyz", []), "none");
});
