import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { runCompare } from "../../src/runs/compare.ts";
import { loadModel } from "../../src/api/load_model.ts";
import { type PruneRunOptions, runPrune } from "../../src/runs/prune.ts";
import type { PruneRound } from "../../src/prune/loop.ts";
import { formatRound } from "../../src/text/prune.ts";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { configOf } from "../helpers/config.ts";
import { loadDataset } from "../../src/data/locate.ts";
import { ConfigError, NumericError, ShapeError } from "../../src/errors.ts";
import { Network } from "../../src/gpu/network.ts";
import { decodeModel } from "../../src/io/model_file.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyIdx } from "../helpers/idx_files.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const small = { epochs: 2, batch: 16, rounds: 2, learningRate: 0.05, seed: 1 };

/** Channels of a network that has few: any number of them. */
const anyChannels = { granularity: "channel", scope: "global", roundTo: 1 };

/** The data set as `deno task prune` reads it. */
function openTiny() {
  const files = Object.entries(tinyDatasetFiles(tinyDataset())).map((
    [name, bytes],
  ) => [`tiny/${name}`, bytes]);
  const places = { folder: "tiny", files: memoryFiles(Object.fromEntries(files)) };
  return loadDataset({ ...places, allowDownload: false, note() {} });
}

async function run(
  config: Record<string, unknown>,
  more: Pick<PruneRunOptions, "onLastGood" | "onFootprint" | "onProgress" | "onRound" | "teacher"> = {},
) {
  return await runPrune(await deviceOf(), {
    config: configOf({ ...small, ...config }),
    dataset: await openTiny(),
    graph: tinyGraph(),
    ...more,
  });
}

Deno.test("runPrune() gives the same report and model for the same seed, and others for another", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const first = await run({});
  assertEquals(gpu.allocatedBytes, start, "nothing is left on the device");
  const second = await run({});
  assertEquals(second.report, first.report);
  assertEquals(second.model, first.model);
  const other = await run({ seed: 2, compare: false });
  assertNotEquals(other.model, first.model);
});

Deno.test("runPrune() reports what became of every weight", async () => {
  const { report, model } = await run({ sparsity: 0.6 });
  assertEquals(pruneReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
  const { prunable, removed, total } = report.parameters;
  assertEquals(removed, Math.floor(0.6 * prunable));
  assertEquals(report.layers.reduce((sum, { weights }) => sum + weights, 0), prunable);
  assertEquals(report.layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0), removed);
  assertEquals(report.bytes, { before: 4 * total, after: 4 * (total - removed) + Math.ceil(prunable / 8) });
  assertEquals(report.criteria.map(({ criterion }) => criterion), [
    "confidence",
    "magnitude",
    "gradient",
    "l1",
    "random",
  ]);
  assertEquals(
    report.training!.map(({ phase, epochs }) => [phase, epochs.length]),
    [["train", 2], ["fine-tune 1/2", 1], ["fine-tune 2/2", 1]].concat(
      report.criteria.map(({ criterion }) => [`compare ${criterion}`, 1]),
    ),
  );
  const first = report.training![0];
  assert(first.epochs[1].loss < first.epochs[0].loss && first.best === undefined);
  assertEquals(report.rounds.map(({ round }) => round), [1, 2]);
  assertEquals(report.accuracy.finetuned, report.rounds[1].accuracyFinetuned);
  assertEquals(report.accuracy.pruned, report.rounds[1].accuracyPruned);
  const { test, calibration, train } = report.dataset;
  assertEquals([train + calibration, calibration, test], [96, 19, 40]);
  const { rightToWrong, wrongToRight, stayedRight, stayedWrong } = report.flips;
  assertEquals(rightToWrong + wrongToRight + stayedRight + stayedWrong, test);
  assertEquals((stayedRight + rightToWrong) / test, report.accuracy.trained);
  assertEquals((stayedRight + wrongToRight) / test, report.accuracy.finetuned);
  assertEquals(report.classes.reduce((sum, { change }) => sum + change, 0), wrongToRight - rightToWrong);
  for (const layer of report.layers) {
    assertEquals(layer.confidenceHistogram.reduce((sum, count) => sum + count, 0), layer.weights);
  }
  const { masks, parameters } = decodeModel(model, "model");
  const zeros = [...masks.values()].flatMap((mask) => [...mask]).filter((keep) => keep === 0).length;
  assertEquals(zeros, removed);
  for (const [name, mask] of masks) {
    assert(parameters.get(name)!.every((weight, i) => mask[i] === 1 || weight === 0));
  }
});

Deno.test("runPrune() by confidence ends at a fixed point or with the rounds", async () => {
  const { report } = await run({ confidence: 0.3, rounds: 30, finetuneEpochs: 0, compare: false });
  assertEquals(report.end, "fixed point");
  assertEquals(report.criteria, []);
  assert(report.parameters.removed > 0);
});

