/** Tests of what a run goes on from, and what it refuses. */
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import type { Dataset, Split } from "../../src/data/dataset.ts";
import { openShards } from "../../src/data/shards.ts";
import { ConfigError, FileError, FormatError } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { removeCheckpoints } from "../../src/runs/journal.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { endingAt, loaded, plain, run, taught } from "../helpers/resumed_runs.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";

Deno.test("runPrune() does not resume what is another run, and says what differs", async () => {
  const files = memoryFiles(), config = { ...plain, compare: false };
  await assertRejects(() => run({ config, files, resumes: true }), FileError, "run.safetensors");
  await assertRejects(
    () => run({ config, files: endingAt(files, { write: 3, isDone: true }), resumes: false }),
    Error,
    "the test ends the run",
  );
  const other = {
    ...config,
    epochs: 5,
    learningRate: 0.5,
    sparsity: undefined,
    confidence: 0.9,
    force: true,
  };
  const error = await assertRejects(() => run({ config: other, files, resumes: true }), ConfigError);
  assertEquals(
    error.message,
    'Cannot resume "out/checkpoint": train.epochs was 2 and is 5; train.learningRate was 0.02 and is 0.5; ' +
      'prune.goal.sparsity was 0.5 and is absent; prune.goal.schedule was "gradual" and is absent; ' +
      'prune.select.scope was "global" and is absent; prune.goal.confidence was absent and is 0.9, expected what the run was started with',
  );
  const fewer = tinyDataset({ train: 90 });
  await assertRejects(
    () => run({ config, files, resumes: true, dataset: fewer }),
    ConfigError,
    "training examples was 77 and is 72; calibration examples was 19 and is 18",
  );
  const path = "out/checkpoint/run.safetensors", bytes = files.entries.get(path)!;
  files.entries.set(path, bytes.slice(0, -1));
  await assertRejects(() => run({ config, files, resumes: true }), FormatError, "run.safetensors");
  files.entries.set(path, bytes);
  const result = await run({ config: { ...config, checkpointEvery: 3, force: true }, files, resumes: true });
  assertEquals(result.model, (await run({ config, files: memoryFiles(), resumes: false })).model);
});

Deno.test("runPrune() does not resume on another device, and says in what it differs", async () => {
  const files = memoryFiles(),
    config = { ...plain, compare: false },
    { device, adapter, path } = await deviceOf();
  const ended = run({ config, files: endingAt(files, { write: 3, isDone: true }), resumes: false });
  await assertRejects(() => ended, Error, "the test ends the run");
  const changes = {
    name: "a GPU",
    backend: "metal",
    vendor: "a vendor",
    architecture: "new",
    device: "7",
  } as const;
  const other = new Gpu(device, { ...adapter, ...changes }, {
    path: path === "texture" ? "storage" : "texture",
    subgroups: { size: 16, directive: "" },
  });
  const error = await assertRejects(() => run({ config, files, resumes: true, gpu: other }), ConfigError);
  for (
    const [key, before, now] of [
      ["device", adapter.name, "a GPU"],
      ["backend", adapter.backend, "metal"],
      ["vendor", adapter.vendor, "a vendor"],
      ["architecture", adapter.architecture, "new"],
      ["chip", adapter.device, "7"],
      ["read path", path, other.path],
      ["subgroup size", "none", 16],
    ]
  ) assertStringIncludes(error.message, `${key} was ${JSON.stringify(before)} and is ${JSON.stringify(now)}`);
  assertStringIncludes(error.message, ", expected what the run was started with");
});

