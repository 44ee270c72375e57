/**
 * `deno task sensitivity`: prunes each layer, or coupled set of channels, alone, and measures what that costs on
 * validation examples.
 *
 * @module
 */
import type { Files } from "../files.ts";
import { denoFiles } from "../deno/files.ts";
import { runSensitivity, sensitivityReportSchema } from "../../mod.ts";
import { runStoppable } from "./command.ts";
import { comparing, listsGiven, makeSparsitySchema, sharedFields } from "./comparison_flags.ts";
import { formatSensitivity } from "../text/compare.ts";
import {
  configFlag,
  type FlagField,
  formatHelp,
  ownFlags,
  type ParsedFlags,
  parseFlags,
  resumeFlag,
} from "./flags.ts";
import { runName } from "../deno/latest_run.ts";
import { OutputFolder } from "../deno/output_folder.ts";
import { keepFile, readBefore } from "../runs/kept_results.ts";
import { openRun, openRunDevice } from "../runs/open_run.ts";
import { adviseResume, resumeFlags } from "./resume.ts";
import { checkSelectionActs, resolveRun } from "./run_config.ts";
import { note, print } from "./print.ts";
import { openErrorProgress, showDecoding, showPhases } from "./progress.ts";

const usage = "./winnow sensitivity [FLAGS]   (or: deno task sensitivity [FLAGS])";
const summary =
  "Trains a network, or takes a given one, and removes weights of one layer, or channels of one coupled set, at a " +
  "time; prints the accuracy on validation examples, and writes it with the loss to OUT/sensitivity.json, every result at once. " +
  "--resume OUT goes on with a run that was stopped, and --out OUT adds to one: both skip what is there.";

const own = ownFlags({
  sparsities: makeSparsitySchema(
    [0.5, 0.8, 0.9, 0.95],
    "Fractions to remove of each layer's weights, or with granularity channel of those that go with coupled channels.",
  ),
  ...configFlag,
  ...resumeFlag,
}, { sparsities: ["prune.goal.sparsity"] });

const shared = comparing(["prune.finetune", "prune.select.scope", "output.force"]);

const reportName = "sensitivity.json";

/** The most examples that are held out unless told otherwise. */
const mostExamples = 1000;

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...own.fields,
  ...sharedFields(shared, {
    "validation.examples": {
      description:
        `Training examples held out for validation: accuracy is measured on them after each removal, and they choose the best epoch of training. Default a fifth of the training examples, at most ${mostExamples}.`,
    },
    "output.folder": {
      description:
        `Folder that ${reportName} and the trained network are written to; by default a new one, out/DATE-NAME.`,
    },
  }),
];

/** The flags that most people need. */
const common = [
  ...[
    "sparsities",
    "data",
    "model",
    "limit",
    "validation",
    "seed",
    "epochs",
    "criterion",
    "granularity",
    "refit",
  ],
  ...["out", "config", "resume"],
];

const examples = [
  "./winnow sensitivity --data DATA",
  "./winnow sensitivity --model resnet20.safetensors --sparsities 0.5,0.9",
  "./winnow sensitivity --model resnet20.safetensors --granularity channel --criterion magnitude",
];

/**
 * What a scan is told: its configuration, and the sparsities.
 *
 * @throws {ConfigError} Where a flag or a key of the file that `--config` names is not allowed.
 */
export async function readScan(flags: ParsedFlags, files: Files) {
  const { config, earlier } = await resolveRun(flags, files, shared);
  const { sparsities } = own.read(listsGiven(flags, earlier));
  return { config, earlier, sparsities };
}

async function main(signal: AbortSignal): Promise<number> {
  const parsed = parseFlags(Deno.args, fields, { common });
  if (parsed.help) {
    print(formatHelp({ usage, summary, fields, common, examples }, parsed.help));
    return 0;
  }
  const flags = await resumeFlags(parsed, reportName);
  const { config: given, earlier, sparsities } = await readScan(flags, denoFiles);
  await using held = new AsyncDisposableStack();
  const { folder } = given.output;
  const named = folder === undefined ? undefined : held.use(await OutputFolder.open(folder, "go on"));
  const before = named &&
    await readBefore(`${named.path}/${reportName}`, { files: denoFiles, schema: sensitivityReportSchema });
  const { cores } = before ?? earlier ?? {};
  using gpu = await openRunDevice(given, { earlier, note, signal });
  const input = await showDecoding((onDecoded) => openRun(given, note, { onDecoded, signal }));
  checkSelectionActs(flags, { removals: 1, weights: input.weights });
  const name = runName("sensitivity", input.graph.name, input.dataset.name);
  const output = named ?? held.use(await OutputFolder.make("out", name));
  signal.throwIfAborted();
  const { limit } = given.data, count = input.dataset.train.count, train = Math.min(limit || count, count);
  const usual = {
    examples: Math.max(1, Math.min(mostExamples, Math.floor(train / 5))),
    patience: 0,
    measure: "accuracy" as const,
  };
  const { validation = usual } = given;
  if (!given.validation) {
    note(`${validation.examples} training examples are held out for validation (--validation)`);
  }
  const path = `${output.path}/${reportName}`;
  if (before) note(`${path} has ${before.cells.length} results; those are not computed again`);
  const progress = openErrorProgress();
  try {
    const report = await runSensitivity(gpu, {
      config: { ...given, validation },
      ...input,
      ...(cores ? { cores } : {}),
      sparsities,
      ...(before ? { before } : {}),
      ...{ signal, onStart: () => output.start() },
      onReport: (report) => output.writeReport(reportName, report),
      keep: (name, make) => keepFile(`${output.path}/${name}`, make, { files: denoFiles, note }),
      onProgress: showPhases(progress),
    });
    progress.finish();
    print(formatSensitivity(report));
    print(`\nWritten: ${path}`);
    return 0;
  } catch (error) {
    progress.finish();
    if (error === signal.reason) await adviseResume("sensitivity", output.path);
    throw error;
  }
}

if (import.meta.main) await runStoppable(main);
