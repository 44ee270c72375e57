/**
 * A device in words: which it is, in what it differs from another, and how to get a better one.
 *
 * @module
 */
import { type Backend, vulkanHelp } from "../gpu/backend.ts";
import type { AdapterDescription, Gpu } from "../gpu/device.ts";
import { type GpuIdentity, identityEntries } from "../gpu/identity.ts";

const backendNames: Readonly<Record<Backend, string>> = {
  vulkan: "Vulkan",
  metal: "Metal",
  dx12: "Direct3D 12",
  opengl: "OpenGL",
  unknown: "an unknown backend",
};

/** The device in one line: adapter, maker and chip, backend, read path and subgroups. */
export function describeDevice(
  { adapter, path, subgroups }: Pick<Gpu, "adapter" | "path" | "subgroups">,
): string {
  const { name, backend, vendor, architecture, device } = adapter;
  // In a browser the name is made of these; Deno gives vendor and device as numbers in decimal.
  const isNew = ([, value]: readonly string[]) => value !== "" && !name.split(" ").includes(value);
  const text = (value: string) => /^\d+$/.test(value) ? `0x${Number(value).toString(16)}` : value;
  const details = [["vendor", vendor], ["architecture", architecture], ["device", device]].filter(isNew);
  const chip = details.length === 0
    ? ""
    : ` (${details.map(([key, value]) => `${key} ${text(value)}`).join(", ")})`;
  const reads = `reading through ${path === "texture" ? "textures" : "storage buffers"}`;
  const lanes = subgroups ? `with subgroups of ${subgroups.size}` : "without subgroups";
  return `${name}${chip} through ${backendNames[backend]}, ${reads}, ${lanes}`;
}

/** A device as a report names it. */
export interface NamedDevice {
  readonly adapter: string;
  readonly gpu?: GpuIdentity;
}

/** In what a device differs from an earlier one, such as `backend was vulkan and is opengl`. */
export function deviceChanges(before: NamedDevice, now: Required<NamedDevice>): readonly string[] {
  const old = identityEntries(before.adapter, before.gpu), own = identityEntries(now.adapter, now.gpu);
  const quote = (value: string | number) => value === "" ? "unnamed" : value;
  return Object.keys(old).filter((key) => old[key] !== own[key])
    .map((key) => `${key} was ${quote(old[key])} and is ${quote(own[key])}`);
}

/** What to tell of an adapter that is worse than what this machine could have. */
export function adviseOn({ name, backend, passedOver, lacksVulkan }: AdapterDescription): readonly string[] {
  if (passedOver !== undefined) {
    return [
      `note: Vulkan reaches a software adapter only, OpenGL reaches ${passedOver}: --adapter high-performance ` +
      "takes that; its Vulkan driver would be faster",
    ];
  }
  if (!lacksVulkan || backend !== "opengl") return [];
  return [
    `note: Vulkan gives no adapter, so this runs on ${name} through OpenGL: without subgroups, on a processor about ` +
    `half as fast, and with other bits than through Vulkan; install ${vulkanHelp}`,
  ];
}