Deno.test("runPrune() hands over the last good model where a loss is not finite", async () => {
  const kept: Uint8Array[] = [];
  const onLastGood = (model: Uint8Array) => Promise.resolve(void kept.push(model));
  await assertRejects(
    () => run({ learningRate: 1e12 }, { onLastGood }),
    NumericError,
    "Cannot train at step",
  );
  assertEquals(kept.length, 1);
  const { parameters, graph } = decodeModel(kept[0], "last good");
  // No step was good, so these are the values before training.
  using fresh = new Network(await deviceOf(), graph, small.seed);
  assertEquals(parameters, await fresh.readParameters());
});

Deno.test("runPrune() refuses data of which nothing could be set aside", async () => {
  const places = { folder: "tiny", files: memoryFiles(tinyIdx("tiny")) };
  const dataset = await loadDataset({ ...places, allowDownload: false, note() {} });
  const config = configOf({});
  const options = { config, dataset, graph: tinyGraph() };
  await assertRejects(
    async () => await runPrune(await deviceOf(), options),
    ShapeError,
    "3 training examples, expected 5",
  );
});

Deno.test("runPrune() holds validation examples out, follows a teacher and takes the best epochs", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const config = {
    validation: 20,
    patience: 1,
    distill: 0.5,
    accumulate: 2,
    schedule: "cosine",
    compare: false,
  };
  const footprints: number[] = [];
  const onFootprint = ({ totalBytes }: { totalBytes: number }, use: string) => {
    assert(totalBytes > 0);
    if (use === "training") footprints.push(totalBytes);
  };
  const { report, model } = await run(config, { onFootprint });
  assertEquals(report.dataset.train, 96 - 19 - 20);
  for (const { epochs, best } of report.training!) {
    const { epoch, ...validation } = best!;
    assertEquals(epochs[epoch].validation, validation);
    assert(epochs.every(({ validation }) => validation!.accuracy <= best!.accuracy));
  }
  assertEquals((await run(config)).report, report);
  assertNotEquals((await run({ ...config, distill: undefined }, { onFootprint })).model, model);
  assertNotEquals((await run({ ...config, distillFeatures: 0.5 })).model, model);
  assert(footprints[0] > footprints[1], "a teacher takes memory");
  assertEquals(gpu.allocatedBytes, start, "nothing is left on the device");
  await assertRejects(() => run({ validation: 77 }), ShapeError, "more than the 77 for validation");
});

Deno.test("runPrune() follows a teacher that is given from the start", async () => {
  const config = { distill: 0.9, finetuneEpochs: 0, compare: false, rounds: 1 };
  const files = memoryFiles({ "t.safetensors": (await run({ seed: 5, compare: false })).model });
  const task = await openTiny();
  const teacher = await loadModel({ model: "t.safetensors" }, { files, task });
  const plain = await run({ ...config, distill: undefined }),
    taught = await run(
      { ...config, teacher: "t.safetensors" },
      { teacher },
    );
  assertNotEquals(taught.model, plain.model);
});

const atOnce = { compare: false, rounds: undefined, epochs: 1 }, brief = { ...atOnce, rounds: 1 };

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

Deno.test("runPrune() undoes every round where no drop is allowed and weights go at random", async () => {
  const config = {
    ...atOnce,
    epochs: 12,
    finetuneEpochs: 0,
    sparsity: 0.999,
    validation: 20,
    allowedDrop: 0,
  };
  const { report, model } = await run({ ...config, criterion: "random", pruneSchedule: "one-shot" });
  const undone = report.rounds.filter(({ isUndone }) => isUndone);
  assert(undone.length > 0, "a network of nothing is worse");
  assertEquals(undone.length, report.rounds.length);
  assertEquals([report.parameters.removed, report.accuracy.finetuned], [0, report.accuracy.trained]);
  const { masks } = decodeModel(model, "model");
  const zeros = [...masks.values()].flatMap((mask) => [...mask]).filter((keep) => keep === 0).length;
  assertEquals(zeros, report.parameters.removed);
});

Deno.test("runPrune() warns in its report of layers of which little is left, and of accuracy at chance", async () => {
  const few = { ...atOnce, epochs: 12, finetuneEpochs: 0, pruneSchedule: "one-shot" };
  const { report: { warnings = [] } } = await run({ ...few, sparsity: 0.99 });
  assert(
    warnings.some((text) => /^under 5 % of the weights of a layer are left: .*\d of \d+/.test(text)),
    `${warnings}`,
  );
  assert(
    warnings.some((text) => text.startsWith("accuracy after pruning is no better than chance")),
    `${warnings}`,
  );
  assertEquals((await run({ ...few, sparsity: 0.1 })).report.warnings, []);
});

