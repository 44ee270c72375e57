/**
 * Runs dispatches once, on buffers created for them.
 *
 * @module
 */
import type { ReadPath } from "../kernels/interface.ts";
import { bindBuffers, wholeBuffer } from "./bind.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import { KernelError } from "../errors.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import { Program, type StepValues } from "./executor.ts";
import { readBuffers } from "./readback.ts";

/** Dispatches and the buffers that they name. */
export interface Run {
  readonly dispatches: readonly Dispatch[];
  /** The content of each buffer. A number stands for so many zeroed 32-bit words. */
  readonly buffers: Readonly<Record<string, Float32Array | Uint32Array | number>>;
  readonly step?: StepValues;
  /** Overrides the device's read path. */
  readonly path?: ReadPath;
}

/** The buffers after a run. */
export interface RunResult {
  floats(name: string): Float32Array;
  integers(name: string): Uint32Array;
}

/**
 * Runs dispatches once and reads all buffers back.
 *
 * @throws {KernelError} If a kernel does not compile or names a missing buffer.
 */
export async function runOnce(gpu: Gpu, { dispatches, buffers, step, path }: Run): Promise<RunResult> {
  const held = new Map<string, DeviceBuffer>();
  try {
    for (const [name, content] of Object.entries(buffers)) {
      const words = typeof content === "number" ? content : content.length;
      const buffer = gpu.createBuffer(name, 4 * words);
      held.set(name, buffer);
      if (typeof content !== "number" && content.length > 0) buffer.write(content);
    }
    // A dispatch alone has no plan and no model, so all its buffers are inputs.
    const input = (name: string) => held.get(name);
    const tensor = (name: string) => {
      const buffer = held.get(name);
      return buffer && wholeBuffer(buffer);
    };
    const arena = (role: string) => {
      const buffer = held.get(role);
      if (buffer) return buffer;
      throw new KernelError({ act: "bind buffer", thing: role, current: "it was not given", wanted: "it" });
    };
    const bind = bindBuffers("kernels", { tensor, input, network: { arena } });
    using program = await Program.create(gpu, dispatches, { bind, ...(path ? { path } : {}) });
    program.run(step);
    const names = [...held.keys()];
    const contents = await readBuffers(gpu, names.map((name) => ({ buffer: held.get(name)! })));
    const bytesOf = (name: string) => contents[names.indexOf(name)];
    return {
      floats: (name) => new Float32Array(bytesOf(name)),
      integers: (name) => new Uint32Array(bytesOf(name)),
    };
  } finally {
    for (const buffer of held.values()) buffer[Symbol.dispose]();
  }
}
