/**
 * `deno task compare`: compares criteria and variants of pruning over sparsities and seeds.
 *
 * @module
 */
import { z } from "zod";
import type { Files } from "../files.ts";
import { denoFiles } from "../deno/files.ts";
import { type CompareReport, compareReportSchema, runCompare, stagesTo } from "../../mod.ts";
import { listSome } from "../io/parameters.ts";
import { isWhole } from "../report/compare_report.ts";
import { chooseShown, findNewSeeds } from "../report/shown_results.ts";
import { accuracyText, percentText } from "../text/accuracy.ts";
import { runStoppable } from "./command.ts";
import {
  comparing,
  listsGiven,
  makeListSchema,
  makeSparsitySchema,
  sharedFields,
} from "./comparison_flags.ts";
import { drawCompare, formatCompare } from "../text/compare.ts";
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
import { shellText } from "../text/escape.ts";
import { openErrorProgress, showDecoding, showPhases } from "./progress.ts";

const usage = "./winnow compare [FLAGS]   (or: deno task compare [FLAGS])";
const summary =
  "Removes weights from the same trained network by every variant at every sparsity, for every seed, and " +
  "prints mean and deviation of test accuracy, and with --validation of accuracy on held-out training examples, by " +
  "which a variant may be chosen. Every result is written to OUT/compare.json at once, and at the end a figure to " +
  "OUT/compare.svg. --resume OUT goes on with a run that was stopped, or adds to one, as --out OUT does: both skip what is " +
  "there. Tables and figure show the variants, sparsities and seeds that were asked for; of a list with a new value, all.";

const own = ownFlags({
  variants: makeListSchema(z.string(), {
    preset: ["confidence", "confidence/matched", "magnitude", "obd", "taylor", "gradient", "lamp", "random"],
    description:
      "Criteria, with what else is to differ behind slashes: a prior, an estimate of the Fisher information, a scope, " +
      "a granularity, a recalibration, refit or obs (refit with selection obs), blocks or end-to-end (as in refit), staged (scored anew on the way), a " +
      "temperature T=2 or T=auto; such as magnitude/refit. snr needs training.",
    wanted: "names of variants",
  }),
  sparsities: makeSparsitySchema([0.5, 0.8, 0.9, 0.95, 0.98], "Fractions of the weights to remove."),
  seeds: makeListSchema(z.int().min(0).lt(2 ** 32), {
    preset: [0, 1, 2],
    description: "Seeds of initial weights, splits, batches and random scores.",
    wanted: "whole numbers from 0 to 4294967295",
  }),
  ...configFlag,
  ...resumeFlag,
}, { variants: ["prune.score.by"], sparsities: ["prune.goal.sparsity"], seeds: ["seed"] });

const shared = comparing(["seed", "prune.score.by", "output.force"], { prune: { finetune: { epochs: 0 } } });

const reportName = "compare.json";

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...own.fields,
  ...sharedFields(shared, {
    "prune.finetune.epochs": { default: 0 },
    "validation.examples": {
      description:
        "Training examples held out for validation: they choose the best epoch and the temperature T=auto, and say which variant is best.",
    },
    "output.folder": {
      description:
        `Folder that ${reportName}, compare.svg and the trained networks are written to; by default a new one, out/DATE-NAME.`,
    },
  }),
];

/** The flags that most people need. */
const common = [
  ...["variants", "sparsities", "seeds", "data", "model", "limit", "calibration", "validation", "epochs"],
  ...["granularity", "refit", "finetune-epochs", "out", "config", "resume"],
];

const examples = [
  "./winnow compare --data DATA --sparsities 0.8,0.9 --seeds 0,1",
  "./winnow compare --model resnet20.safetensors --variants magnitude/refit,confidence/refit --seeds 0",
  "./winnow compare --validation 500 --variants confidence,confidence/T=auto,magnitude",
];

/**
 * What a comparison is told: its configuration, and its lists.
 *
 * @throws {ConfigError} Where a flag or a key of the file that `--config` names is not allowed.
 */
export async function readComparison(flags: ParsedFlags, files: Files) {
  const { config, earlier } = await resolveRun(flags, files, shared);
  const { variants, sparsities, seeds } = own.read(listsGiven(flags, earlier));
  return { config, earlier, variants, sparsities, seeds };
}

