/**
 * A device with subgroups for tests, where they work.
 *
 * @module
 */
import { probeSubgroups } from "../../src/deno/subgroups.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { coreSubgroupSize } from "../../src/gpu/subgroups.ts";

/** A device that is opened as the commands do, and whether tests of subgroups are to be ignored on it. */
export interface SubgroupDevice {
  readonly gpu: Gpu;
  readonly ignore: boolean;
}

/**
 * Opens a device with subgroups, which lives until the tests of the file have ended. Where they do not work the tests of
 * them are ignored, with a line that says so; with WINNOW_REQUIRE_SUBGROUPS=1 they run all the same, and fail.
 */
export async function openWithSubgroups(): Promise<SubgroupDevice> {
  const gpu = await openGpu({ subgroups: probeSubgroups });
  globalThis.addEventListener("unload", () => gpu[Symbol.dispose]());
  const works = gpu.subgroups?.size === coreSubgroupSize;
  if (!works) {
    console.log(
      `skipped: tests of subgroups, which do not work with ${coreSubgroupSize} lanes on ${gpu.adapter.name}`,
    );
  }
  return { gpu, ignore: !works && Deno.env.get("WINNOW_REQUIRE_SUBGROUPS") !== "1" };
}
