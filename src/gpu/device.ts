/**
 * The device: opening it, its buffers, its pipelines, and its errors.
 *
 * @module
 */
import { AdapterError, disposedError, KernelError } from "../errors.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { defaultChooser } from "../kernels/gemm.ts";
import type { ProductChooser, ProductTuner } from "../kernels/product.ts";
import { type AdapterChoice, type Backend, backendVariable, findAdapter, vulkanHelp } from "./backend.ts";
import { DeviceBuffer } from "./buffer.ts";
import type { GpuIdentity } from "./identity.ts";
import { compilePipeline, type Pipeline } from "./pipeline.ts";
import { defaultReadPath, readsTextures } from "./read_paths.ts";
import { findSubgroupDirective, type SubgroupProbe, type Subgroups } from "./subgroups.ts";

export type { AdapterChoice, Backend };

/** Options of opening a device. */
export interface GpuOptions {
  /** The adapter to ask for. `auto` leaves the choice to the system. */
  readonly adapter?: AdapterChoice;
  /** The read path of matrix products. `auto` takes textures on llvmpipe and storage buffers elsewhere. */
  readonly path?: ReadPath | "auto";
  /** Probes subgroups, which are used if they work. Default: subgroups are not used. */
  readonly subgroups?: SubgroupProbe;
}

/** The description of an adapter. */
export interface AdapterDescription {
  /** One line for reports, such as `llvmpipe (LLVM 15.0.6, 256 bits)`, or in a browser `nvidia ampere`. */
  readonly name: string;
  /** The graphics API behind WebGPU. It is known in Deno with `--allow-env=DENO_WEBGPU_BACKEND`. */
  readonly backend: Backend;
  /** The vendor as WebGPU reports it, or empty. */
  readonly vendor: string;
  /** The architecture as WebGPU reports it, or empty. */
  readonly architecture: string;
  /** The chip as WebGPU reports it, or empty. */
  readonly device: string;
  /** True if the adapter computes on the processor. */
  readonly isFallback: boolean;
  /** The name of a GPU that only OpenGL reaches, if this software adapter was taken because Vulkan reaches it. */
  readonly passedOver?: string;
  /** True if Linux gives no adapter through Vulkan, and the user named no backend. */
  readonly lacksVulkan?: boolean;
}

/** Advice if no adapter is found. */
const adapterHelp = `a WebGPU adapter: install ${vulkanHelp} or use macOS or Windows 10 and later`;

/** Maximum number of storage buffers per kernel. */
const storageBuffersNeeded = 8;

/** An open WebGPU device. Dispose of it to free all that was allocated on it. */
export class Gpu {
  /** The read path of matrix products, unless a dispatch has its own. */
  readonly path: ReadPath;
  /** The subgroups; undefined if the device has none, or the probe failed. */
  readonly subgroups: Subgroups | undefined;
  /** Chooses how matrix products are computed. Default: by the cost model. A tuner sets its own chooser. */
  choose: ProductChooser;
  /**
   * The tuner that measures products before a model first needs them; undefined if nothing is measured.
   *
   * @internal
   */
  tuner: ProductTuner | undefined;
  /** Bytes of buffers and textures that are allocated now. */
  allocatedBytes = 0;
  readonly #buffers = new Set<DeviceBuffer>();
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #device: GPUDevice;
  /** The names of the calls in progress, oldest first, and of the last call that ended. */
  readonly #doing: string[] = [];
  #done: string | undefined;
  #failure: string | undefined;
  #isDisposed = false;

