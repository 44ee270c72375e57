/**
 * Measures training, inference, confidence and convolution on this machine's adapter.
 *
 * @module
 */

import { benchNames, checkBenchNames, runBenches } from "../../bench/benches.ts";
import { measurePeers } from "../../bench/peers.ts";
import { formatProfile, profileStep } from "../../bench/profile_step.ts";
import { type BenchRecord, formatRecords, formatSetting } from "../../bench/record.ts";
import { formatScaling, runScaling } from "../../bench/scaling.ts";
import { ConfigError } from "../errors.ts";
import { type AdapterChoice, openGpu } from "../gpu/device.ts";
import type { ReadPath } from "../kernels/assemble.ts";
import { runCommand } from "./command.ts";
import { type FlagField, formatHelp, parseFlags } from "./flags.ts";

/** A flag that is given or not. */
function switchField(flag: string, description: string): FlagField {
  return { key: flag, flag, kind: "boolean", default: false, description, wanted: "no value" };
}

/** A flag with a name out of a list, the first of which is the default. */
function choiceField(flag: string, description: string, choices: readonly string[]): FlagField {
  const wanted = `one of ${choices.join(", ")}`;
  return { key: flag, flag, kind: "choice", default: choices[0]!, choices, description, wanted };
}

const fields: readonly FlagField[] = [
  switchField("json", "Print one JSON object a line instead of tables."),
  switchField("profile", "Print where the time of one training step goes, by kernel."),
  switchField("scaling", "Print how time grows with batch, width, depth and parameters."),
  switchField("peers", "Train and infer beside tfjs and jax-js, downloaded for it, and print the ratios."),
  {
    key: "seconds",
    flag: "seconds",
    kind: "number",
    default: 2,
    description: "Seconds to measure each figure for, after warming up.",
    wanted: "a number above 0",
  },
  choiceField("adapter", "Which adapter to ask for.", ["auto", "high-performance", "low-power", "fallback"]),
  choiceField("read-path", "How kernels read.", ["auto", "storage", "texture"]),
];

const summary = [
  "Measures the named benches, or all of them, and the adapter's own limits in the same run; share is the least",
  "time by those limits divided by the time taken. With --profile, --scaling or --peers only what they ask for is",
  `measured, and the benches that are named. Benches: ${benchNames.join(", ")}.`,
].join(" ");

/** Waits for records, printing each as a line of JSON at once where that is asked for. */
async function gather<R extends BenchRecord>(source: AsyncIterable<R>, json: boolean): Promise<R[]> {
  const records: R[] = [];
  for await (const record of source) {
    if (json) console.log(JSON.stringify(record));
    records.push(record);
  }
  return records;
}

/** Reads the flags, runs what they ask for and prints it. */
async function main(): Promise<number> {
  const { values, positionals: names, help } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    console.log(formatHelp("./winnow bench [FLAGS] [BENCH...]", summary, fields));
    return 0;
  }
  checkBenchNames(names);
  const seconds = Number(values.seconds ?? 2), json = values.json === true;
  if (!(seconds > 0)) {
    const thing = "--seconds", current = `${seconds}`;
    throw new ConfigError({ act: "use", thing, current, wanted: "a number above 0" });
  }
  using gpu = await openGpu({
    adapter: (values.adapter ?? "auto") as AdapterChoice,
    path: (values["read-path"] ?? "auto") as ReadPath | "auto",
  });
  if (!json) console.log(`${formatSetting(gpu, `Deno ${Deno.version.deno}`)}\n`);
  if (values.profile === true) {
    const profile = await profileStep(gpu, { seconds });
    console.log(
      json ? profile.records.map((record) => JSON.stringify(record)).join("\n") : formatProfile(profile),
    );
  }
  if (values.scaling === true) {
    const records = await gather(runScaling(gpu, { seconds }), json);
    if (!json) console.log(formatScaling(records));
  }
  if (values.peers === true) {
    const records = await gather(measurePeers(gpu, { seconds }), json);
    if (!json) console.log(formatRecords(records));
  }
  // The other questions replace the benches, unless some are named.
  const isOther = [values.profile, values.scaling, values.peers].includes(true);
  if (isOther && names.length === 0) return 0;
  const records = await gather(runBenches(gpu, { names, seconds }), json);
  if (!json) console.log(formatRecords(records));
  return 0;
}

await runCommand(main);
