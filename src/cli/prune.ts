/**
 * `deno task prune`: trains a network, prunes it by confidence, fine-tunes it and reports.
 *
 * @module
 */
import deno from "../../deno.json" with { type: "json" };
import { describeConfig, type PruneConfig } from "../config.ts";
import { denoFiles } from "../files_deno.ts";
import {
  type Gpu,
  type PruneRunOptions,
  readResumedConfig,
  removeCheckpoints,
  type RunCheckpoints,
  runPrune,
} from "../../mod.ts";
import { runCommand } from "./command.ts";
import { type FlagField, formatHelp, parseFlags, runFields } from "./flags.ts";
import { checkOutput, openRun, openRunDevice, type RunInput, tuneRun } from "./open_run.ts";
import { formatReport, formatWarning } from "./prune_text.ts";
import { checkPosteriorActs, readEarlierRun, resolvePruneConfig } from "./run_config.ts";
import { note, print, printJson } from "./print.ts";
import { openErrorProgress } from "./progress.ts";

const usage = "./winnow prune [FLAGS]   (or: deno task prune [FLAGS])";
const summary =
  "Trains a network on the GPU, measures how confident one can be in every weight on data that training " +
  "has not seen, removes the weights below the threshold in place, fine-tunes, repeats, and reports.";

/** Its flags. */
export const fields: readonly FlagField[] = [...describeConfig(), ...runFields];

async function main(): Promise<number> {
  const flags = parseFlags(Deno.args, fields);
  if (flags.help) {
    print(formatHelp(usage, summary, fields));
    return 0;
  }
  const { resume } = flags.values, resumes = resume !== undefined;
  const resumed = resumes ? await readResumedConfig(checkpointsIn(String(resume), true)) : undefined;
  const told = await resolvePruneConfig(flags, denoFiles, resumed);
  const config = resumes ? { ...told, out: String(resume) } : told;
  if (flags.values["print-config"] ?? flags.values.printConfig) {
    printJson(config, 2);
    return 0;
  }
  if (!resumes) await checkOutput(config);
  const earlier = await readEarlierRun(flags, denoFiles), { cores } = earlier ?? {};
  using gpu = await openRunDevice(config, earlier);
  const input = { gpu, ...await openRun(gpu, config, cores) };
  checkPosteriorActs(flags, { removals: config.rounds, weights: input.weights });
  const checkpoints = checkpointsIn(config.out, resumes);
  if (!resumes) await removeCheckpoints(checkpoints);
  const writes = resumes || config.checkpointEvery > 0;
  const { report, model } = await runWithProgress(config, {
    ...input,
    ...(writes ? { checkpoints } : {}),
    ...(cores ? { cores } : {}),
  });
  await denoFiles.makeFolder(config.out);
  await denoFiles.write(`${config.out}/model.safetensors`, model);
  const text = new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`);
  await denoFiles.write(`${config.out}/report.json`, text);
  await removeCheckpoints(checkpoints);
  print(formatReport(report));
  // Standard output may go to a file.
  for (const warning of report.warnings ?? []) note(formatWarning(warning));
  print(`\nWritten: ${config.out}/report.json and ${config.out}/model.safetensors`);
  return 0;
}

/** Where the checkpoints of a run are that writes to a folder. */
function checkpointsIn(out: string, resumes: boolean): RunCheckpoints {
  return { files: denoFiles, folder: `${out.replace(/(?<=.)\/+$/, "")}/checkpoint`, resumes };
}

/** Runs with a progress line; where a loss is not finite, the last good state is kept in the output folder. */
async function runWithProgress(
  config: PruneConfig,
  { gpu, ...input }: RunInput & Pick<PruneRunOptions, "checkpoints" | "cores"> & { readonly gpu: Gpu },
) {
  const progress = openErrorProgress();
  try {
    return await runPrune(gpu, {
      config,
      ...input,
      versions: { winnow: deno.version, deno: Deno.version.deno },
      tune: (lower) => tuneRun(gpu, config, lower),
      onLastGood: (model) => keepLastGood(config, model),
      onFootprint: ({ totalBytes, slotsBytes, mirrorsBytes }) => {
        const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
        const parts = `tensors ${mebibytes(slotsBytes)}, texture mirrors ${mebibytes(mirrorsBytes)}`;
        note(`device memory for training: ${mebibytes(totalBytes)} (${parts})`);
      },
      onProgress: (label, { step, steps, loss, accuracy, examplesPerSecond }) =>
        progress.update({ label, done: step, total: steps, loss, accuracy, examplesPerSecond }),
    });
  } finally {
    progress.finish();
  }
}

/** Saves the model as it was when all was finite. */
async function keepLastGood({ out }: PruneConfig, model: Uint8Array): Promise<void> {
  await denoFiles.makeFolder(out);
  const path = `${out}/last-good.safetensors`;
  await denoFiles.write(path, model);
  note(`the last good state is kept in ${path}`);
}

if (import.meta.main) await runCommand(main);
