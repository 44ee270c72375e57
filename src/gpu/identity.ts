/**
 * What identifies an open device: two devices that differ in any of it may compute other bits.
 *
 * @module
 */
import { z } from "zod";
import type { ReadPath } from "../kernels/interface.ts";
import type { Backend } from "./backend.ts";

/** An open device as reports name it, beside the adapter's name. */
export const gpuIdentitySchema = z.strictObject({
  backend: z.enum(["vulkan", "metal", "dx12", "opengl", "unknown"]),
  vendor: z.string(),
  architecture: z.string(),
  device: z.string(),
  readPath: z.enum(["storage", "texture"]),
  subgroupSize: z.int().nullable(),
});

/** What identifies an open device, beside the adapter's name. */
export interface GpuIdentity {
  /** The graphics API behind WebGPU, `unknown` where the runtime does not tell. */
  readonly backend: Backend;
  /** The maker as WebGPU gives it, in Deno the number of its PCI vendor; empty where it does not. */
  readonly vendor: string;
  /** The family of chips as WebGPU gives it, empty where it does not. */
  readonly architecture: string;
  /** The chip as WebGPU gives it, in Deno the number of its PCI device; empty where it does not. */
  readonly device: string;
  /** How matrix products read. */
  readonly readPath: ReadPath;
  /** Invocations of a subgroup; null where subgroups are not used. */
  readonly subgroupSize: number | null;
}

/** The name and the identity of a device by the words that people read, to be compared with those of another. */
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
