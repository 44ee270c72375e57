/** Tests of the tree as data: values joined along it, and its keys as flags, help and errors see them. */

import assert from "node:assert/strict";
import { describeConfig, parseRunConfig, type RunConfigInput } from "../../src/config/config.ts";
import { joinKeys } from "../../src/config/nodes.ts";
import { readGranularity } from "../../src/config/words.ts";
import { assertRefused } from "../helpers/refused_config.ts";

Deno.test("joinKeys() lets another branch take the place of the old one, and keeps what both have", () => {
  const before = parseRunConfig({
    train: { optimizer: { weightDecay: 0.1, momentum: 0.8 } },
    prune: { goal: { confidence: 0.9, regrow: 0.95 } },
  }, "a test");
  const joined = (set: RunConfigInput) => joinKeys(before, set) as unknown as typeof before;
  const { momentum: _, ...shared } = before.train.optimizer as unknown as Record<
    string,
    unknown
  >;
  assert.deepEqual(joined({ train: { optimizer: { kind: "adam" } } }).train.optimizer, {
    ...shared,
    kind: "adam",
  });
  assert.deepEqual(joined({ train: { optimizer: { momentum: 0.5 } } }).train.optimizer, {
    ...before.train.optimizer,
    momentum: 0.5,
  });
  assert.deepEqual(joined({ prune: { goal: { sparsity: 0.5 } } }).prune.goal, { sparsity: 0.5 });
  assert.deepEqual(joined({ prune: { goal: { confidence: 0.5 } } }).prune.goal, {
    confidence: 0.5,
    regrow: 0.95,
  });
  assert.deepEqual(joined({ prune: { after: { refit: {} } } }).prune.after, { refit: {} });
  assert.deepEqual(joined({ prune: { select: { granularity: "channel" } } }).prune.select, {
    ...before.prune.select,
    granularity: "channel",
  });
  const { schedule } = joined({ train: { schedule: { kind: "cosine" } } }).train;
  assert.deepEqual(schedule, { kind: "cosine", warmup: 0 });
  // What was set is never dropped, so that it is refused.
  assertRefused(
    joinKeys(before, { train: { optimizer: { kind: "adam", momentum: 0.5 } } }),
    "train.optimizer.momentum",
  );
  assertRefused(joinKeys(before, { prune: { goal: { sparsity: 0.5, confidence: 0.9 } } }), "prune.goal.");
});

Deno.test("readGranularity() reads blocks and patterns", () => {
  assert.deepEqual(readGranularity("8x1"), { rows: 8, channels: 1 });
  assert.deepEqual(readGranularity("2:4"), { keep: 2, of: 4 });
  for (const text of ["", "2:", "x2", "2:4:8", "5:4", "1:33", "01x1", "-1x1", "0x4"]) {
    assert.equal(readGranularity(text), undefined, text);
  }
});

Deno.test("describeConfig() gives short names, choices of all branches, and the kinds that have a key", () => {
  const byKey = new Map(describeConfig().map((field) => [field.key, field]));
  const { flag, group, under } = byKey.get("train.optimizer.momentum")!;
  assert.deepEqual([flag, group, under], ["momentum", "train.optimizer", ["sgd", "nesterov"]]);
  assert.equal(byKey.get("train.optimizer.beta1")?.flag, "train.optimizer.beta1");
  assert.deepEqual(byKey.get("train.schedule.kind")?.choices, ["step", "constant", "cosine", "one-cycle"]);
  const { kind, choices, default: preset } = byKey.get("prune.score.temperature")!;
  assert.deepEqual([kind, choices, preset], ["number", ["validation"], 1]);
  for (const { description, key } of byKey.values()) assert.match(description, /^[A-Z].*\.$/, key);
  assert.equal(byKey.size, describeConfig().length, "each path once");
});
