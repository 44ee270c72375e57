import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { loadModel } from "../../src/api/load_model.ts";
import { type PruneRunOptions, type PruneRunResult, runPrune } from "../../src/runs/prune.ts";
import { removeCheckpoints } from "../../src/runs/journal.ts";
import { readResults } from "../../src/runs/results.ts";
import { configOf } from "../helpers/config.ts";
import type { Dataset, Split } from "../../src/data/dataset.ts";
import { openShards } from "../../src/data/shards.ts";
import { ConfigError, FileError, FormatError } from "../../src/errors.ts";
import type { Files } from "../../src/files.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { loadCheckpoint } from "../../src/io/checkpoint.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { weightTensors } from "../helpers/weight_files.ts";

const plain = { epochs: 2, batch: 16, rounds: 2, seed: 1, checkpointEvery: 2 };

/** What has a state of its own: a second moment, gathered gradients, a teacher, the best epoch, an exponential mean. */
const rich = {
  ...{ epochs: 3, batch: 8, accumulate: 2, rounds: 2, seed: 2, checkpointEvery: 1, compare: false },
  ...{
    optimizer: "adamw",
    averaging: "ema",
    validation: 16,
    patience: 2,
    distill: 0.5,
    augment: "flip-crop",
    mixup: 0.4,
  },
  learningRate: 0.01,
};

const configs = { plain, rich };

/** What undoes rounds, and what replaces weights by the network before. */
const undoing = {
  ...{ epochs: 8, batch: 8, learningRate: 0.05, rounds: 2, seed: 5, checkpointEvery: 7, compare: false },
  ...{ validation: 16, allowedDrop: 0, sparsity: 0.999, refit: "layers", selection: "obs", calibration: 16 },
};

/** What trains without labels after a removal. */
const followed = {
  ...undoing,
  validation: undefined,
  allowedDrop: undefined,
  refit: "blocks",
  refitSteps: 3,
};

/** What reads the variance of training's steps, and what tries removals before it removes. */
const noisy = { ...plain, checkpointEvery: 1, criterion: "snr", compare: false };
const tempered = {
  ...{ ...plain, batch: 8, checkpointEvery: 1, compare: false },
  ...{ posteriorTemperature: "auto", validation: 16 },
};

/** What goes to a fixed point and brings weights back, and what learns from another network, from weights on. */
const regrown = {
  ...{ ...plain, checkpointEvery: 1, compare: false, sparsity: undefined, rounds: 3 },
  ...{ confidence: 0.7, regrow: 0.9, calibration: 16 },
};
const choosing = {
  ...{ ...plain, checkpointEvery: 1, compare: false, sparsity: undefined, rounds: undefined },
  ...{ confidence: "auto", validation: 16, calibration: 16 },
};
const taught = { ...plain, checkpointEvery: 1, compare: false, distill: 0.5, teacher: "t.safetensors" };

/** A network that others trained, with one weight of it changed. */
async function loaded(change = 0): Promise<Pick<PruneRunOptions, "weights" | "teacher">> {
  const tensors = weightTensors(tinyGraph());
  tensors[0].values[3] += change;
  const files = memoryFiles({ "t.safetensors": writeSafetensors(tensors, { format: "pt" }) });
  const teacher = await loadModel({ model: "t.safetensors" }, { files, task: tinyDataset() });
  return { teacher, weights: teacher.weights! };
}

interface RunOptions {
  readonly config: Record<string, unknown>;
  readonly files: Files;
  readonly resumes: boolean;
  readonly dataset?: Dataset<Split>;
  readonly gpu?: Gpu;
  readonly input?: Pick<PruneRunOptions, "weights" | "teacher" | "signal" | "onProgress">;
}

/** What follows from seed and adapter; times do not. */
function bitsOf({ report, model }: PruneRunResult): Pick<PruneRunResult, "report" | "model"> {
  return { report, model };
}

async function run(
  { config, files, resumes, dataset = tinyDataset(), gpu, input = {} }: RunOptions,
): Promise<PruneRunResult> {
  return await runPrune(gpu ?? await deviceOf(), {
    config: configOf(config),
    dataset,
    graph: tinyGraph(),
    ...input,
    checkpoints: { files, folder: "out/checkpoint", resumes },
  });
}

/** Files that end the run at a write, before it or after it. */
function endingAt(files: Files, at: { readonly write: number; readonly isDone: boolean }): Files {
  let writes = 0;
  return {
    ...files,
    async write(path, bytes) {
      const isIt = writes++ === at.write;
      if (!isIt || at.isDone) await files.write(path, bytes);
      if (isIt) throw new Error("the test ends the run");
    },
  };
}

/** The files of a run that was ended at each so many writes, and what the last start came to. */
async function runInPieces(options: Omit<RunOptions, "files" | "resumes">, step: number) {
  const files = memoryFiles();
  let pieces = 0;
  for (;; pieces++) {
    const resumes = files.entries.has("out/checkpoint/run.safetensors");
    const ending = endingAt(files, { write: step, isDone: pieces % 2 === 0 });
    try {
      return { pieces, result: await run({ ...options, files: ending, resumes }) };
    } catch (error) {
      if ((error as Error).message !== "the test ends the run") throw error;
    }
  }
}

