import { parseFlags } from "../../src/cli/flags.ts";
import { parseRunConfig, type RunConfig } from "../../src/config/config.ts";
import { configFlags, keysOfFlags } from "../../src/config/words.ts";

/** A configuration by the short names of its flags in camel case, such as `{ learningRate: 0.1, granularity: "2:4" }`. */
export function configOf(flags: Readonly<Record<string, unknown>> = {}): RunConfig {
  const argv = Object.entries(flags).filter(([, value]) => value !== undefined).map(([name, value]) => {
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return typeof value === "boolean" ? `--${value ? "" : "no-"}${flag}` : `--${flag}=${value}`;
  });
  return parseRunConfig(keysOfFlags(parseFlags(argv, configFlags).values), "a test");
}
