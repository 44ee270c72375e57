/**
 * Finds an adapter, and the graphics API through which WebGPU reaches it.
 *
 * WebGPU does not report the API. Deno reads the environment variable `DENO_WEBGPU_BACKEND` at every request for an
 * adapter, so this file can ask for one API after the other. That needs permission for the variable. Without it, and
 * in most browsers, the backend is unknown. This file imports nothing at run time, because the start script runs it
 * first.
 *
 * @module
 */

/** Which adapter to ask for. */
export type AdapterChoice = "auto" | "high-performance" | "low-power" | "fallback";

/** The graphics API behind an adapter, by the name that `DENO_WEBGPU_BACKEND` takes, or `unknown`. */
export type Backend = "vulkan" | "metal" | "dx12" | "opengl" | "unknown";

/** An adapter that was found. */
export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  /** One line for people: the adapter's description, or its other names. */
  readonly name: string;
  readonly backend: Backend;
  /** True if the adapter computes on the processor. */
  readonly isFallback: boolean;
  /** The name of a GPU that only OpenGL reaches, if a software adapter was taken because Vulkan reaches it. */
  readonly passedOver?: string;
  /** True if Linux gives no adapter through Vulkan, and the user named no backend. */
  readonly lacksVulkan?: boolean;
}

/** The variable that lists the backends through which Deno looks for adapters. */
export const backendVariable = "DENO_WEBGPU_BACKEND";

/** The packages that bring Vulkan to Linux. */
export const vulkanHelp =
  "a Vulkan driver (Debian and Ubuntu: mesa-vulkan-drivers; Fedora: mesa-vulkan-drivers; " +
  "Arch: vulkan-swrast; NVIDIA: its driver with libvulkan1)";

/** In the order in which Deno tries them. */
const backends = ["vulkan", "metal", "dx12", "opengl"] as const;

/** Software adapters that the runtime may not report as such. */
const softwareNames = /llvmpipe|swiftshader|basic render|software/i;

/** The name of an adapter: browsers give a vendor and an architecture, such as `nvidia ampere`, and no description. */
export function adapterName({ description, vendor, architecture, device }: Partial<GPUAdapterInfo>): string {
  const parts = [vendor, architecture, device].filter((part) => part);
  return description || [...new Set(parts)].join(" ") || "unnamed adapter";
}

/**
 * Asks for an adapter; undefined if there is none, or no WebGPU.
 *
 * On Linux Vulkan is tried first, unless the user set the variable: accuracy, speed and limits of Mesa's OpenGL are
 * worse. With a power preference, a GPU that only OpenGL reaches is still preferred to a software adapter.
 */
export async function findAdapter(
  choice: AdapterChoice,
  gpu: GPU | undefined = globalThis.navigator?.gpu,
): Promise<FoundAdapter | undefined> {
  if (!gpu) return undefined;
  const request: GPURequestAdapterOptions = {};
  if (choice === "fallback") request.forceFallbackAdapter = true;
  else if (choice !== "auto") request.powerPreference = choice;
  // This request comes first: later requests can only name backends that this one named (by default all).
  const adapter = await gpu.requestAdapter(request);
  if (!adapter) return undefined;
  const first = describe(adapter, toldBackend(adapter.info));
  if (!await canAskOneBackend(gpu, request)) return first;
  const through = async (backend: typeof backends[number]) => {
    const adapter = await askThrough(gpu, request, backend);
    return adapter ? describe(adapter, backend) : undefined;
  };
  const isFree = Deno.build.os === "linux" && Deno.env.get(backendVariable) === undefined;
  const vulkan = isFree ? await through("vulkan") : undefined;
  if (vulkan) {
    if (choice === "auto" || !vulkan.isFallback || first.isFallback) {
      const other = vulkan.isFallback && choice === "auto" ? await through("opengl") : undefined;
      return other && !other.isFallback ? { ...vulkan, passedOver: other.name } : vulkan;
    }
  }
  for (const backend of backends) {
    const found = await through(backend);
    if (found && isSame(found.adapter, adapter)) {
      return isFree && !vulkan ? { ...found, lacksVulkan: true } : found;
    }
  }
  return first;
}

function describe(adapter: GPUAdapter, backend: Backend): FoundAdapter {
  const name = adapterName(adapter.info);
  const isFallback = adapter.info.isFallbackAdapter === true || softwareNames.test(name);
  return { adapter, name, backend, isFallback };
}

/** The backend as Chromium reports it with its developer features on. */
function toldBackend(info: GPUAdapterInfo): Backend {
  const told = String((info as { readonly backend?: unknown }).backend ?? "").toLowerCase();
  if (told === "d3d12") return "dx12";
  if (told.startsWith("opengl")) return "opengl";
  return told === "vulkan" || told === "metal" ? told : "unknown";
}

function isSame({ info: a }: GPUAdapter, { info: b }: GPUAdapter): boolean {
  const keys = [
    "vendor",
    "architecture",
    "device",
    "description",
    "subgroupMinSize",
    "subgroupMaxSize",
  ] as const;
  return keys.every((key) => a[key] === b[key]);
}

/** True in Deno with permission for the variable, if an unknown backend gives no adapter. */
async function canAskOneBackend(gpu: GPU, request: GPURequestAdapterOptions): Promise<boolean> {
  if (typeof Deno === "undefined") return false;
  const { state } = Deno.permissions.querySync({ name: "env", variable: backendVariable });
  return state === "granted" && await askThrough(gpu, request, "none") === null;
}

/** Asks for an adapter through one backend. */
function askThrough(
  gpu: GPU,
  request: GPURequestAdapterOptions,
  backend: string,
): Promise<GPUAdapter | null> {
  const before = Deno.env.get(backendVariable);
  Deno.env.set(backendVariable, backend);
  try {
    // Deno reads the variable before this returns, so nothing else sees the change.
    return gpu.requestAdapter(request);
  } finally {
    if (before === undefined) Deno.env.delete(backendVariable);
    else Deno.env.set(backendVariable, before);
  }
}
