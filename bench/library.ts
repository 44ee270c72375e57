/**
 * Training by the library beside training by the command: the same network, data and settings, each opened as a user
 * opens it.
 *
 * @module
 */
import { loadDataset, Model, openGpu, seedNetwork } from "../mod.ts";
import { parseRunConfig } from "../src/config/config.ts";
import { spawnDeno } from "../src/deno/child.ts";
import { KernelError } from "../src/errors.ts";
import { readSchedule, readTraining } from "../src/runs/read_training.ts";
import { splitDataset } from "../src/runs/splits.ts";
import { summarize } from "./measure.ts";
import type { BenchRecord } from "./record.ts";
import { writeSyntheticShards } from "./streaming.ts";

/** How much is trained. */
export interface LibraryOptions {
  /** Training examples. */
  readonly examples: number;
  /** Epochs of each training. */
  readonly epochs: number;
  /** Trainings by each, in turn. */
  readonly rounds: number;
  /** Ends the measurement between two trainings once it is aborted. */
  readonly signal?: AbortSignal;
}

/** About half a minute on two processor cores. */
export const usualLibraryOptions: LibraryOptions = { examples: 4096, epochs: 2, rounds: 3 };

const imageBytes = 3 * 32 * 32;

/** What both are told. */
function makeSettings({ epochs }: LibraryOptions) {
  return {
    data: { limit: 0, calibration: 256 },
    train: { epochs },
    prune: { goal: { schedule: "one-shot" }, finetune: { epochs: 0 }, compare: false },
  };
}

/** Trains by the library, and returns the examples a second of its last reading. */
async function trainByLibrary(folder: string, options: LibraryOptions): Promise<number> {
  const config = parseRunConfig(makeSettings(options), "the bench");
  using gpu = await openGpu();
  const dataset = await loadDataset({ folder });
  const { train } = await splitDataset(gpu, config, dataset);
  const graph = seedNetwork(dataset);
  using model = new Model(gpu, graph, { task: dataset, seed: config.seed });
  let rate = 0;
  await model.train(train, {
    ...readTraining(config, dataset),
    epochs: config.train.epochs,
    schedule: readSchedule(config, "train"),
    onProgress: ({ examplesPerSecond }) => rate = examplesPerSecond,
  });
  return rate;
}

/** Trains by `deno task prune`, and returns the examples a second of its last line of progress. */
async function trainByCommand(folder: string, options: LibraryOptions): Promise<number> {
  const script = new URL("../src/cli/prune.ts", import.meta.url).href,
    out = `${folder}/out`,
    settings = `${folder}/settings.json`;
  await Deno.writeTextFile(settings, JSON.stringify(makeSettings(options)));
  const child = spawnDeno({
    args: [
      ...["run", "--no-lock", "--no-prompt", "--allow-read", "--allow-write", "--allow-env"],
      ...["--allow-run=deno", "--allow-sys=hostname", script],
      ...["--config", settings, "--data", folder, "--out", out],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  const text = await new Response(child.stderr).text(), { success } = await child.status;
  const rates = [...text.matchAll(/^train\b.*?(\d+) examples\/s/gm)].map(([, rate]) => Number(rate));
  await Deno.remove(out, { recursive: true }).catch(() => {});
  if (success && rates.length > 0) return rates.at(-1)!;
  const current = text.trim().split("\n").at(-1) ?? "it said nothing";
  throw new KernelError({ act: "measure", thing: "deno task prune", current, wanted: "a training" });
}

/** Trains by both in turn on random images, and yields the steps a second of each, and their ratio. */
export async function* runLibrary(
  options: LibraryOptions = usualLibraryOptions,
): AsyncGenerator<BenchRecord> {
  const folder = await Deno.makeTempDir({ prefix: "winnow-library-" });
  const rates: Record<"library" | "command", number[]> = { library: [], command: [] };
  const ways = { library: trainByLibrary, command: trainByCommand };
  try {
    await writeSyntheticShards(folder, options.examples * (1 + imageBytes));
    for (let round = 0; round < options.rounds; round++) {
      // In turns, so that neither always has the first place.
      const names = ["library", "command"] as const;
      for (const way of round % 2 === 0 ? names : names.toReversed()) {
        options.signal?.throwIfAborted();
        rates[way].push(await ways[way](folder, options));
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  using gpu = await openGpu({ tune: "off" });
  const adapter = gpu.adapter.name, { batch } = parseRunConfig({}, "the bench").train;
  for (const [way, own] of Object.entries(rates)) {
    const { median, spread } = summarize(own.map((rate) => rate / batch));
    yield {
      name: `${way}_train_steps`,
      value: median,
      unit: "steps/s",
      adapter,
      spread,
      samples: own.length,
    };
  }
  const { median, spread } = summarize(rates.library.map((rate, i) => rate / rates.command[i]!));
  yield { name: "library_vs_command", value: median, unit: "x", adapter, spread, samples: options.rounds };
}