for (
  const [name, config] of Object.entries({
    ...configs,
    undoing,
    followed,
    noisy,
    tempered,
    regrown,
    choosing,
    taught,
  })
) {
  Deno.test(`runPrune() resumed after any checkpoint ends with the same bits, ${name}`, async () => {
    const gpu = await deviceOf(), start = gpu.allocatedBytes;
    const input = name === "taught" ? await loaded() : {};
    const whole = await run({ config, input, files: memoryFiles(), resumes: false });
    const { pieces, result } = await runInPieces({ config, input }, 2);
    assert(pieces >= 6, `${pieces} pieces`);
    assertEquals(bitsOf(result), bitsOf(whole));
    assertEquals(JSON.stringify(result.report), JSON.stringify(whole.report), "the same bytes too");
    assertEquals(gpu.allocatedBytes, start);
    assertEquals(whole.report.rounds.some(({ isUndone }) => isUndone), name === "undoing");
    // Checkpoints change nothing.
    const without = await runPrune(gpu, {
      config: configOf({ ...config, checkpointEvery: 0 }),
      dataset: tinyDataset(),
      graph: tinyGraph(),
      ...input,
    });
    assertEquals(without.model, whole.model);
    assertEquals({ ...without.report, config: whole.report.config }, whole.report);
  });
}

Deno.test("runPrune() resumed goes on in the middle of an epoch that is read from shards", async () => {
  const named = Object.entries(shardFiles(tinyDataset(), { shardRows: 20 }));
  const files = memoryFiles(Object.fromEntries(named.map(([name, bytes]) => [`d/${name}`, bytes])));
  const { open, record } = watchedReader(files.entries);
  const dataset = await openShards({ files, folder: "d", openReader: open });
  const config = { ...plain, checkpointEvery: 1, compare: false, stream: "on", mixup: 0.4 };
  const whole = await run({ config, dataset, files: memoryFiles(), resumes: false });
  const { pieces, result } = await runInPieces({ config, dataset }, 3);
  assert(pieces > 3, `${pieces} pieces`);
  assertEquals(bitsOf(result), bitsOf(whole));
  assertEquals(record.opened, record.closed);
});

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

Deno.test("runPrune() told to stop keeps a checkpoint at the step, whenever that is, and ends with the same bits", async () => {
  const config = { ...rich, checkpointEvery: undefined },
    whole = await run({
      config,
      files: memoryFiles(),
      resumes: false,
    });
  const files = memoryFiles(), reason = new Error("told to stop");
  const places = new Set<string>();
  for (;;) {
    const controller = new AbortController();
    const onProgress = () => controller.abort(reason);
    const resumes = files.entries.has("out/checkpoint/run.safetensors");
    try {
      const input = { signal: controller.signal, onProgress };
      const result = await run({ config, files, resumes, input });
      assertEquals(bitsOf(result), bitsOf(whole));
      assertEquals(JSON.stringify(result.report), JSON.stringify(whole.report));
      break;
    } catch (error) {
      assert(error === reason, String(error));
      const path = "out/checkpoint/run.safetensors", stored = await loadCheckpoint(path, files);
      const { steps, training } = readResults(stored, path);
      if (training) {
        const { name, state: { step, steps } } = training;
        places.add(`${name} ${step === steps / 2 ? "between epochs" : "within"}`);
      } else places.add(`${steps.at(-1)!.name} at its end`);
    }
  }
  const phases = ["train", "fine-tune 1/2", "fine-tune 2/2"];
  for (const phase of phases) {
    assert(places.has(`${phase} within`) || places.has(`${phase} at its end`), phase);
  }
  assert(places.has("train within"), [...places].join());
  await assertRejects(
    () => run({ config, files: memoryFiles(), resumes: false, input: { signal: AbortSignal.abort(reason) } }),
    Error,
    "told to stop",
  );
});

const script = fileURLToPath(new URL("../helpers/resume_process.ts", import.meta.url));

/** Starts the tiny run in a process and kills it after some milliseconds; true where it came to its end before. */
async function runProcess(folder: string, config: unknown, afterMs: number): Promise<boolean> {
  const args = [
    "run",
    "--allow-read",
    "--allow-write",
    "--allow-env",
    script,
    folder,
    JSON.stringify(config),
  ];
  const child = new Deno.Command("deno", { args, stdout: "null", stderr: "piped" }).spawn();
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch (error) {
      // It ended by itself while the timer fired, and output() says how.
      if (!(error instanceof TypeError)) throw error;
    }
  };
  const timer = setTimeout(kill, Math.min(afterMs, 2 ** 31 - 1));
  const { success, signal, stderr } = await child.output();
  clearTimeout(timer);
  assert(success || signal === "SIGKILL", new TextDecoder().decode(stderr));
  return success;
}

/** The bytes that a run wrote at its end, as text. */
async function outcomeIn(folder: string): Promise<readonly string[]> {
  return await Promise.all(
    ["report.json", "model.safetensors"].map(async (name) => `${await Deno.readFile(`${folder}/${name}`)}`),
  );
}

for (const [name, config] of Object.entries(configs)) {
  Deno.test(`a run that is killed at 10 random moments ends with the same bytes, ${name}`, async () => {
    const folder = await Deno.makeTempDir(), kills: number[] = [];
    try {
      await Deno.mkdir(`${folder}/whole`);
      const start = performance.now();
      assert(await runProcess(`${folder}/whole`, config, Infinity));
      const wholeMs = performance.now() - start, whole = await outcomeIn(`${folder}/whole`);
      for (let runs = 0; kills.length < 10; runs++) {
        await Deno.mkdir(`${folder}/${runs}`);
        let afterMs = wholeMs * Math.random();
        while (!await runProcess(`${folder}/${runs}`, config, afterMs)) {
          kills.push(Math.round(afterMs));
          // Once all kills are made, the run is let go on to its end.
          afterMs = kills.length < 10 ? wholeMs * Math.random() : Infinity;
        }
        assertEquals(await outcomeIn(`${folder}/${runs}`), whole, `killed after ${kills.join(", ")} ms`);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
