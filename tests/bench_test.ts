/** Runs the benches on tiny work end to end; how long anything takes is not asserted. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { benchNames, type BenchSizes, runBenches } from "../bench/benches.ts";
import { openConfidence } from "../bench/confidence.ts";
import { computeShare, layerCosts } from "../bench/cost.ts";
import { runLibrary } from "../bench/library.ts";
import { measure, summarize } from "../bench/measure.ts";
import { formatProfile, profileStep } from "../bench/profile_step.ts";
import { type BenchRecord, formatRecords } from "../bench/record.ts";
import { deepNetwork, formatScaling, runScaling, type ScalingRecord } from "../bench/scaling.ts";
import { benchGraph, openStep } from "../bench/steps.ts";
import { formatStreaming, runStreaming, type StreamingRecord } from "../bench/streaming.ts";
import { AdapterError, ConfigError } from "../src/errors.ts";
import { openGpu } from "../src/gpu/device.ts";

const sizes: BenchSizes = {
  trainBatch: 2,
  residualTrainBatch: 2,
  inferenceBatch: 3,
  parameters: 2000,
  convolution: { images: 1, inChannels: 5, outChannels: 6, side: 4, kernel: 3 },
  refit: { images: 2, channels: 4, side: 3, kept: 0.5 },
};

const seconds = 0.01;

/** Checks the keys that every JSON line has, as a reader of the line would see them. */
function assertRecord(line: string): BenchRecord {
  const record = JSON.parse(line) as BenchRecord;
  assert.equal(typeof record.name, "string");
  assert(Number.isFinite(record.value), `${record.name} value`);
  assert.equal(typeof record.unit, "string");
  assert.equal(typeof record.adapter, "string");
  assert(record.spread >= 0, `${record.name} spread`);
  return record;
}

Deno.test("runBenches() yields a record a bench, with shares of the limits", async () => {
  using gpu = await openGpu();
  const records: BenchRecord[] = [];
  for await (const record of runBenches(gpu, { seconds, sizes })) {
    records.push(assertRecord(JSON.stringify(record)));
  }
  assert.deepEqual(records.map(({ name }) => name), benchNames);
  for (
    const name of [
      "seed_train_steps",
      "seed_inference_images",
      "resnet20_train_steps",
      "resnet20_inference_images",
      "confidence_parameters",
      "conv2d_forward",
      "conv2d_backward_input",
      "conv2d_backward_weight",
      "refit_gram",
      "refit_solve",
    ]
  ) {
    const record = records.find((each) => each.name === name);
    assert(record !== undefined && record.value > 0 && record.share! > 0, name);
  }
  assert.equal(formatRecords(records).split("\n").length, 2 + benchNames.length);
  assert.equal(gpu.allocatedBytes, 0);
});

Deno.test("runBenches() yields only what was named, and refuses other names", async () => {
  using gpu = await openGpu();
  const names: string[] = [];
  for await (const { name } of runBenches(gpu, { seconds, sizes, names: ["conv2d_forward"] })) {
    names.push(name);
  }
  assert.deepEqual(names, ["conv2d_forward"]);
  await assert.rejects(
    () => runBenches(gpu, { seconds, sizes, names: ["conv2d"] }).next(),
    (error) => error instanceof ConfigError && /"conv2d".*seed_train_steps/.test(error.message),
  );
});

Deno.test("openStep() trains: examples are counted and losses are finite", async () => {
  using gpu = await openGpu();
  using step = await openStep(gpu, { graph: deepNetwork(3), batch: 2, mode: "train" });
  for (let i = 0; i < 5; i++) step.submit();
  const { count, lossSum, bad } = await step.count();
  assert.equal(count, 10);
  assert(lossSum > 0 && bad === undefined);
});

Deno.test("openConfidence() keeps exactly half, each time anew", async () => {
  using gpu = await openGpu();
  using workload = await openConfidence(gpu, 3000);
  for (let i = 0; i < 2; i++) {
    workload.submit();
    assert.equal(await workload.countKept(), 1500);
  }
});

Deno.test("layerCosts() counts the multiply-adds of the seed network without padding", () => {
  const costs = layerCosts(benchGraph, 64);
  assert.equal(costs.get("conv1")!.flops, 2 * 64 * 32 * 32 * 32 * 27);
  assert.equal(costs.get("conv2")!.flops, 2 * 64 * 16 * 16 * 64 * 288);
  assert.equal(costs.get("fc1")!.flops, 2 * 64 * 4096 * 128);
  assert.equal(costs.get("fc2")!.bytes, 4 * (64 * (128 + 10) + 1280));
});

Deno.test("computeShare() takes the limit that binds each part", () => {
  const peaks = { fma: 10, copy: 2 };
  assert.deepEqual(computeShare([{ flops: 1e9, bytes: 1 }], peaks, 200), { share: 0.5, limit: "fma" });
  assert.deepEqual(computeShare([{ flops: 0, bytes: 1e9 }, { flops: 1e9, bytes: 0 }], peaks, 1000), {
    share: 0.6,
    limit: "copy",
  });
});

