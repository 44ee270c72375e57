/**
 * `deno task prune`: trains a network, prunes it by confidence, fine-tunes it and reports.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import { choosesRound, countRounds } from "../config/prune.ts";
import { configFlags } from "../config/words.ts";
import { ConfigError, FileError, NumericError } from "../errors.ts";
import { type Files, isOnnxPath } from "../files.ts";
import { decodeModel } from "../io/model_file.ts";
import { encodeOnnx } from "../io/onnx/write.ts";
import { denoFiles } from "../deno/files.ts";
import {
  type Gpu,
  type PruneReport,
  type PruneRunOptions,
  readResumedConfig,
  removeCheckpoints,
  type RunCheckpoints,
  runPrune,
} from "../../mod.ts";
import type { RunTimes } from "../report/prune_report.ts";
import { runFile } from "../runs/journal.ts";
import { runStoppable } from "./command.ts";
import { type FlagField, formatHelp, type ParsedFlags, parseFlags, runFlags } from "./flags.ts";
import { openRun, openRunDevice, type RunInput } from "../runs/open_run.ts";
import { withoutSlash } from "../deno/entries.ts";
import { resolveLatest, runName } from "../deno/latest_run.ts";
import { lastGoodName, OutputFolder } from "../deno/output_folder.ts";
import { formatReport, formatRound, formatWarning } from "../text/prune.ts";
import { checkSelectionActs, type ResolvedRun, resolveRun, type RunSources } from "./run_config.ts";
import { note, print, printJson } from "./print.ts";
import { shellText } from "../text/escape.ts";
import { openErrorProgress, showDecoding, showPhases } from "./progress.ts";
import { writeRunPage } from "./report.ts";

const usage = "./winnow prune [FLAGS]   (or: deno task prune [FLAGS])";
const summary =
  "Trains a network on the GPU, measures how confident one can be in every weight on data that training " +
  "has not seen, removes the least certain ones in place, fine-tunes, repeats, and reports.";

/** Its flags. */
export const fields: readonly FlagField[] = [...configFlags, ...runFlags.fields];

/** The flags that most people need. */
const common = [
  ...["data", "model", "limit", "seed", "epochs", "sparsity", "confidence", "target-multiply-adds", "rounds"],
  ...["criterion", "granularity", "refit", "finetune-epochs", "out", "config", "resume"],
];

const examples = [
  "./winnow prune --data DATA --sparsity 0.8",
  "./winnow prune --model resnet20.safetensors --sparsity 0.8 --refit layers --finetune-epochs 0 --no-compare",
  "./winnow prune --model resnet20 --granularity channel --target-multiply-adds 0.5",
];

/**
 * What a run is told.
 *
 * @throws {ConfigError} Where a flag or a key of the file that `--config` names is not allowed, or would do nothing.
 */
export async function readRun(
  flags: ParsedFlags,
  files: Files,
  sources: Pick<RunSources, "resumed" | "hear"> = {},
): Promise<ResolvedRun> {
  const { values } = flags,
    flag = [["output.folder", "out"], ["output.force", "force"]].find(([key]) => values[key] !== undefined);
  if (values.resume !== undefined && flag) {
    const current = "it is there beside --resume", wanted = "one of them: a run goes on in its folder";
    throw new ConfigError({ act: "use", thing: `--${flag[1]}`, current, wanted });
  }
  const { config, earlier } = await resolveRun(flags, files, sources), { validation, train, prune } = config;
  const choosesEpochs = Math.max(train.epochs, prune.finetune.epochs) > 1;
  const choosesT = prune.score.by === "confidence" && prune.score.temperature === "validation";
  const judgesRounds = choosesRound(prune.goal) || validation?.allowedDrop !== undefined;
  const isRead = !validation || choosesEpochs || choosesT || judgesRounds;
  // What a run was told once is not refused when it is run again, or goes on.
  if (isRead || earlier || sources.resumed) return { config, ...(earlier ? { earlier } : {}) };
  const reads =
    "validation.allowedDrop, a confidence auto, a temperature chosen by them, or more than one epoch of training or fine-tuning";
  throw new ConfigError({
    act: "use",
    thing: "validation.examples",
    current: `${validation.examples} examples that nothing is chosen by`,
    wanted: `none unless there is ${reads}, which read them`,
  });
}

