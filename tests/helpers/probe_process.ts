/**
 * Asks the subgroup probe as the commands do, in a process with their permissions, and prints what came of it as JSON.
 *
 * @module
 */
import { subgroupProbe } from "../../src/deno/subgroups.ts";

const [script] = Deno.args, notes: string[] = [];
const probe = subgroupProbe({ ...(script ? { script } : {}), onFailure: (line) => notes.push(line) });
const size = await probe({ adapter: "auto", hasFeature: false, minSize: undefined, maxSize: undefined });
console.log(JSON.stringify({ size: size ?? null, notes, kept: Deno.env.get("LD_LIBRARY_PATH") ?? null }));