Deno.test("summarize() gives the median and the spread of its tenth to its ninetieth per cent", () => {
  const { median, spread } = summarize([10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
  assert.equal(median, 5);
  assert.equal(spread, 8 / 5);
});

Deno.test("measure() finishes all that it submits before it reads the clock", async () => {
  let open = 0, submitted = 0;
  const { samples, repetitions } = await measure({
    submit() {
      open++;
      submitted++;
    },
    finish() {
      open = 0;
      return new Promise((resolve) => setTimeout(resolve, 2));
    },
  }, { seconds: 0.01, samples: 3 });
  assert.equal(open, 0);
  assert.equal(samples, 3);
  assert(submitted >= 3 * repetitions);
});

Deno.test("runScaling() yields every point, and says why one was not measured", async () => {
  using gpu = await openGpu();
  const points = { batches: [1, 2], widths: [0.5], depths: [1], parameters: [1000, 1e9], batch: 1 };
  const records: ScalingRecord[] = [];
  for await (const record of runScaling(gpu, { seconds, points })) {
    assertRecord(JSON.stringify(record));
    records.push(record);
  }
  assert.deepEqual(records.map(({ name }) => name), [
    "scaling_batch_1",
    "scaling_batch_2",
    "scaling_width_0.5",
    "scaling_depth_1",
    "scaling_parameters_1000",
    "scaling_parameters_1000000000",
  ]);
  assert.match(records.at(-1)!.note ?? "", /bytes/);
  assert.match(formatScaling(records), /batch {2,}ms/);
});

Deno.test("profileStep() times every dispatch, or says that the adapter cannot", async () => {
  using gpu = await openGpu();
  const step = { graph: benchGraph, batch: 1, mode: "train" } as const;
  if (!gpu.device.features.has("timestamp-query")) {
    await assert.rejects(() => profileStep(gpu, { seconds, step }), AdapterError);
    return;
  }
  const profile = await profileStep(gpu, { seconds, step });
  const timed = profile.records.filter(({ name }) => name === "profile");
  assert(timed.some(({ label, rateUnit }) => label === "conv2 forward, pooled" && rateUnit === "GFLOP/s"));
  assert.equal(timed.length + 3, profile.records.length);
  profile.records.forEach((record) => assertRecord(JSON.stringify(record)));
  assert.match(formatProfile(profile), /sgd step/);
});

Deno.test("bench command prints JSON lines, and one line of error with exit code 1", async () => {
  const script = fileURLToPath(new URL("../src/cli/bench.ts", import.meta.url));
  const run = async (...args: string[]) => {
    const command = new Deno.Command("deno", { args: ["run", "--no-lock", "--no-prompt", script, ...args] });
    const { code, stdout, stderr } = await command.output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  };
  const { code, stdout } = await run("peak_fma", "--json", "--seconds", "0.01", "--read-path", "storage");
  assert.equal(code, 0);
  assert.deepEqual(stdout.trim().split("\n").map((line) => assertRecord(line).name), ["peak_fma"]);
  const failed = await run("peak_fmo");
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^error: Cannot run bench "peak_fmo".*peak_copy_buffer/m);
});

Deno.test("runStreaming() trains from files beside a resident part, and removes the files", async () => {
  using gpu = await openGpu();
  const records: StreamingRecord[] = [], notes: string[] = [];
  const options = {
    sizeBytes: 2 ** 20,
    seconds,
    stepsPerGroup: 1,
    note: (line: string) => void notes.push(line),
  };
  for await (const record of runStreaming(gpu, options)) {
    assertRecord(JSON.stringify(record));
    records.push(record);
  }
  assert.deepEqual(records.map(({ name, unit }) => `${name} ${unit}`), [
    "streaming_resident ms/step",
    "streaming_streamed ms/step",
    "streaming_ratio x",
    "streaming_without_steps GiB/s",
    "streaming_peak_host_memory MiB",
  ]);
  assert(records.every(({ value }) => value > 0));
  assert.equal(formatStreaming(records).split("\n").length, 2 + records.length);
  assert.equal(gpu.allocatedBytes, 0);
  const folder = /to (.+)$/.exec(notes[0]!)![1]!;
  await assert.rejects(() => Deno.stat(folder), Deno.errors.NotFound);
});

Deno.test("runLibrary() trains by the library and by the command, and removes what both wrote", async () => {
  const records: BenchRecord[] = [];
  for await (const record of runLibrary({ examples: 320, epochs: 1, rounds: 1 })) {
    records.push(assertRecord(JSON.stringify(record)));
  }
  const names = records.map(({ name, unit }) => `${name} ${unit}`);
  assert.deepEqual(names, [
    "library_train_steps steps/s",
    "command_train_steps steps/s",
    "library_vs_command x",
  ]);
  const [library, command, ratio] = records.map(({ value }) => value);
  assert(library! > 0 && command! > 0);
  assert(Math.abs(ratio! - library! / command!) < 1e-9 * ratio!);
});
