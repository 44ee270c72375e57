/**
 * `deno task verify FILE...`: checks the kernels on this machine's adapter against files of reference values.
 *
 * @module
 */
import { z } from "zod";
import { type Check, ConfigError, denoFiles, isWinnowError, verifyGoldens } from "../../mod.ts";
import { formatError, runCommand } from "./command.ts";
import { type FlagField, formatHelp, ownFlags, parseFlags, selectFlags } from "./flags.ts";
import { parseConfigFlags } from "./run_config.ts";
import { openGpu } from "../api/open_gpu.ts";
import { describeDevice } from "../text/device.ts";
import { note, print, printError } from "./print.ts";
import { openErrorProgress } from "./progress.ts";

const usage = "./winnow verify [FLAGS] FILE...   (or: deno task verify [FLAGS] FILE...)";
const summary =
  "Checks the kernels on this machine's adapter against files of reference values (safetensors; the " +
  "format is described in docs/formats.md), one line per comparison with its largest error and the allowed one.";

const own = ownFlags({
  model: z.string().min(1).optional().describe(
    "The network that a file is about, as safetensors or ONNX; by default ../models/NAME-cifar10.safetensors beside the " +
      "folder of NAME.safetensors, or NAME.onnx in it.",
  ),
  data: z.string().min(1).optional().describe(
    "Folder of its images; by default ../data/cifar-10-batches-bin beside the folder of the file.",
  ),
});

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...own.fields,
  ...selectFlags("device.adapter", "device.readPath"),
];

async function main(): Promise<number> {
  const { help, positionals, values } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    print(formatHelp({ usage, summary, fields }));
    return 0;
  }
  if (positionals.length === 0) {
    throw new ConfigError({
      act: "verify",
      thing: "nothing",
      current: "no file was named",
      wanted: "FILE...",
    });
  }
  const { adapter, readPath: path } = parseConfigFlags(values).device;
  using gpu = await openGpu({ adapter, path, tune: "off", note });
  print(`adapter: ${describeDevice(gpu)}`);
  const { model, data } = own.read(values);
  const sources = {
    files: denoFiles,
    ...(model === undefined ? {} : { model }),
    ...(data === undefined ? {} : { data }),
  };
  const progress = openErrorProgress();
  let passed = 0, failed = 0;
  for (const name of positionals) {
    const before = passed + failed;
    try {
      await verifyGoldens(gpu, { bytes: await denoFiles.read(name), name }, {
        sources,
        onProgress: (label, { step, steps }) => progress.update({ label, done: step, total: steps }),
        onCheck(check) {
          progress.finish();
          print(formatCheck(check));
          if (check.passed) passed++;
          else failed++;
        },
      });
      if (passed + failed > before) continue;
      print(`FAILED ${name}: it holds nothing to check`);
    } catch (error) {
      progress.finish();
      // The other files are still worth a look.
      if (!isWinnowError(error)) throw error;
      printError(formatError(error));
    }
    failed++;
  }
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function formatCheck({ name, error, allowed, passed }: Check): string {
  const sizes = `largest error ${error.toExponential(2)}, allowed ${allowed.toExponential(2)}`;
  return `${passed ? "ok    " : "FAILED"} ${name}: ${sizes}`;
}

if (import.meta.main) await runCommand(main);
