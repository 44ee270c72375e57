/**
 * The identity of an open device. Devices with different identities may compute different bits.
 *
 * @module
 */
import { z } from "zod";
import type { ReadPath } from "../kernels/interface.ts";
import type { Backend } from "./backend.ts";

/** An open device in reports, besides the adapter's name. */
export const gpuIdentitySchema = z.strictObject({
  backend: z.enum(["vulkan", "metal", "dx12", "opengl", "unknown"]),
  vendor: z.string(),
  architecture: z.string(),
  device: z.string(),
  readPath: z.enum(["storage", "texture"]),
  subgroupSize: z.int().nullable(),
});

/** The identity of an open device, besides the adapter's name. */
export interface GpuIdentity {
  /** The graphics API behind WebGPU, or `unknown`. */
  readonly backend: Backend;
  /** The vendor as WebGPU reports it (in Deno the PCI vendor number), or empty. */
  readonly vendor: string;
  /** The architecture as WebGPU reports it, or empty. */
  readonly architecture: string;
  /** The chip as WebGPU reports it (in Deno the PCI device number), or empty. */
  readonly device: string;
  /** The read path of matrix products. */
  readonly readPath: ReadPath;
  /** Invocations per subgroup; null if subgroups are not used. */
  readonly subgroupSize: number | null;
}

/** The name and the identity of a device, keyed by words for messages, to compare with another device. */
export function identityEntries(
  adapter: string,
  identity: GpuIdentity | undefined,
): Readonly<Record<string, string | number>> {
  if (!identity) return { device: adapter };
  const { backend, vendor, architecture, device, readPath, subgroupSize } = identity;
  return {
    device: adapter,
    backend,
    vendor,
    architecture,
    chip: device,
    "read path": readPath,
    "subgroup size": subgroupSize ?? "none",
  };
}
