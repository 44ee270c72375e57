/**
 * Opening a device as the commands do.
 *
 * @module
 */
import { AdapterError } from "../errors.ts";
import { type AdapterChoice, type Gpu, openGpu as openDevice } from "../gpu/device.ts";
import type { SubgroupProbe } from "../gpu/subgroups.ts";
import type { TunerMode } from "../gpu/tuner.ts";
import { subgroupChooser } from "../kernels/gemm.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { adviseOn } from "../text/device.ts";
import { currentHost } from "./host.ts";
import { startTuning } from "./tune.ts";

/** How a device is opened. */
export interface OpenGpuOptions {
  /** Which adapter to ask for. Default: `auto`, which leaves it to the system, on Linux Vulkan first. */
  readonly adapter?: AdapterChoice | undefined;
  /**
   * How matrix products read. Default: `auto`, which takes textures on llvmpipe and storage buffers elsewhere, and what
   * `subgroups` and `tune` find. A path that is named is taken as it is; `subgroup` takes the cores that use subgroups.
   */
  readonly path?: ReadPath | "subgroup" | "auto" | undefined;
  /**
   * Finds out whether subgroups work, which are then used; false does not use them. Default: in Deno they are tried in a
   * helper process, which needs `--allow-run=deno`; in a browser they are not used, unless `trustSubgroups` is given.
   */
  readonly subgroups?: SubgroupProbe | false | undefined;
  /**
   * How much is measured to find the fastest way to compute each matrix product, before a model first needs it: nothing
   * (`off`), likely ways (`quick`) or all of them (`full`). Choices are kept in the cache folder where there is one, so that
   * later processes compute to the same bits. Default: `quick`.
   */
  readonly tune?: TunerMode | undefined;
  /**
   * Hears in plain lines why subgroups or kept choices are not used, and of a better adapter that can be had. Default:
   * standard error.
   */
  readonly note?: ((line: string) => void) | undefined;
  /** Ends the call while subgroups are tried, and before the device is there. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a device as the commands do: through Vulkan where that is there, with subgroups where they work, and with matrix
 * products that are tuned when a model first needs them. Dispose of it to free all that was allocated on it.
 *
 * In Deno this takes no permission. With `--allow-env=DENO_WEBGPU_BACKEND` Vulkan comes first, with `--allow-run=deno`
 * subgroups are probed, and with those of the cache folder choices are kept.
 *
 * @throws {AdapterError} If WebGPU is missing, no adapter is found, its limits do not serve, or subgroups were asked for
 *   and do not work.
 * @throws The reason of `options.signal` if it is aborted.
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const host = currentHost();
  const { adapter = "auto", path = "auto", tune = "quick", note = host?.note ?? console.warn, signal } =
    options;
  signal?.throwIfAborted();
  host?.prepareAdapter();
  const needsSubgroups = path === "subgroup";
  const { subgroups = host?.probeSubgroups(note, signal) ?? false } = options;
  // A path that is forced is taken as it is: only auto may add subgroups where they work.
  const probe = subgroups !== false && (path === "auto" || needsSubgroups) ? { subgroups } : {};
  const gpu = await openDevice({ adapter, path: needsSubgroups ? "texture" : path, ...probe });
  try {
    signal?.throwIfAborted();
    for (const line of adviseOn(gpu.adapter)) note(line);
    if (path === "auto" && tune !== "off") await startTuning(gpu, { mode: tune, note });
    if (!needsSubgroups) return gpu;
    if (gpu.subgroups) {
      gpu.choose = subgroupChooser(gpu.subgroups.size);
      return gpu;
    }
    const current = "subgroups were not found to work there", wanted = "another read path";
    throw new AdapterError({ act: "read through subgroups of", thing: gpu.adapter.name, current, wanted });
  } catch (error) {
    gpu[Symbol.dispose]();
    throw error;
  }
}
