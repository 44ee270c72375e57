/**
 * Runs the subgroup probe in a helper process.
 *
 * @module
 */
import { z } from "zod";
import type { SubgroupProbe } from "../gpu/subgroups.ts";

/** Milliseconds after which the helper is given up. */
const probeTimeoutMs = 30_000;

const answerSchema = z.strictObject({ subgroupSize: z.int().min(1).nullable() });

/**
 * Tries subgroups in a helper process; needs `--allow-run=deno`. Whatever goes wrong there, or where it may not be
 * started, subgroups are not used.
 */
export const probeSubgroups: SubgroupProbe = async ({ adapter }) => {
  const script = new URL("./subgroup_probe.ts", import.meta.url).href;
  try {
    const { success, stdout } = await new Deno.Command("deno", {
      args: ["run", "--quiet", "--no-prompt", script, adapter],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: AbortSignal.timeout(probeTimeoutMs),
    }).output();
    if (!success) return undefined;
    return answerSchema.parse(JSON.parse(new TextDecoder().decode(stdout))).subgroupSize ?? undefined;
  } catch {
    // Not allowed, not found, too slow, or not an answer: all mean the same.
    return undefined;
  }
};