Deno.test("runPrune() lets weights come back, and counts both flows", async () => {
  const { report } = await run({ confidence: 0.3, regrow: 0.5, rounds: 6, compare: false });
  let removed = 0;
  for (const round of report.rounds) {
    removed += round.outflow - round.inflow;
    assertEquals(removed, round.removed);
  }
  assert(report.rounds.some(({ inflow }) => inflow > 0));
  // The gradients of what a round removes are not those at 0, so that none of it comes back in the same round.
  assertEquals(report.rounds[0]!.inflow, 0);
  assert(report.rounds[0]!.outflow > 0);
});

Deno.test("runPrune() goes on to the fixed point of a confidence, or keeps the round that validation chooses", async () => {
  const lines: string[] = [];
  const onRound = (round: PruneRound) => void lines.push(formatRound(round));
  const fixed = await run({ confidence: 0.5, rounds: undefined, compare: false, finetuneEpochs: 0 }, {
    onRound,
  });
  assertEquals(fixed.report.end, "fixed point");
  assert(fixed.report.rounds.length > 3);
  assertEquals(fixed.report.rounds.at(-1)!.below, 0);
  assertEquals(lines.length, fixed.report.rounds.length);
  const { below, above, outflow } = fixed.report.rounds[0]!;
  const start = `round 1: ${below} weights lay below the threshold and ${above} above; ${outflow} went, `;
  assert(lines[0]!.startsWith(start), lines[0]);
  const { report, model } = await run({
    confidence: "auto",
    rounds: undefined,
    validation: 16,
    compare: false,
  });
  const chosen = report.rounds.find(({ round }) => round === report.chosenRound);
  assertEquals(report.parameters.removed, chosen?.removed ?? 0);
  const lowest = report.rounds.reduce((best, next) =>
    next.lossValidation! < best.lossValidation! ? next : best
  );
  // The network before the first round may be the best of all.
  if (chosen) assert(chosen.lossValidation! <= lowest.lossValidation! + lowest.lossErrorValidation!);
  else assertEquals(report.accuracy.finetuned, report.accuracy.trained);
  assertEquals(pruneReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
  assert(model.length > 0);
});

Deno.test("runPrune() scores by the steps' own noise", async () => {
  const { report } = await run({ ...brief, epochs: 2, criterion: "snr" });
  assertEquals(report.parameters.removed, Math.floor(report.parameters.prunable / 2));
});

Deno.test("runPrune() refits what is kept, which comes nearer to the trained network without training", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const config = { epochs: 12, finetuneEpochs: 0, rounds: 2, sparsity: 0.7, criterion: "magnitude" };
  const plain = await run({ ...config, compare: false }), seen = new Map<string, number[]>();
  const refitted = await run({ ...config, refit: "layers" }, {
    onProgress: (phase, { step, steps }) => {
      if (phase.startsWith("refit")) seen.set(phase, [...seen.get(phase) ?? [], step / steps]);
    },
  });
  // Four layers, in each of two rounds and for each criterion that is compared.
  const names = ["1/2", "2/2", ...refitted.report.criteria.map(({ criterion }) => `for ${criterion}`)];
  assertEquals([...seen], names.map((name) => [`refit ${name}`, [0, 0.25, 0.5, 0.75, 1]]));
  assertEquals(gpu.allocatedBytes, start, "nothing is left on the device");
  assertEquals(refitted.report.parameters, plain.report.parameters);
  assertNotEquals(refitted.model, plain.model);
  assert(refitted.report.accuracy.finetuned >= plain.report.accuracy.finetuned);
  assertEquals(refitted.report.config.prune.after, { refit: { by: "layers", selectionSteps: 3 } });
  const tuned = await run({
    ...config,
    ...brief,
    finetuneEpochs: 1,
    refit: "layers",
    validation: 16,
    allowedDrop: 0.5,
  });
  assertEquals(gpu.allocatedBytes, start, "nothing is left on the device");
  assert(tuned.report.parameters.removed > 0);
});

Deno.test("runPrune() refits end to end after the last removal, and after each with a confidence", async () => {
  const config = { ...brief, epochs: 4, finetuneEpochs: 0, rounds: 2, refit: "end-to-end", refitSteps: 5 };
  const stepsOf = async (more: Record<string, unknown>) => {
    const seen = new Map<string, number>();
    const { report } = await run({ ...config, ...more, compare: false }, {
      onProgress: (phase, { steps }) => void (phase.startsWith("refit") && seen.set(phase, steps)),
    });
    assert(report.parameters.removed > 0);
    return [...seen.values()];
  };
  // Four layers; five steps are one pass or more.
  const [layers, all] = await stepsOf({ sparsity: 0.7, criterion: "magnitude" });
  assertEquals(layers, 4);
  assert(all >= 9);
  assertEquals(await stepsOf({ sparsity: undefined, confidence: 0.6 }), [all, all]);
});
