/**
 * Tries subgroups in a process of its own, which a wrong driver may end, and prints what came of it as JSON:
 * `{"subgroupSize": 8}`, or null where they do not work.
 *
 * @module
 */
import { type AdapterChoice, openGpu } from "../gpu/device.ts";
import { measureSubgroups } from "../gpu/measure_subgroups.ts";
import { coreSubgroupSize } from "../gpu/subgroups.ts";

const adapter = (Deno.args[0] ?? "auto") as AdapterChoice;
using gpu = await openGpu({ adapter, subgroups: () => Promise.resolve(coreSubgroupSize) });
console.log(JSON.stringify({ subgroupSize: await measureSubgroups(gpu) ?? null }));