async function main(signal: AbortSignal): Promise<number> {
  const flags = parseFlags(Deno.args, fields, { common });
  if (flags.help) {
    print(formatHelp({ usage, summary, fields, common, examples }, flags.help));
    return 0;
  }
  const resumes = flags.values.resume !== undefined;
  const resumed = resumes ? await resolveLatest(String(flags.values.resume)) : undefined;
  const before = resumed === undefined ? undefined : await readStopped(resumed);
  const { config, earlier } = await readRun(flags, denoFiles, { resumed: before });
  if (flags.values.printConfig) {
    printJson(config, 2);
    return 0;
  }
  const started = new Date();
  await using held = new AsyncDisposableStack();
  const named = resumed ?? config.output.folder,
    use = resumes ? "go on" : config.output.force ? "force" : "new";
  const opened = named === undefined ? undefined : held.use(await OutputFolder.open(named, use));
  const { cores } = earlier ?? {};
  using gpu = await openRunDevice(config, { earlier, note, signal });
  const input = await showDecoding((onDecoded) => openRun(config, note, { onDecoded, signal }));
  checkSelectionActs(flags, { removals: countRounds(config.prune.goal), weights: input.weights });
  const name = runName(input.graph.name, input.dataset.name);
  const output = opened ?? held.use(await OutputFolder.make("out", name));
  signal.throwIfAborted();
  const checkpoints = checkpointsIn(output.path, resumes);
  const { report, model, latency } = await runWithProgress(config, {
    ...{ gpu, output, signal },
    ...input,
    ...(resumes || config.output.checkpointEvery !== 0 ? { checkpoints } : {}),
    ...(cores ? { cores } : {}),
  });
  const paths = { report: `${output.path}/report.json`, model: `${output.path}/model.safetensors` };
  const onnx = writesOnnx(config) ? [`${output.path}/model.onnx`] : [];
  await denoFiles.write(paths.model, model);
  for (const path of onnx) {
    await denoFiles.write(
      path,
      encodeOnnx({ ...decodeModel(model, paths.model), valueNames: input.valueNames }),
    );
  }
  const times: RunTimes = {
    ...{
      started: started.toISOString(),
      seconds: (Date.now() - started.getTime()) / 1000,
      isResumed: resumes,
    },
    ...(latency ? { batch: latency } : {}),
  };
  await output.leaveOut(onnx.length > 0 ? [] : ["model.onnx"]);
  await output.writeReport("times.json", times);
  await output.writeReport("report.json", report);
  await removeCheckpoints(checkpoints);
  const page = await writeRunPage(output, { report, times });
  print(formatReport(report, latency));
  // Standard output may go to a file.
  for (const warning of report.warnings ?? []) note(formatWarning(warning));
  print(`\nWritten: ${
    new Intl.ListFormat("en").format([
      ...Object.values(paths),
      ...onnx,
      `${output.path}/times.json`,
      ...(page === undefined ? [] : [page]),
    ])
  }`);
  print(formatNext(paths.model, report));
  return 0;
}

/** True where a run writes its model as ONNX too. */
function writesOnnx({ model: { source, weights }, output }: RunConfig): boolean {
  return output.onnx ?? [source, weights].some((path) => path !== undefined && isOnnxPath(path));
}

