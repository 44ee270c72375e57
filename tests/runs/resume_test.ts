/** Tests of runs that were ended anywhere and go on: they come to the same bits. */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { openShards } from "../../src/data/shards.ts";
import { runPrune } from "../../src/runs/prune.ts";
import { configOf } from "../helpers/config.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import {
  bitsOf,
  endingAt,
  loaded,
  plain,
  rich,
  run,
  type RunOptions,
  taught,
} from "../helpers/resumed_runs.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

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
