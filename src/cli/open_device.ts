/**
 * Opens the device that a command's flags name.
 *
 * @module
 */
import { startTuning } from "../api/tune.ts";
import { parseRunConfig, type RunConfig } from "../config/config.ts";
import { keysOfFlags } from "../config/words.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Tuner, TunerMode } from "../gpu/tuner.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { openGpu } from "../../mod.ts";
import { adviseOn } from "./describe_device.ts";
import { note } from "./print.ts";
import { openErrorProgress } from "./progress.ts";

/** Reads the device flags among a command's flags as those of a prune run, and fills in the defaults. */
export function readDeviceFlags(values: Readonly<Record<string, unknown>>): RunConfig["device"] {
  return parseRunConfig(keysOfFlags(values), "the command line").device;
}

/** Opens a device on the adapter and with the read path that flags name, and says where a better one can be had. */
export async function openDevice(
  { adapter, readPath }: Pick<RunConfig["device"], "adapter" | "readPath">,
  tune: TunerMode = "off",
): Promise<Gpu> {
  const gpu = await openGpu({ adapter, path: readPath, tune, note });
  for (const line of adviseOn(gpu.adapter)) note(line);
  return gpu;
}

/**
 * Times how the products of some plans run fastest, unless the cache knows, and has the device take that.
 *
 * @param lower Lowers the plans with a chooser.
 */
export async function tuneDevice(
  gpu: Gpu,
  lower: (choose: ProductChooser) => void,
  { mode, note, signal }: {
    readonly mode: TunerMode;
    readonly note: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<Tuner> {
  const progress = openErrorProgress();
  const noteBelow = (line: string) => {
    progress.finish();
    note(line);
  };
  const start = performance.now();
  let tuner: Tuner, measured: number;
  try {
    tuner = await startTuning(gpu, { mode, note: noteBelow });
    const onProduct = (done: number, total: number) => progress.update({ label: "tune", done, total });
    measured = await tuner.tunePlans(lower, { onProduct, signal });
  } finally {
    progress.finish();
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (measured > 0) note(`tuned ${measured} matrix products in ${seconds} s`);
  return tuner;
}
