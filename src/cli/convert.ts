/**
 * `deno task convert A B`: writes a file of weights in another format, safetensors or ONNX by the endings of the names.
 *
 * @module
 */
import { z } from "zod";
import { countClasses } from "../model/graph.ts";
import { checkEntry } from "../deno/entries.ts";
import { checkSavePath, encodeModel } from "../io/model_file.ts";
import { encodeOnnx } from "../io/onnx/write.ts";
import { ConfigError, FileError, FormatError } from "../errors.ts";
import { isOnnxPath, isWeightsPath } from "../files.ts";
import { readModelSource } from "../runs/model_source.ts";
import { denoFiles, loadModel } from "../../mod.ts";
import { runCommand } from "./command.ts";
import { type FlagField, formatHelp, ownFlags, parseFlags, selectFlags } from "./flags.ts";
import { parseConfigFlags } from "./run_config.ts";
import { parseInput } from "./model.ts";
import { print } from "./print.ts";

const usage = "./winnow convert [FLAGS] FROM TO   (or: deno task convert [FLAGS] FROM TO)";
const summary =
  "Reads a file of weights and writes it as another, whole or not at all: as ONNX or safetensors, by the ending of TO. " +
  "TO is no link and not FROM.";

const own = ownFlags({
  input: z.string().default("3x32x32").meta({
    description: "Channels, height and width of the images, for files that do not tell.",
    wanted: "sizes such as 3x32x32",
  }),
  store: z.enum(["dense", "sparse"]).default("dense").describe(
    "Write all weights into safetensors, or leave removed ones out. ONNX files are dense.",
  ),
  force: z.boolean().default(false).describe("Write over TO where it is there."),
});

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...own.fields,
  ...selectFlags("model.preset", "model.mean", "model.std"),
];

async function main(): Promise<number> {
  const { help, positionals, values } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    print(formatHelp({ usage, summary, fields }));
    return 0;
  }
  const [from, to, ...others] = positionals;
  if (to === undefined || others.length > 0 || ![from, to].every(isWeightsPath)) {
    const current = positionals.length === 0 ? "nothing was named" : positionals.join(" ");
    const wanted = "two files that end in .safetensors or .onnx";
    throw new ConfigError({ act: "convert", thing: "files", current, wanted });
  }
  const { input, store, force } = own.read(values), { model } = parseConfigFlags(values);
  checkSavePath(to, store);
  await checkTarget(from, to, force);
  const task = { ...parseInput(input), classes: [] };
  const { graph, weights, normalization, examples, ...loaded } = await loadModel(
    { ...readModelSource(model), model: from },
    { files: denoFiles, task },
  );
  if (!normalization && !isOnnxPath(to)) {
    const current = "it does not say how images are normalised";
    throw new FormatError({ act: "convert", thing: from, current, wanted: "--mean and --std" });
  }
  const classes = loaded.classes ?? Array.from({ length: countClasses(graph) }, (_, i) => `${i}`);
  const known = { graph, ...weights!, classes, ...(examples === undefined ? {} : { examples }) };
  const bytes = isOnnxPath(to)
    ? encodeOnnx({ ...known, ...(normalization ? { normalization } : {}), valueNames: loaded.valueNames })
    : encodeModel({ ...known, normalization: normalization! }, store);
  await denoFiles.write(to, bytes);
  print(`Written: ${to}, ${bytes.length.toLocaleString("en")} bytes`);
  return 0;
}

/**
 * Checks, before anything is read, that a file may be written where it is to be.
 *
 * @throws {FileError} Where that is a link, no plain file, or the file to read, through links too; without force, where
 *   anything is there.
 */
async function checkTarget(from: string, to: string, force: boolean): Promise<void> {
  if (!await checkEntry(to, "file")) return;
  const isSame = await denoFiles.identity!(from) === await denoFiles.identity!(to);
  if (!isSame && force) return;
  const [current, wanted] = isSame
    ? ["it is the file to read", "another file"]
    : ["it is there already", "a new name, or --force"];
  throw new FileError({ act: "write to", thing: to, current, wanted });
}

if (import.meta.main) await runCommand(main);
