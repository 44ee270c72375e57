/**
 * Runs on a tiny network that end early and go on.
 *
 * @module
 */
import { loadModel } from "../../src/api/load_model.ts";
import type { Dataset, Split } from "../../src/data/dataset.ts";
import type { Files } from "../../src/files.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { type PruneRunOptions, type PruneRunResult, runPrune } from "../../src/runs/prune.ts";
import { configOf } from "./config.ts";
import { deviceOf } from "./devices.ts";
import { memoryFiles } from "./memory_files.ts";
import { tinyDataset } from "./tiny_dataset.ts";
import { tinyGraph } from "./tiny_network.ts";
import { weightTensors } from "./weight_files.ts";

/** What trains, prunes and fine-tunes twice. */
export const plain = { epochs: 2, batch: 16, rounds: 2, seed: 1, checkpointEvery: 2 };

/** What has a state of its own: a second moment, gathered gradients, a teacher, the best epoch, an exponential mean. */
export const rich = {
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

/** What learns from another network. */
export const taught = {
  ...plain,
  checkpointEvery: 1,
  compare: false,
  distill: 0.5,
  teacher: "t.safetensors",
};

/** A network that others trained, with one weight of it changed. */
export async function loaded(change = 0): Promise<Pick<PruneRunOptions, "weights" | "teacher">> {
  const tensors = weightTensors(tinyGraph());
  tensors[0].values[3] += change;
  const files = memoryFiles({ "t.safetensors": writeSafetensors(tensors, { format: "pt" }) });
  const teacher = await loadModel({ model: "t.safetensors" }, { files, task: tinyDataset() });
  return { teacher, weights: teacher.weights! };
}

/** A run. */
export interface RunOptions {
  readonly config: Record<string, unknown>;
  readonly files: Files;
  readonly resumes: boolean;
  readonly dataset?: Dataset<Split>;
  readonly gpu?: Gpu;
  readonly input?: Pick<PruneRunOptions, "weights" | "teacher" | "signal" | "onProgress">;
}

/** What follows from seed and adapter; times do not. */
export function bitsOf({ report, model }: PruneRunResult): Pick<PruneRunResult, "report" | "model"> {
  return { report, model };
}

/** Makes a run, with checkpoints in out/checkpoint. */
export async function run(
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
export function endingAt(files: Files, at: { readonly write: number; readonly isDone: boolean }): Files {
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