/** How to go on with the model of a run. */
function formatNext(model: string, { config, compaction, cost, parameters }: PruneReport): string {
  const { folder, resize, testShare, splitSeed, damaged } = config.data;
  const dataFlags = { data: folder, resize, "test-share": testShare, "split-seed": splitSeed, damaged };
  const more = Object.entries(dataFlags).flatMap(([flag, value]) =>
    value === undefined ? [] : [` --${flag} ${shellText(`${value}`)}`]
  ).join("");
  // What compaction took out counts no longer. The goal by default may be reached already.
  const sparsity = compaction
    ? 1 - cost.after.parameters / compaction.after.parameters
    : parameters.removed / parameters.prunable;
  const goal = ` --sparsity ${Number((1 - (1 - sparsity) / 2).toFixed(3))}`;
  const next = { "Measure it": ["evaluate", ""], "Prune it further": ["prune", goal] };
  return Object.entries(next).map(([what, [command, flags]]) =>
    `${what}: ./winnow ${command} --model ${shellText(model)}${more}${flags}`
  ).join("\n");
}

/** Where the checkpoints of a run are that writes to a folder. */
function checkpointsIn(folder: string, resumes: boolean): RunCheckpoints {
  return { files: denoFiles, folder: `${withoutSlash(folder)}/checkpoint`, resumes };
}

/** True where a run was stopped in a folder and can go on. */
async function isStopped(folder: string): Promise<boolean> {
  return await denoFiles.sizeBytes(`${checkpointsIn(folder, true).folder}/${runFile}`) !== undefined;
}

/**
 * Reads what the run that was stopped in a folder was told.
 *
 * @throws {FileError} Where no run was stopped there; it says what is there instead.
 */
async function readStopped(folder: string): Promise<RunConfig> {
  if (await isStopped(folder)) return await readResumedConfig(checkpointsIn(folder, true));
  const names = await denoFiles.list(folder);
  const current = !names
    ? "there is no such folder"
    : names.includes("report.json")
    ? "its run has ended: it holds report.json and no checkpoint"
    : "it holds no checkpoint";
  throw new FileError({
    act: "resume",
    thing: folder,
    current,
    wanted: "the folder of a run that was stopped",
  });
}

/** Says how to go on with a run that ended early, where it left a checkpoint. */
async function adviseResume({ path }: OutputFolder): Promise<void> {
  const isThere = await isStopped(path);
  note(isThere ? `to go on: ./winnow prune --resume ${shellText(path)}` : "no checkpoint was written yet");
}

/** Runs with a progress line; where a loss is not finite, the last good state is kept in the output folder. */
async function runWithProgress(
  config: RunConfig,
  { gpu, output, ...input }:
    & RunInput
    & Pick<PruneRunOptions, "checkpoints" | "cores" | "signal">
    & { readonly gpu: Gpu; readonly output: OutputFolder },
) {
  const progress = openErrorProgress();
  let isStarted = false;
  try {
    return await runPrune(gpu, {
      config,
      ...input,
      onStart: async () => {
        await output.start();
        isStarted = true;
      },
      onLastGood: (model) => keepLastGood(output, model),
      onFootprint: ({ totalBytes, slotsBytes, buffersBytes, mirrorsBytes }, use) => {
        const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
        const parts = [
          `activations ${mebibytes(slotsBytes)}`,
          `parameters and other state ${mebibytes(buffersBytes)}`,
          ...(mirrorsBytes > 0 ? [`copies of both as textures ${mebibytes(mirrorsBytes)}`] : []),
        ].join(", ");
        note(`device memory for ${use}: ${mebibytes(totalBytes)} (${parts})`);
      },
      onRound: (round) => {
        if (round.below === undefined) return;
        progress.finish();
        note(formatRound(round));
      },
      onProgress: showPhases(progress),
    });
  } catch (error) {
    progress.finish();
    // Going on would only come to the same loss again.
    if (isStarted && !(error instanceof NumericError)) await adviseResume(output);
    throw error;
  } finally {
    progress.finish();
  }
}

/** Saves the model as it was when all was finite. */
async function keepLastGood(output: OutputFolder, model: Uint8Array): Promise<void> {
  const path = `${output.path}/${lastGoodName}`;
  await denoFiles.write(path, model);
  note(`the last good state is kept in ${path}`);
}

if (import.meta.main) await runStoppable(main);
