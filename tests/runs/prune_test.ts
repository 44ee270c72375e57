/** Tests of whole runs: what they report, refuse and undo. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../src/api/load_model.ts";
import { runPrune } from "../../src/runs/prune.ts";
import type { PruneRound } from "../../src/prune/loop.ts";
import { formatRound } from "../../src/text/prune.ts";
import { configOf } from "../helpers/config.ts";
import { loadDataset } from "../../src/data/locate.ts";
import { NumericError, ShapeError } from "../../src/errors.ts";
import { Network } from "../../src/gpu/network.ts";
import { decodeModel } from "../../src/io/model_file.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyIdx } from "../helpers/idx_files.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { atOnce, brief, openTiny, run, small } from "../helpers/tiny_run.ts";

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
