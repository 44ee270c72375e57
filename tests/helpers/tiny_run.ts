/**
 * Runs of a tiny network on the tiny data set.
 *
 * @module
 */
import { type PruneRunOptions, runPrune } from "../../src/runs/prune.ts";
import { configOf } from "./config.ts";
import { loadDataset } from "../../src/data/locate.ts";
import { deviceOf } from "./devices.ts";
import { memoryFiles } from "./memory_files.ts";
import { tinyDataset, tinyDatasetFiles } from "./tiny_dataset.ts";
import { tinyGraph } from "./tiny_network.ts";

/** The settings of the runs, unless others are given. */
export const small = { epochs: 2, batch: 16, rounds: 2, learningRate: 0.05, seed: 1 };

/** Channels of a network that has few: any number of them. */
export const anyChannels = { granularity: "channel", scope: "global", roundTo: 1 };

/** The data set as `deno task prune` reads it. */
export function openTiny() {
  const files = Object.entries(tinyDatasetFiles(tinyDataset())).map((
    [name, bytes],
  ) => [`tiny/${name}`, bytes]);
  const places = { folder: "tiny", files: memoryFiles(Object.fromEntries(files)) };
  return loadDataset({ ...places, allowDownload: false, note() {} });
}

/** Makes a run on the tiny data set. */
export async function run(
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

/** Settings of runs that train for one epoch, and remove in as many rounds as it takes. */
export const atOnce = { compare: false, rounds: undefined, epochs: 1 };

/** Settings of runs that train for one epoch and remove once. */
export const brief = { ...atOnce, rounds: 1 };
