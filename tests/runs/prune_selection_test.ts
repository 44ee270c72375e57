/** Tests of what runs remove: to a cost, by channels, by patterns, and what they leave. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { runCompare } from "../../src/runs/compare.ts";
import { runPrune } from "../../src/runs/prune.ts";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { configOf } from "../helpers/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { decodeModel } from "../../src/io/model_file.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { anyChannels, atOnce, brief, openTiny, run, small } from "../helpers/tiny_run.ts";

Deno.test("runPrune() reaches a cost by single weights, and says what is left", async () => {
  const { report } = await run({ ...brief, targetMultiplyAdds: 0.5 });
  const { before, after } = report.cost;
  assert(after.multiplyAdds <= before.multiplyAdds / 2);
  // One weight more, at most that of the most pixels, would have been too much.
  assert(after.multiplyAdds > before.multiplyAdds / 2 - 64);
  assertEquals(after.parameters, before.parameters - report.parameters.removed);
  assertEquals(report.end, "asked size");
  const parameters = await run({ ...brief, rounds: 2, targetParameters: 100 });
  assertEquals(parameters.report.cost.after.parameters, 100);
});

Deno.test("runPrune() reaches bytes in a sparse file, which holds the same model", async () => {
  const { report, model } = await run({ ...brief, targetBytes: 0.6, store: "sparse" });
  const { before, after } = report.cost;
  assert(after.bytes <= 0.6 * before.bytes && after.bytes > 0.6 * before.bytes - 8);
  assertEquals(report.fileBytes.after, model.byteLength);
  const { masks } = decodeModel(model, "model");
  const kept = [...masks.values()].flatMap((mask) => [...mask]).filter((keep) => keep > 0).length;
  assertEquals(kept, report.parameters.prunable - report.parameters.removed);
});

Deno.test("runPrune() by channels shrinks the model, and times both", async () => {
  const gpu = await deviceOf(), { choose } = gpu, widths = new Set<number>();
  gpu.tuner = {
    choose,
    tunePlans(lower) {
      lower((shape) => {
        widths.add(shape.columns);
        return choose(shape);
      });
      return Promise.resolve(0);
    },
  };
  using _untuned = { [Symbol.dispose]: () => void (gpu.tuner = undefined) };
  const { report, model, latency } = await run({ ...brief, ...anyChannels, targetParameters: 0.6 });
  const { cost, fileBytes } = report, compaction = report.compaction!;
  assert(compaction.largestDifference <= 1e-4);
  assert(cost.after.parameters <= 0.6 * cost.before.parameters);
  assertEquals(cost.after.parameters, compaction.after.parameters);
  assert(latency!.beforeMs > 0 && latency!.afterMs > 0 && latency!.batch > 0);
  assert(fileBytes.after < fileBytes.before);
  const { graph, parameters } = decodeModel(model, "model");
  // The products of both models are tuned before they are timed.
  for (
    const { outFeatures } of [...tinyGraph().layers, ...graph.layers].filter(({ kind }) =>
      kind === "linear"
    ) as readonly { readonly outFeatures: number }[]
  ) {
    assert(widths.has(outFeatures), `${outFeatures} of ${[...widths]}`);
  }
  const count = [...parameters.values()].reduce((sum, { length }) => sum + length, 0);
  assertEquals([count, graph.layers.length], [cost.after.parameters, tinyGraph().layers.length]);
});

Deno.test("runPrune() reaches a cost by single weights of a compacted model, and reports what that keeps", async () => {
  const { report, model } = await run({ ...brief, compact: true, targetParameters: 0.5, store: "sparse" });
  const { cost, compaction, end } = report;
  assertEquals(end, "asked size");
  assert(cost.after.parameters <= 0.5 * cost.before.parameters, `${cost.after.parameters}`);
  assert(cost.after.parameters < compaction!.after.parameters);
  assert(cost.after.bytes < compaction!.after.sizeBytes);
  const { parameters, masks } = decodeModel(model, "model");
  const kept = [...parameters].reduce((sum, [name, { length }]) => {
    const mask = masks.get(name);
    return sum + (mask ? mask.reduce((kept, keep) => kept + keep, 0) : length);
  }, 0);
  assertEquals(kept, cost.after.parameters, "what the file keeps");
});

Deno.test("runPrune() ranks channels by their worth for each multiply-add", async () => {
  const { report } = await run({
    ...brief,
    ...anyChannels,
    targetMultiplyAdds: 0.6,
    perCost: true,
    store: "sparse",
  });
  assert(report.cost.after.multiplyAdds <= 0.6 * report.cost.before.multiplyAdds);
  assertEquals(report.cost.after.multiplyAdds, report.compaction!.after.multiplyAdds);
});

Deno.test("runPrune() refuses before training what the model has not", async () => {
  const cases = [
    [{ protect: "conv9" }, 'no layer with weights is named conv9, expected "conv1"'],
    [{ criterion: "bn-scale" }, 'Cannot score by "bn-scale": no layer of seed has what it needs'],
  ] as const;
  for (const [more, message] of cases) {
    const options = { config: configOf({ ...small, ...more }), graph: tinyGraph() };
    let steps = 0;
    const onProgress = () => void steps++;
    const start = { ...options, dataset: await openTiny(), onProgress };
    const gpu = await deviceOf(), bytes = gpu.allocatedBytes;
    await assertRejects(() => runPrune(gpu, start), ConfigError, message);
    const lists = { variants: [options.config.prune.score.by], sparsities: [0.5], seeds: [0], versions: {} };
    await assertRejects(() => runCompare(gpu, { ...start, ...lists }), ConfigError, message);
    await assertRejects(() => runSensitivity(gpu, { ...start, ...lists }), ConfigError, message);
    assertEquals([steps, gpu.allocatedBytes], [0, bytes], "nothing was trained, nothing is left");
  }
});

Deno.test("runPrune() keeps N of every M weights but in protected layers", async () => {
  const { report } = await run({ ...atOnce, granularity: "1:4", protect: "fc1", criterion: "magnitude" });
  const shares = report.layers.map(({ kept, weights }) => kept / weights);
  // conv1 has one input channel, a group of its own; conv2 4, fc2 7 channels: 1 of 4, and 2 of 7.
  assertEquals(shares, [1, 1 / 4, 1, 2 / 7]);
  assertEquals(report.rounds.length, 1);
  // conv1 4 x 9 groups of one, conv2 5 x 9 of four, fc1 7 x 5 of 20, fc2 4 x 2 of 7.
  const { keep, of, layers } = report.pattern!;
  assertEquals([keep, of, ...layers.map(({ groups }) => groups)], [1, 4, 36, 45, 35, 8]);
  assertEquals(layers.map(({ groups, fitting }) => fitting === groups), [true, true, false, true]);
});

Deno.test("runPrune() takes no filter and no input of a protected layer, to a sparsity, a cost or a confidence", async () => {
  const goals = [
    { ...anyChannels, sparsity: 0.3 },
    { ...anyChannels, targetParameters: 0.75 },
    { granularity: "channel", confidence: 0.999, rounds: 2 },
  ];
  for (const goal of goals) {
    const options = { compare: false, epochs: 1, finetuneEpochs: 0, protect: "conv2" };
    const { report, model } = await run({ ...options, ...goal });
    const { graph } = decodeModel(model, "model"), name = JSON.stringify(goal);
    assert(report.parameters.removed > 0, name);
    assertEquals(report.layers.slice(0, 2).map(({ kept, weights }) => weights - kept), [0, 0], name);
    assertEquals(report.compaction!.channels.map(({ name }) => name), ["fc1", "relu3"], name);
    assertEquals(graph.layers.slice(0, 6), tinyGraph().layers.slice(0, 6), name);
  }
});

Deno.test("runPrune() writes N:M along PyTorch's columns, behind a flatten too", async () => {
  const { report, model } = await run({ ...atOnce, granularity: "2:4", criterion: "magnitude" });
  const { parameters } = decodeModel(model, "model");
  const fc1 = parameters.get("fc1.weight")!;
  // Rows of 20 features, 5 channels of 4 pixels.
  assertEquals(fc1.length, 7 * 20);
  for (let first = 0; first < fc1.length; first += 4) {
    assertEquals(fc1.subarray(first, first + 4).filter((weight) => weight !== 0).length, 2, `from ${first}`);
  }
  assert(report.pattern!.layers.every(({ groups, fitting }) => groups === fitting && groups > 0));
});
