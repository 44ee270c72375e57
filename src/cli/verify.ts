/**
 * `deno task verify FILE...`: checks the kernels on this machine's adapter against files of reference values.
 *
 * @module
 */
import { type Check, ConfigError, denoFiles, isWinnowError, verifyGoldens } from "../../mod.ts";
import { formatError, runCommand } from "./command.ts";
import { formatHelp, parseFlags } from "./flags.ts";
import { describePath, deviceFields, openDevice, readDeviceFlags } from "./open_device.ts";

const usage = "./winnow verify [FLAGS] FILE...   (or: deno task verify [FLAGS] FILE...)";
const summary =
  "Checks the kernels on this machine's adapter against files of reference values (safetensors; the " +
  "format is described in docs/architecture.md), a line a comparison with its largest error and the allowed one.";

async function main(): Promise<number> {
  const fields = deviceFields("adapter", "readPath");
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
  using gpu = await openDevice(readDeviceFlags(values));
  console.log(`adapter: ${gpu.adapter.name}, reading through ${describePath(gpu)}`);
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

if (import.meta.main) await runCommand(main);