Deno.test("runPrune() resumes where data and models lie elsewhere, as long as their contents agree", async () => {
  const files = memoryFiles(), config = { ...taught, data: "here", model: "seed", weights: "w.safetensors" };
  const elsewhere = { ...config, data: "there", weights: "v.safetensors", teacher: "u.safetensors" };
  const whole = await run({ config: elsewhere, input: await loaded(), files: memoryFiles(), resumes: false });
  const ended = async () =>
    await run({
      config,
      input: await loaded(),
      files: endingAt(files, { write: 3, isDone: true }),
      resumes: false,
    });
  await assertRejects(ended, Error, "the test ends the run");
  const { train, test, ...rest } = tinyDataset();
  const flip = (split: typeof train, key: "pixels" | "labels") => {
    const values = split[key].slice();
    values[5] = 1 - Math.min(1, values[5]);
    return { ...split, [key]: values };
  };
  const others = {
    "contents of the test examples": { ...rest, train, test: flip(test, "pixels") },
    "names of classes": { ...rest, train, test, classes: ["a", "b", "c", "d"] },
    normalisation: { ...rest, train, test, mean: [0.5] },
  };
  const resume = async (dataset: Dataset<Split>, change = 0) =>
    await run({ config: elsewhere, files, resumes: true, dataset, input: await loaded(change) });
  for (const [name, dataset] of Object.entries(others)) {
    const refused = await assertRejects(() => resume(dataset), ConfigError);
    assertMatch(
      refused.message,
      new RegExp(`"out/checkpoint": ${name} was "[^;]*" and is "[^;]*", expected`),
    );
  }
  const labels = await assertRejects(
    () => resume({ ...rest, train: flip(train, "labels"), test }),
    ConfigError,
  );
  assertMatch(labels.message, /contents of the (training|calibration) examples was/);
  const weights = await assertRejects(() => resume(tinyDataset(), 0.5), ConfigError);
  assertMatch(
    weights.message,
    /": weights to start from was "\w{32}" and is "\w{32}"; weights of the teacher was/,
  );
  assertEquals(await resume({ ...tinyDataset(), name: "another name" }), {
    ...whole,
    report: { ...whole.report, dataset: { ...whole.report.dataset, name: "another name" } },
  });
});

Deno.test("runPrune() resumed from shards notices that what is in them is other", async () => {
  const shards = shardFiles(tinyDataset(), { shardRows: 20 });
  const open = async (changes = 0) => {
    const named = Object.entries(shards).map(([name, bytes]) => {
      const other = bytes.slice();
      if (changes > 0 && name === "test-0.bin") other[other.length - 1] ^= 1;
      return [`d${changes}/${name}`, other] as const;
    });
    const files = memoryFiles(Object.fromEntries(named));
    return await openShards({ files, folder: `d${changes}`, openReader: watchedReader(files.entries).open });
  };
  const config = { ...plain, checkpointEvery: 1, compare: false, stream: "on" }, files = memoryFiles();
  const ended = async () =>
    await run({
      config,
      dataset: await open(),
      files: endingAt(files, { write: 2, isDone: true }),
      resumes: false,
    });
  await assertRejects(ended, Error, "the test ends the run");
  await assertRejects(
    async () => await run({ config, dataset: await open(1), files, resumes: true }),
    ConfigError,
    "contents of the test examples was",
  );
  await run({ config, dataset: await open(), files, resumes: true });
});

Deno.test("runPrune() does not resume from a damaged model beside its checkpoint, and names it", async () => {
  const files = memoryFiles(), config = { ...plain, compare: false };
  const ended = () => run({ config, files: endingAt(files, { write: 6, isDone: true }), resumes: false });
  await assertRejects(ended, Error, "the test ends the run");
  const path = "out/checkpoint/trained.safetensors", bytes = files.entries.get(path)!;
  for (const place of [9, bytes.length - 1]) {
    const damaged = bytes.slice();
    damaged[place] ^= 4;
    files.entries.set(path, damaged);
    const { message } = await assertRejects(() => run({ config, files, resumes: true }), FormatError);
    assertMatch(
      message,
      /^Cannot resume from "out\/checkpoint\/trained\.safetensors": its checksum is \w{12}\.\.\., /,
    );
  }
  files.entries.set(path, bytes);
  await run({ config, files, resumes: true });
});

Deno.test("runPrune() removes old checkpoints alone, and only once the run is known to be possible", async () => {
  const others = { "out/checkpoint/mine.safetensors": "mine", "out/checkpoint/run.safetensors.bak": "mine" };
  const files = memoryFiles({ ...others, "out/checkpoint/pruned.safetensors": "old" });
  const held = () => [...files.entries.keys()].sort();
  const before = held(), floors = { ...plain, floor: 0.9, sparsity: 0.5 };
  await assertRejects(() => run({ config: floors, files, resumes: false }), ConfigError);
  assertEquals(held(), before);
  const ended = () =>
    run({ config: plain, files: endingAt(files, { write: 0, isDone: true }), resumes: false });
  await assertRejects(ended, Error, "the test ends the run");
  assertEquals(held(), [...Object.keys(others), "out/checkpoint/run.safetensors"].sort());
  await removeCheckpoints({ files, folder: "out/checkpoint" });
  assertEquals(held(), Object.keys(others).sort());
});
