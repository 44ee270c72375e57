/**
 * Tuning of a device: its matrix products run as was found to be fastest, now or in an earlier process.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { openTuner, type Tuner, type TunerMode } from "../gpu/tuner.ts";
import { currentHost } from "./host.ts";

/**
 * Has a device choose cores by measurements: those that the cache folder holds, and those that `tunePlans` makes.
 *
 * @param options.mode How much is measured.
 * @param options.note Hears of a cache that does not serve, and of cores that compute wrong results.
 */
export async function startTuning(
  gpu: Gpu,
  { mode, note }: { readonly mode: TunerMode; readonly note: (line: string) => void },
): Promise<Tuner> {
  const host = currentHost(), folder = host?.cacheFolder();
  const runtime = host?.runtime ?? globalThis.navigator?.userAgent ?? "an unknown runtime";
  const cache = host && folder !== undefined
    ? { cache: { files: host.files, path: `${folder}/tuning.json` } }
    : {};
  const tuner = await openTuner(gpu, { mode, runtime, note, ...cache });
  gpu.choose = tuner.choose;
  gpu.tuner = tuner;
  return tuner;
}
