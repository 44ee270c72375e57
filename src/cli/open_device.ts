/**
 * Opens the device that a command's flags name.
 *
 * @module
 */
import { startTuning } from "../api/tune.ts";
import { type ConfigField, describeConfig, parsePruneConfig, type PruneConfig } from "../config.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Tuner, TunerMode } from "../gpu/tuner.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { openGpu } from "../../mod.ts";
import { adviseOn } from "./describe_device.ts";
import { note } from "./print.ts";
import { openErrorProgress } from "./progress.ts";

/** The keys of a configuration that say which device to open and how to use it. */
type DeviceKey = "adapter" | "readPath" | "tune";

/** The flags of a command that opens a device, as a prune run has them. */
export function deviceFields(...keys: readonly DeviceKey[]): readonly ConfigField[] {
  return describeConfig().filter(({ key }) => (keys as readonly string[]).includes(key));
}

/** Checks the device flags among a command's flags as those of a prune run, and fills in the defaults. */
export function readDeviceFlags(values: Readonly<Record<string, unknown>>): Pick<PruneConfig, DeviceKey> {
  const given = Object.fromEntries(
    deviceFields("adapter", "readPath", "tune").map(({ key }) => [key, values[key]]),
  );
  return parsePruneConfig(given, "the command line");
}

/** Opens a device on the adapter and with the read path that flags name, and says where a better one can be had. */
export async function openDevice(
  { adapter, readPath }: Pick<PruneConfig, "adapter" | "readPath">,
): Promise<Gpu> {
  // What a command runs is tuned at once, with progress.
  const gpu = await openGpu({ adapter, path: readPath, tune: "off", note });
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
  { mode, note }: { readonly mode: TunerMode; readonly note: (line: string) => void },
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
    const show = (done: number, total: number) => progress.update({ label: "tune", done, total });
    measured = await tuner.tunePlans(lower, show);
  } finally {
    progress.finish();
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (measured > 0) note(`tuned ${measured} matrix products in ${seconds} s`);
  return tuner;
}