async function main(signal: AbortSignal): Promise<number> {
  const parsed = parseFlags(Deno.args, fields, { common });
  if (parsed.help) {
    print(formatHelp({ usage, summary, fields, common, examples }, parsed.help));
    return 0;
  }
  const flags = await resumeFlags(parsed, reportName);
  const { config, earlier, variants, sparsities, seeds } = await readComparison(flags, denoFiles);
  await using held = new AsyncDisposableStack();
  const opened = config.output.folder === undefined
    ? undefined
    : held.use(await OutputFolder.open(config.output.folder, "go on"));
  const before = opened &&
    await readBefore(`${opened.path}/${reportName}`, { files: denoFiles, schema: compareReportSchema });
  const { cores } = before ?? earlier ?? {};
  using gpu = await openRunDevice(config, { earlier, note, signal });
  const input = await showDecoding((onDecoded) => openRun(config, note, { onDecoded, signal }));
  const removals = Math.max(...sparsities.map((sparsity) => stagesTo(sparsity).length));
  checkSelectionActs(flags, { removals, weights: input.weights });
  const name = runName("compare", input.graph.name, input.dataset.name);
  const output = opened ?? held.use(await OutputFolder.make("out", name));
  const out = output.path, path = `${out}/${reportName}`;
  signal.throwIfAborted();
  const all = variants.length * sparsities.length * seeds.length;
  const isAsked = ({ variant, sparsity, seed }: CompareReport["cells"][number]) =>
    variants.includes(variant) && sparsities.includes(sparsity) && seeds.includes(seed);
  if (before) {
    const found = before.cells.filter((cell) => isAsked(cell) && isWhole({ config }, cell));
    note(
      `${path} has ${found.length} of ${all} results; those are not computed again`,
    );
  }
  const progress = openErrorProgress();
  const write = async (report: CompareReport, cell?: CompareReport["cells"][number]) => {
    await output.writeReport(reportName, report);
    const examples = Math.min(config.data.testLimit || Infinity, report.dataset.test);
    if (cell) note(`${report.cells.filter(isAsked).length} of ${all}: ${describeCell(cell, examples)}`);
  };
  try {
    const report = await runCompare(gpu, {
      config,
      ...input,
      ...{ variants, sparsities, seeds },
      ...(before ? { before } : {}),
      ...(cores ? { cores } : {}),
      ...{ signal, onStart: () => output.start() },
      onReport: write,
      keep: (name, make) => keepFile(`${out}/${name}`, make, { files: denoFiles, note }),
      onProgress: showPhases(progress),
    });
    progress.finish();
    const shown = chooseShown(report, { variants, sparsities, seeds }, before);
    await denoFiles.write(`${out}/compare.svg`, new TextEncoder().encode(drawCompare(shown)));
    print(formatCompare(shown));
    print(`\nWritten: ${path} and ${out}/compare.svg`);
    const more = `./winnow compare --resume ${shellText(out)} --seeds ${findNewSeeds(report).join(",")}`;
    print(`Add to it, such as other --seeds: ${more}`);
    return 0;
  } catch (error) {
    progress.finish();
    if (error === signal.reason) await adviseResume("compare", out);
    throw error;
  }
}

function describeCell(
  { variant, sparsity, seed, accuracy, accuracyFinetuned, posteriorTemperatures = [], ...notes }:
    CompareReport["cells"][number],
  examples: number,
): string {
  const { thinLayers = [], isAtChance } = notes;
  const tuned = accuracyFinetuned === undefined
    ? ""
    : `, fine-tuned ${accuracyText(accuracyFinetuned, examples)}`;
  const chosen = posteriorTemperatures.map(({ temperature }) => ` T ${temperature}`).join(",");
  const thin = thinLayers.length > 0 ? `; under 5 % left of ${listSome(thinLayers)}` : "";
  return `${variant} at ${percentText(sparsity)}, seed ${seed}: ${accuracyText(accuracy, examples)}${tuned}${
    chosen && `;${chosen}`
  }${thin}${isAtChance ? "; no better than chance" : ""}`;
}

if (import.meta.main) await runStoppable(main);
