/**
 * Opens a device as a command does, with a script that stands for the probe; prints a line while that runs.
 *
 * @module
 */
import { openGpu } from "../../mod.ts";
import { runStoppable } from "../../src/cli/command.ts";
import { note, print } from "../../src/cli/print.ts";
import { subgroupProbe } from "../../src/deno/subgroups.ts";

const [script] = Deno.args;
await runStoppable(async (signal) => {
  const subgroups = subgroupProbe({ script, onFailure: note, signal });
  setTimeout(() => print("probing"), 1000);
  using gpu = await openGpu({ subgroups, tune: "off", note, signal });
  note(gpu.adapter.name);
  return 0;
});
