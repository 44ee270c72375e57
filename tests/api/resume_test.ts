import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { type PruneRunResult, runPrune } from "../../src/api/prune_run.ts";
import { parsePruneConfig } from "../../src/config.ts";
import type { Dataset, Split } from "../../src/data/dataset.ts";
import { openShards } from "../../src/data/shards.ts";
import { ConfigError, FileError, FormatError } from "../../src/errors.ts";
import type { Files } from "../../src/files.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

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
  ...{ validation: 16, allowedDrop: 0, sparsity: 0.999, replace: true, posterior: "layer", calibration: 16 },
};

/** What reads the variance of training's steps, and what tries removals before it removes. */
const noisy = { ...plain, checkpointEvery: 1, criterion: "snr", compare: false };
const tempered = {
  ...{ ...plain, batch: 8, checkpointEvery: 1, compare: false },
  ...{ posteriorTemperature: "auto", validation: 16 },
};

interface RunOptions {
  readonly config: Record<string, unknown>;
  readonly files: Files;
  readonly resumes: boolean;
  readonly dataset?: Dataset<Split>;
  readonly gpu?: Gpu;
}

async function run(
  { config, files, resumes, dataset = tinyDataset(), gpu }: RunOptions,
): Promise<PruneRunResult> {
  return await runPrune(gpu ?? await deviceOf(), {
    config: parsePruneConfig(config, "a test"),
    dataset,
    graph: tinyGraph(),
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

for (const [name, config] of Object.entries({ ...configs, undoing, noisy, tempered })) {
  Deno.test(`runPrune() resumed after any checkpoint ends with the same bits, ${name}`, async () => {
    const gpu = await deviceOf(), start = gpu.allocatedBytes;
    const whole = await run({ config, files: memoryFiles(), resumes: false });
    const { pieces, result } = await runInPieces({ config }, 2);
    assert(pieces >= 6, `${pieces} pieces`);
    assertEquals(result, whole);
    assertEquals(JSON.stringify(result.report), JSON.stringify(whole.report), "the same bytes too");
    assertEquals(gpu.allocatedBytes, start);
    assertEquals(whole.report.rounds.some(({ isUndone }) => isUndone), name === "undoing");
    // Checkpoints change nothing.
    const without = await runPrune(gpu, {
      config: parsePruneConfig({ ...config, checkpointEvery: 0 }, "a test"),
      dataset: tinyDataset(),
      graph: tinyGraph(),
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
  assertEquals(result, whole);
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
    'Cannot resume "out/checkpoint": epochs was 2 and is 5; learningRate was 0.02 and is 0.5; ' +
      "sparsity was 0.5 and is absent; confidence was absent and is 0.9, expected what the run was started with",
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
