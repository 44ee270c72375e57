/**
 * Opens the device that a command's flags name.
 *
 * @module
 */
import { type ConfigField, describeConfig, parsePruneConfig, type PruneConfig } from "../config.ts";
import { AdapterError } from "../errors.ts";
import { denoFiles } from "../deno/files.ts";
import { type Gpu, openGpu } from "../gpu/device.ts";
import { collectProducts, openTuner, type Tuner, type TunerMode } from "../gpu/tuner.ts";
import { subgroupChooser } from "../kernels/gemm.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { cacheFolder } from "../deno/cache_folder.ts";
import { adviseOn } from "./describe_device.ts";
import { note } from "./print.ts";
import { openErrorProgress } from "./progress.ts";
import { probeSubgroups } from "../deno/subgroups.ts";

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

/** Gives Vulkan the folder whose lack it would complain of on standard error, where this process may. */
function quietVulkan(): void {
  const variable = "XDG_RUNTIME_DIR";
  if (
    Deno.build.os !== "linux" || Deno.permissions.querySync({ name: "env", variable }).state !== "granted"
  ) return;
  if (!Deno.env.get(variable)) Deno.env.set(variable, "/tmp");
}

/** Opens a device on the adapter and with the read path that flags name, and says where a better one can be had. */
export async function openDevice(
  { adapter, readPath }: Pick<PruneConfig, "adapter" | "readPath">,
): Promise<Gpu> {
  quietVulkan();
  const isSubgroup = readPath === "subgroup";
  const path = isSubgroup ? "texture" : readPath;
  // A path that is forced is taken as it is: only auto may add subgroups where they work.
  const probe = readPath === "auto" || isSubgroup ? { subgroups: probeSubgroups } : {};
  const gpu = await openGpu({ adapter, path, ...probe });
  for (const line of adviseOn(gpu.adapter)) note(line);
  if (!isSubgroup) return gpu;
  if (!gpu.subgroups) {
    const { name } = gpu.adapter;
    gpu[Symbol.dispose]();
    const current = "subgroups were not found to work there";
    throw new AdapterError({
      act: "read through subgroups of",
      thing: name,
      current,
      wanted: "another --read-path",
    });
  }
  gpu.choose = subgroupChooser(gpu.subgroups.size);
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
  const folder = cacheFolder(), progress = openErrorProgress();
  const noteBelow = (line: string) => {
    progress.finish();
    note(line);
  };
  const tuner = await openTuner(gpu, {
    mode,
    runtime: `Deno ${Deno.version.deno}`,
    note: noteBelow,
    ...(folder === undefined ? {} : { cache: { files: denoFiles, path: `${folder}/tuning.json` } }),
  });
  const start = performance.now();
  let measured: number;
  try {
    const show = (done: number, total: number) => progress.update({ label: "tune", done, total });
    measured = await tuner.tune(collectProducts(lower, gpu.choose), show);
  } finally {
    progress.finish();
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (measured > 0) note(`tuned ${measured} matrix products in ${seconds} s`);
  gpu.choose = tuner.choose;
  return tuner;
}
