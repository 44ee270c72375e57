/**
 * Training on a synthetic data set that stays in its files beside training on a resident part of it.
 *
 * @module
 */
import { formatTable } from "../src/text/table.ts";
import { openDenoBlockReader } from "../src/deno/block_reader.ts";
import { openShards, type ShardIndex } from "../src/data/shards.ts";
import { loadStreamed } from "../src/data/shards_load.ts";
import { type StreamedSplit, takeStreamed } from "../src/data/shards_split.ts";
import { denoFiles } from "../src/deno/files.ts";
import type { Gpu } from "../src/gpu/device.ts";
import type { Examples } from "../src/gpu/examples.ts";
import { DeviceImages } from "../src/gpu/images.ts";
import { Network } from "../src/gpu/network.ts";
import { preparePlan } from "../src/gpu/plan_program.ts";
import { SlotPool } from "../src/gpu/slots.ts";
import { StreamedImages } from "../src/gpu/stream.ts";
import { Tally } from "../src/gpu/tally.ts";
import { lowerPlan } from "../src/plan/lower.ts";
import { optimizerStep, sgd } from "../src/plan/optimizer.ts";
import { openRandomStream } from "../src/random.ts";
import { finishWork, summarize } from "./measure.ts";
import { type BenchRecord, formatNumber } from "./record.ts";
import { benchGraph } from "./steps.ts";

/** What is streamed and for how long. */
export interface StreamingOptions {
  /** Bytes of the data set. */
  readonly sizeBytes: number;
  /** Seconds to train for at least; a whole pass over the data set where `Infinity`. */
  readonly seconds: number;
  /** Steps between two waits for the device; 10 where left out. */
  readonly stepsPerGroup?: number;
  /** Called with how far it is. */
  readonly note?: (line: string) => void;
  /** Ends the measurement between two groups, or files, once it is aborted. */
  readonly signal?: AbortSignal;
}

/** Figures of one way to hold the examples. */
export interface StreamingRecord extends BenchRecord {
  /** The slowest group of steps, in milliseconds a step. */
  readonly slowestMs: number;
  /** Bytes of images that steps took. */
  readonly takenBytes: number;
}

const batch = 64, residentRows = 8192, shardRows = 20_000;
const { channels, height, width } = benchGraph.input;
const imageBytes = channels * height * width, recordBytes = 1 + imageBytes;

/** Writes shards of random records into a folder. */
export async function writeSyntheticShards(
  folder: string,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<void> {
  const records = Math.max(batch, Math.round(sizeBytes / recordBytes)),
    random = openRandomStream(1, "shards");
  const bytes = new Uint8Array(4 * Math.ceil(Math.min(shardRows, records) * recordBytes / 4));
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0; i < words.length; i++) words[i] = random.nextUint32();
  const write = async (use: string, count: number) => {
    const shards: { file: string; count: number }[] = [];
    for (let from = 0; from < count; from += shardRows) {
      signal?.throwIfAborted();
      const rows = Math.min(shardRows, count - from), file = `${use}-${shards.length}.bin`;
      for (let row = 0; row < rows; row++) bytes[row * recordBytes] = random.nextUint32() % 10;
      await Deno.writeFile(`${folder}/${file}`, bytes.subarray(0, rows * recordBytes));
      shards.push({ file, count: rows });
    }
    return shards;
  };
  const perChannel = (value: number) => new Array<number>(channels).fill(value);
  const index: ShardIndex = {
    ...{ format: "winnow-shards", version: 1, name: "synthetic", channels, height, width, labelBytes: 1 },
    classes: Array.from({ length: 10 }, (_, i) => `${i}`),
    // The statistics of uniform bytes.
    mean: perChannel(0.5),
    std: perChannel(0.29),
    shards: { train: await write("train", records), test: await write("test", batch) },
  };
  await Deno.writeTextFile(`${folder}/dataset.json`, JSON.stringify(index));
}

/** Trains group after group of steps on examples, each waited for, as the trainer waits for its readings. */
async function openGroups(
  gpu: Gpu,
  examples: Examples,
  stepsPerGroup: number,
): Promise<AsyncDisposable & { run(): Promise<number> }> {
  const stack = new DisposableStack(), optimizer = sgd();
  const network = stack.use(new Network(gpu, benchGraph, 0));
  const slots = stack.use(new SlotPool(gpu)), tally = stack.use(new Tally(gpu));
  const images = { augmentation: "flip-crop" } as const;
  const plan = lowerPlan(benchGraph, { batch, mode: "train", choose: gpu.choose, images, optimizer });
  const input = (name: string) => name === "tally" ? tally.buffer : examples.input(name);
  const { program, bind } = stack.use(await preparePlan(plan, { network, slots, input }));
  const batches = (async function* (): AsyncGenerator<Uint32Array, void> {
    for (let epoch = 0;; epoch++) {
      yield* examples.batches({ batch, seed: 1, epoch, shuffle: true, dropLast: true });
    }
  })();
  let step = 0;
  return {
    /** Runs a group and returns the milliseconds of a step. */
    async run() {
      const start = performance.now();
      for (const end = step + stepsPerGroup; step < end; step++) {
        const { value: rows } = await batches.next();
        examples.select(rows as Uint32Array, bind);
        program.run({
          ...optimizerStep(optimizer, { learningRate: 0.01, step }),
          count: batch,
          index: step,
          seed: step,
        });
      }
      await tally.read();
      return (performance.now() - start) / stepsPerGroup;
    },
    async [Symbol.asyncDispose]() {
      await batches.return();
      stack.dispose();
    },
  };
}

