/**
 * `deno task verify FILE...`: checks the kernels on this machine's adapter against files of reference values.
 *
 * @module
 */
import {
  type AdapterChoice,
  type Check,
  ConfigError,
  denoFiles,
  type GpuOptions,
  isWinnowError,
  openGpu,
  verifyGoldens,
} from "../../mod.ts";
import { formatError, runCommand } from "./command.ts";
import { describeConfig } from "../config.ts";
import { formatHelp, parseFlags } from "./flags.ts";

const usage = "./winnow verify [FLAGS] FILE...   (or: deno task verify [FLAGS] FILE...)";
const summary =
  "Checks the kernels on this machine's adapter against files of reference values (safetensors; the " +
  "format is described in docs/architecture.md), a line a comparison with its largest error and the allowed one.";

async function main(): Promise<number> {
  const fields = describeConfig().filter(({ key }) => key === "adapter" || key === "readPath");
  const { help, positionals, values } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    console.log(formatHelp(usage, summary, fields));
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
  using gpu = await openGpu(gpuOptions(values));
  console.log(`adapter: ${gpu.adapter.name}, read path ${gpu.path}`);
  let passed = 0, failed = 0;
  for (const name of positionals) {
    const before = passed + failed;
    try {
      await verifyGoldens(gpu, { bytes: await denoFiles.read(name), name }, {
        onCheck(check) {
          console.log(formatCheck(check));
          if (check.passed) passed++;
          else failed++;
        },
      });
      if (passed + failed > before) continue;
      console.log(`FAILED ${name}: it holds nothing to check`);
    } catch (error) {
      // The other files are still worth a look.
      if (!isWinnowError(error)) throw error;
      console.error(formatError(error));
    }
    failed++;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function formatCheck({ name, error, allowed, passed }: Check): string {
  const sizes = `largest error ${error.toExponential(2)}, allowed ${allowed.toExponential(2)}`;
  return `${passed ? "ok    " : "FAILED"} ${name}: ${sizes}`;
}

/** The device options that flags name; their values are checked as a configuration's are. */
function gpuOptions({ adapter, readPath }: Readonly<Record<string, unknown>>): GpuOptions {
  for (const [key, value] of Object.entries({ adapter, readPath })) {
    const field = describeConfig().find((known) => known.key === key)!;
    if (value === undefined || field.choices?.includes(String(value))) continue;
    throw new ConfigError({
      act: "use",
      thing: `--${field.flag}`,
      current: `${value}`,
      wanted: field.wanted,
    });
  }
  return {
    adapter: (adapter ?? "auto") as AdapterChoice,
    path: (readPath ?? "auto") as NonNullable<GpuOptions["path"]>,
  };
}

if (import.meta.main) await runCommand(main);
