/**
 * A tiny prune run in a process of its own, to be killed: `resume_process.ts FOLDER CONFIG`. It goes on from the checkpoint
 * in the folder where there is one, and writes `report.json` and `model.safetensors` at its end.
 *
 * @module
 */
import { runPrune } from "../../src/runs/prune.ts";
import { configOf } from "./config.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { tinyDataset } from "./tiny_dataset.ts";
import { tinyGraph } from "./tiny_network.ts";

const [folder, config] = Deno.args, files = denoFiles, checkpoints = `${folder}/checkpoint`;
const resumes = await files.sizeBytes(`${checkpoints}/run.safetensors`) !== undefined;
using gpu = await openGpu();
const { report, model } = await runPrune(gpu, {
  config: configOf(JSON.parse(config)),
  dataset: tinyDataset(),
  graph: tinyGraph(),
  checkpoints: { files, folder: checkpoints, resumes },
});
await files.write(`${folder}/model.safetensors`, model);
await files.write(`${folder}/report.json`, new TextEncoder().encode(JSON.stringify(report)));