/** Trains on shards in a folder, in turn from its files and on a part that is resident, and yields the figures of both. */
async function* measureStreaming(
  gpu: Gpu,
  folder: string,
  { seconds, stepsPerGroup = 10, note = () => {}, signal }: Omit<StreamingOptions, "sizeBytes">,
): AsyncGenerator<StreamingRecord> {
  const dataset = await openShards({ files: denoFiles, folder, openReader: openDenoBlockReader });
  const part = takeStreamed(dataset.train, Math.min(residentRows, dataset.train.count));
  using resident = new DeviceImages(gpu, await loadStreamed(part), { dataset, batch });
  using streamed = new StreamedImages(gpu, dataset.train as StreamedSplit, { dataset, batch });
  await using residentGroups = await openGroups(gpu, resident, stepsPerGroup);
  await using streamedGroups = await openGroups(gpu, streamed, stepsPerGroup);
  const ways = { resident: residentGroups, streamed: streamedGroups };
  const times: Record<keyof typeof ways, number[]> = { resident: [], streamed: [] };
  const groups = Math.ceil(dataset.train.count / batch / stepsPerGroup), start = performance.now();
  const names = ["resident", "streamed"] as const;
  let peakBytes = 0;
  for (let group = -1; group < groups && (performance.now() - start < 1000 * seconds || group < 2); group++) {
    signal?.throwIfAborted();
    // In turns, so that neither way always has the first place.
    for (const way of group % 2 === 0 ? names : names.toReversed()) {
      const timeMs = await ways[way].run();
      // The first groups compile.
      if (group >= 0) times[way].push(timeMs);
      peakBytes = Math.max(peakBytes, Deno.memoryUsage().rss);
    }
    if (group > 0 && group % 100 === 0) note(`${group} of ${groups} groups of ${stepsPerGroup} steps`);
  }
  const passStart = performance.now();
  let taken = 0;
  for await (const rows of streamed.batches({ batch, seed: 2, epoch: 0, shuffle: true, dropLast: true })) {
    signal?.throwIfAborted();
    streamed.select(rows);
    // Asking for the memory in use takes as long as some batches.
    if (++taken % 100 === 0) peakBytes = Math.max(peakBytes, Deno.memoryUsage().rss);
  }
  await finishWork(gpu);
  const passSeconds = (performance.now() - passStart) / 1000;
  for (const way of names) {
    const { median, spread } = summarize(times[way]);
    const takenBytes = times[way].length * stepsPerGroup * batch * imageBytes;
    const common = { adapter: gpu.adapter.name, spread, slowestMs: Math.max(...times[way]), takenBytes };
    yield { name: `streaming_${way}`, value: median, unit: "ms/step", ...common, samples: times[way].length };
  }
  const ratios = times.streamed.map((timeMs, i) => timeMs / times.resident[i]!);
  const { median, spread } = summarize(ratios);
  const ratio = { value: median, unit: "x", spread, slowestMs: 0, takenBytes: 0, samples: ratios.length };
  yield { name: "streaming_ratio", adapter: gpu.adapter.name, ...ratio };
  const takenBytes = dataset.train.count * imageBytes;
  const pass = {
    value: takenBytes / 2 ** 30 / passSeconds,
    unit: "GiB/s",
    spread: 0,
    slowestMs: 0,
    takenBytes,
  };
  yield { name: "streaming_without_steps", adapter: gpu.adapter.name, ...pass };
  const peak = { value: peakBytes / 2 ** 20, unit: "MiB", spread: 0, slowestMs: 0, takenBytes: 0 };
  yield { name: "streaming_peak_host_memory", adapter: gpu.adapter.name, ...peak };
}

/** Writes a synthetic data set into a temporary folder, measures training on it, and removes it. */
export async function* runStreaming(gpu: Gpu, options: StreamingOptions): AsyncGenerator<StreamingRecord> {
  const folder = await Deno.makeTempDir({ prefix: "winnow-shards-" });
  try {
    options.note?.(`writing ${formatNumber(options.sizeBytes / 2 ** 30)} GiB of shards to ${folder}`);
    await writeSyntheticShards(folder, options.sizeBytes, options.signal);
    yield* measureStreaming(gpu, folder, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The figures as a table. */
export function formatStreaming(records: readonly StreamingRecord[]): string {
  const rows = records.map(({ name, value, unit, spread, slowestMs, takenBytes, samples }) => [
    name,
    formatNumber(value),
    unit,
    spread === 0 ? "-" : `${(100 * spread).toFixed(1)} %`,
    slowestMs === 0 ? "-" : formatNumber(slowestMs),
    takenBytes === 0 ? "-" : `${formatNumber(takenBytes / 2 ** 30)} GiB`,
    samples === undefined ? "-" : `${samples}`,
  ]);
  const align = ["left", "right", "left", "right", "right", "right", "right"] as const;
  return formatTable(["name", "median", "unit", "spread", "slowest group", "streamed", "groups"], rows, {
    align,
  });
}
