/**
 * `deno task data FOLDER --out DIR`: says what a data set holds, shows some of it, and writes it as shards.
 *
 * @module
 */
import { z } from "zod";
import { isImageFolder } from "../data/image_folder.ts";
import { describeCopies, describeSkipped } from "../data/image_options.ts";
import { openImageSource, openLoadedSource } from "../data/record_sources.ts";
import { isBegun, type RecordSource, writeShards, type WrittenShards } from "../data/write_shards.ts";
import { isOtherFormat } from "../data/locate.ts";
import { openDenoBlockReader } from "../deno/block_reader.ts";
import { openDenoImageDecoder } from "../deno/image_decoder.ts";
import { drawSheet, encodePng } from "../deno/contact_sheet.ts";
import { OutputFolder } from "../deno/output_folder.ts";
import { checkEntry, withoutSlash } from "../deno/entries.ts";
import { ConfigError, FileError } from "../errors.ts";
import { denoFiles, loadDataset } from "../../mod.ts";
import { readImageOptions } from "../runs/open_run.ts";
import { escapeLine, shellText } from "../text/escape.ts";
import { formatTable } from "../text/table.ts";
import { runStoppable } from "./command.ts";
import { type FlagField, formatHelp, jsonFlag, ownFlags, parseFlags, selectFlags } from "./flags.ts";
import { note, print, printJson } from "./print.ts";
import { showDecoding } from "./progress.ts";
import { parseConfigFlags } from "./run_config.ts";

const usage = "./winnow data [FLAGS] FOLDER   (or: deno task data [FLAGS] FOLDER)";
const summary =
  "Says how many images of which size a data set holds for each class, and writes it as shards, which any run reads on the " +
  "way. FOLDER holds images in a folder for each class, CIFAR-10's or CIFAR-100's binary files, IDX files or shards.";

const own = ownFlags({
  out: z.string().min(1).optional().describe(
    "Folder to write shards to, new or empty; or one where that was stopped, to go on.",
  ),
  show: z.string().min(1).optional().meta({
    description:
      "PNG file to write a contact sheet to: a line of ten training images for each class, at most 40 classes.",
    wanted: "the path of a file that ends in .png",
  }),
  force: z.boolean().default(false).describe(
    "Write over the contact sheet where it is there, and into a folder that is not empty.",
  ),
  limit: z.int().min(0).default(0).describe("Training images to take, the first in their order; 0 for all."),
  testLimit: z.int().min(0).default(0).describe("--test-limit: Test images to take; 0 for all."),
  ...jsonFlag,
}, { out: ["output.folder"], limit: ["data.limit"], testLimit: ["data.testLimit"], force: ["output.force"] });

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...own.fields,
  ...selectFlags("data.size", "data.resize", "data.testShare", "data.splitSeed", "data.damaged"),
];

async function main(signal: AbortSignal): Promise<number> {
  const { help, positionals, values } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    print(formatHelp({ usage, summary, fields }));
    return 0;
  }
  if (positionals.length !== 1) {
    const current = positionals.length === 0 ? "nothing was named" : positionals.join(" ");
    throw new ConfigError({ act: "read", thing: "data set", current, wanted: "one folder" });
  }
  const { out, show, force, limit, testLimit, json } = own.read(values);
  if (show !== undefined) await checkSheet(show, force);
  const folder = withoutSlash(positionals[0]), config = parseConfigFlags(values);
  const options = { ...readImageOptions(config, { signal }), limits: { train: limit, test: testLimit } };
  // Nothing says which network it is for.
  const images = { ...options, modelInput: undefined };
  using decoder = openDenoImageDecoder();
  const isImages = await denoFiles.list(folder) && !await isOtherFormat(denoFiles, folder) &&
    await isImageFolder(denoFiles, folder);
  const source = isImages
    ? await openImageSource({ files: denoFiles, folder, decoder, images })
    : await openLoadedSource(await loadDataset({ folder, openReader: openDenoBlockReader, images, note }));
  if (show !== undefined) await writeSheet(source, show);
  const written = out === undefined ? undefined : await write(source, { out, force, signal });
  const left = written && describeSkipped(written.skipped.length, written.skipped);
  if (left) note(left);
  const twins = written && describeCopies(written.copies);
  if (twins) note(twins);
  if (json) printJson(describe(source, written));
  else {
    print(formatSource(source, written));
    if (written && out !== undefined) {
      print(`\nWritten: ${escapeLine(out)}\nTrain on it: ./winnow prune --data ${shellText(out)}`);
    }
  }
  return 0;
}

async function checkSheet(path: string, force: boolean): Promise<void> {
  if (!path.endsWith(".png")) {
    const wanted = "the path of a file that ends in .png";
    throw new ConfigError({ act: "use", thing: "--show", current: `"${path}"`, wanted });
  }
  if (!await checkEntry(path, "file") || force) return;
  const current = "it is there already", wanted = "a new name, or --force";
  throw new FileError({ act: "write to", thing: path, current, wanted });
}

/** The most lines of a contact sheet, the images of a line, and those among which they are sought. */
const maxLines = 40, lineImages = 10, sought = 2000;

async function writeSheet(source: RecordSource, path: string): Promise<void> {
  const lines = Math.min(maxLines, source.classes.length), count = Math.min(sought, source.counts.train);
  const { split } = await source.read("train", { first: 0, count, onRead: () => {} });
  await denoFiles.write(path, encodePng(drawSheet(split, { ...source, lines, columns: lineImages })));
  note(`contact sheet: ${path}, a line for each of ${source.classes.slice(0, lines).join(", ")}`);
}

async function write(
  source: RecordSource,
  { out, force, signal }: { readonly out: string; readonly force: boolean; readonly signal: AbortSignal },
): Promise<WrittenShards> {
  const goesOn = await isBegun(denoFiles, withoutSlash(out));
  await using output = await OutputFolder.open(out, goesOn ? "go on" : force ? "force" : "new");
  try {
    const written = await showDecoding((onProgress) =>
      writeShards(source, { files: denoFiles, folder: output.path, onProgress, signal })
    );
    if (written.kept > 0) {
      note(`${written.kept} shards were there already; copies of their images were not sought`);
    }
    return written;
  } catch (error) {
    if (error === signal.reason && await isBegun(denoFiles, output.path)) {
      note("to go on, give the same command again");
    }
    throw error;
  }
}

function describe({ name, channels, height, width, classes, counts }: RecordSource, written?: WrittenShards) {
  const { index, classCounts, skipped } = written ?? {};
  return {
    ...{ name, channels, height, width, classes },
    ...(index
      ? { mean: index.mean, std: index.std, classCounts, skipped, shards: index.shards }
      : { counts }),
  };
}

function formatSource(source: RecordSource, written?: WrittenShards): string {
  const { name, channels, height, width, classes, counts } = source;
  const colours = channels === 1 ? "grey" : channels === 3 ? "coloured" : `${channels} channels`;
  const head = `${escapeLine(name)}: ${counts.train} training and ${counts.test} test images, ${colours}, ` +
    `${width} x ${height} pixels, ${classes.length} classes`;
  if (!written) return head;
  const { index: { mean = [], std = [] }, classCounts: { train, test } } = written;
  const list = (numbers: readonly number[]) => numbers.map((number) => number.toFixed(4)).join(", ");
  const rows = classes.map((name, label) => [escapeLine(name), `${train[label]}`, `${test[label]}`]);
  const table = formatTable(["class", "training", "test"], rows, { align: ["left", "right", "right"] });
  return `${head}\nmean ${list(mean)}, deviation ${list(std)}\n\n${table}`;
}

if (import.meta.main) await runStoppable(main);