  /**
   * A device that was opened; `openGpu` opens one.
   *
   * @internal
   */
  constructor(
    device: GPUDevice,
    readonly adapter: AdapterDescription,
    { path, subgroups }: { readonly path: ReadPath; readonly subgroups?: Subgroups | undefined },
  ) {
    this.#device = device;
    this.path = path;
    this.subgroups = subgroups;
    this.choose = defaultChooser(path, subgroups?.size);
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#fail((event as GPUUncapturedErrorEvent).error.message);
    });
    device.lost.then(({ reason, message }) => {
      const by = reason === "destroyed" ? "something destroyed it" : message;
      if (!this.#isDisposed) this.#fail(`the device was lost: ${by}`);
    });
  }

  /** The identity of the device, for reports and resumed runs. */
  get identity(): GpuIdentity {
    const { backend, vendor, architecture, device } = this.adapter;
    const subgroupSize = this.subgroups?.size ?? null;
    return { backend, vendor, architecture, device, readPath: this.path, subgroupSize };
  }

  /**
   * The device itself.
   *
   * @throws {StateError} If it was disposed of.
   */
  get device(): GPUDevice {
    if (this.#isDisposed) throw disposedError("device", this.adapter.name);
    return this.#device;
  }

  /** Keeps the first failure, with the calls in progress. */
  #fail(message: string): void {
    const text = message.split("\n").filter((line) => line.trim() !== "").join(" | ");
    const when = this.#doing.length > 0
      ? `, while ${this.#doing.join(" and ")}`
      : this.#done === undefined
      ? ""
      : `, after ${this.#done}`;
    this.#failure ??= text + when;
  }

  /**
   * Runs a named call, such as `training seed`. Errors of the device name it.
   *
   * @throws {KernelError} If the device failed before or meanwhile. Results are then not to be trusted.
   * @throws {StateError} If it was disposed of.
   * @internal
   */
  async during<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    this.check();
    this.#doing.push(name);
    try {
      const result = await act();
      this.check();
      return result;
    } finally {
      this.#doing.splice(this.#doing.indexOf(name), 1);
      this.#done = name;
    }
  }

  /**
   * Allocates a zeroed buffer of a number of bytes, rounded up to whole quads.
   *
   * @param isBoundInParts True if kernels bind only ranges of it, so that it may be larger than one binding.
   * @throws {ShapeError} If the adapter's limits do not allow it.
   * @throws {KernelError} If the device failed before.
   * @internal
   */
  createBuffer(label: string, sizeBytes: number, isBoundInParts = false): DeviceBuffer {
    this.check();
    const wholeBytes = Math.max(16, Math.ceil(sizeBytes / 16) * 16);
    const buffer = new DeviceBuffer(this, label, wholeBytes, isBoundInParts);
    this.#buffers.add(buffer);
    return buffer;
  }

  /**
   * Called by a buffer that was disposed of.
   *
   * @internal
   */
  forget(buffer: DeviceBuffer): void {
    this.#buffers.delete(buffer);
  }

  /**
   * Returns a kernel's pipeline, compiled at its first use.
   *
   * @throws {KernelError} If it does not compile.
   * @internal
   */
  async pipeline(
    kernel: string,
    { path, constants, text }: {
      readonly path: ReadPath;
      readonly constants: Readonly<Record<string, number>>;
      /** The kernel's WGSL, if it is not in kernels/. */
      readonly text?: string | undefined;
    },
  ): Promise<Pipeline> {
    const key = JSON.stringify([kernel, path, Object.entries(constants).sort(), text]);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      this.check();
      pipeline = await compilePipeline(this.device, {
        kernel,
        text,
        path,
        constants,
        subgroupDirective: this.subgroups?.directive,
      });
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  /**
   * Reports an error that WebGPU found since the device was opened, with the call in progress then. WebGPU reports
   * late, so every use of the device checks. Later results are not to be trusted, so the device stays failed: open
   * another.
   *
   * @throws {KernelError} If an operation failed validation, memory ran out, or the device was lost.
   * @throws {StateError} If the device was disposed of.
   */
  check(): void {
    if (this.#isDisposed) throw disposedError("device", this.adapter.name);
    if (this.#failure === undefined) return;
    const thing = this.adapter.name, wanted = "no error (open the device anew)";
    throw new KernelError({ act: "run on adapter", thing, current: this.#failure, wanted });
  }

  /** Frees everything that was allocated on the device, and the device. Disposing again does nothing. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const buffer of [...this.#buffers]) buffer[Symbol.dispose]();
    this.#device.destroy();
  }
}

/**
 * Opens a device on an adapter.
 *
 * @throws {AdapterError} If WebGPU is missing, no adapter is found, or its limits do not suffice.
 */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  const choice = options.adapter ?? "auto";
  const fail = (current: string, wanted: string): never => {
    throw new AdapterError({ act: "open adapter", thing: choice, current, wanted });
  };
  if (typeof navigator === "undefined" || !navigator.gpu) {
    fail("this runtime has no WebGPU", "Deno 2.9 or later, or a browser with WebGPU");
  }
  const found = await findAdapter(choice);
  if (!found) {
    return fail("WebGPU found none", `${adapterHelp}; ${backendVariable}, where set, must allow it`);
  }
  const { adapter, name, backend, isFallback, passedOver, lacksVulkan } = found, { limits, info } = adapter;
  if (limits.maxStorageBuffersPerShaderStage < storageBuffersNeeded) {
    fail(
      `${limits.maxStorageBuffersPerShaderStage} storage buffers a kernel`,
      `${storageBuffersNeeded} at least`,
    );
  }
  if (options.path === "texture" && !readsTextures(name)) {
    fail(`kernels that read textures do not compile on ${name}`, 'the read path "storage" or "auto"');
  }
  const subgroupSize = await options.subgroups?.({
    adapter: choice,
    hasFeature: adapter.features.has("subgroups"),
    minSize: info.subgroupMinSize,
    maxSize: info.subgroupMaxSize,
  });
  const features: GPUFeatureName[] = adapter.features.has("timestamp-query") ? ["timestamp-query"] : [];
  const descriptor: GPUDeviceDescriptor = {
    label: "winnow",
    requiredLimits: {
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxTextureDimension2D: limits.maxTextureDimension2D,
    },
  };
  // Deno grants subgroups that the adapter does not list, so only the request tells.
  const withSubgroups = subgroupSize === undefined ? undefined : await adapter.requestDevice({
    ...descriptor,
    requiredFeatures: [...features, "subgroups"],
  }).catch(() => undefined);
  const device = withSubgroups ??
    await adapter.requestDevice({ ...descriptor, requiredFeatures: features }).catch((error: Error) =>
      fail(error.message.split("\n")[0], "a device with the adapter's own limits")
    );
  const directive = withSubgroups && await findSubgroupDirective(withSubgroups);
  const { vendor, architecture, device: chip } = info;
  const description: AdapterDescription = {
    ...{ name, backend, vendor, architecture, device: chip, isFallback },
    ...(passedOver === undefined ? {} : { passedOver }),
    ...(lacksVulkan ? { lacksVulkan } : {}),
  };
  const asked = options.path ?? "auto";
  return new Gpu(device, description, {
    path: asked === "auto" ? defaultReadPath(name) : asked,
    subgroups: subgroupSize !== undefined && directive !== undefined
      ? { size: subgroupSize, directive }
      : undefined,
  });
}
