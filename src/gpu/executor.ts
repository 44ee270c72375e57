/**
 * Runs dispatches on the GPU. Pipelines, bind groups and parameters are created once; each step records them into one
 * command buffer and submits it.
 *
 * @module
 */
import type { Bind } from "./bind.ts";
import { disposedError, KernelError } from "../errors.ts";
import {
  alignedStructBytes,
  type Field,
  packStruct,
  type ReadPath,
  structSizeBytes,
} from "../kernels/interface.ts";
import type { QuadRange } from "../kernels/buffer_ref.ts";
import { chooseReadPath, type Dispatch } from "../kernels/dispatch.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import type { Mirror } from "./mirror.ts";
import type { Pipeline } from "./pipeline.ts";

/** Values that change from step to step, by the field names of the kernels' `Step` structs. */
export type StepValues = Readonly<Record<string, number>>;

/** One dispatch with the objects that the device needs to run it. */
interface Command {
  readonly dispatch: Dispatch;
  readonly pipeline: Pipeline;
  readonly bindGroup: GPUBindGroup;
  readonly bound: readonly DeviceBuffer[];
  readonly mirrored: readonly { readonly mirror: Mirror; readonly quads: number }[];
  readonly written: readonly { readonly buffer: DeviceBuffer; readonly range: QuadRange | undefined }[];
  readonly step: readonly Field[] | undefined;
  readonly stepOffset: number;
}

/** Called around each dispatch while a program is recorded, to measure it. */
export interface PassObserver {
  /** Returns the timestamp queries for the pass of this dispatch. */
  timestamps(dispatch: Dispatch): GPUComputePassTimestampWrites | undefined;
}

/** A list of dispatches, ready to run. */
export class Program {
  readonly #gpu: Gpu;
  readonly #commands: readonly Command[];
  readonly #bound: ReadonlySet<DeviceBuffer>;
  readonly #uniforms: GPUBuffer;
  readonly #steps: GPUBuffer;
  readonly #stepBytes: Uint8Array;
  #isDisposed = false;

  private constructor(gpu: Gpu, commands: readonly Command[], uniforms: GPUBuffer, steps: GPUBuffer) {
    this.#gpu = gpu;
    this.#commands = commands;
    this.#bound = new Set(commands.flatMap(({ bound }) => bound));
    this.#uniforms = uniforms;
    this.#steps = steps;
    this.#stepBytes = new Uint8Array(steps.size);
  }

  /**
   * Compiles and binds dispatches.
   *
   * @param bind Finds the memory behind the references in the dispatches' bindings.
   * @param path Forces the read path of all dispatches without one of their own, for tests.
   * @throws {KernelError} If a kernel does not compile or a binding is missing or unknown.
   */
  static async create(
    gpu: Gpu,
    dispatches: readonly Dispatch[],
    { bind, path }: {
      readonly bind: Bind;
      readonly path?: ReadPath;
    },
  ): Promise<Program> {
    const pipelines: Pipeline[] = [];
    for (const dispatch of dispatches) {
      const { kernel, text, constants } = dispatch;
      const own = dispatch.path ?? path ?? chooseReadPath(dispatch, gpu.path);
      pipelines.push(await gpu.pipeline(kernel, { path: own, constants, text }));
    }
    const alignment = gpu.device.limits.minUniformBufferOffsetAlignment;
    const sizeOf = (struct: "Params" | "Step") => ({ kernel }: Pipeline) =>
      alignedStructBytes(kernel.interface, struct, alignment);
    const paramsSizes = pipelines.map(sizeOf("Params")), stepSizes = pipelines.map(sizeOf("Step"));
    const total = (sizes: readonly number[]) => Math.max(16, sizes.reduce((sum, size) => sum + size, 0));
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    const uniforms = gpu.device.createBuffer({ label: "params", size: total(paramsSizes), usage });
    const steps = gpu.device.createBuffer({ label: "step", size: total(stepSizes), usage });
    const paramsBytes = new Uint8Array(uniforms.size);
    const commands: Command[] = [];
    let paramsOffset = 0, stepOffset = 0;
    try {
      for (const [i, dispatch] of dispatches.entries()) {
        const fields = checkedFields(dispatch, pipelines[i]);
        paramsBytes.set(packStruct(dispatch.kernel, fields, dispatch.params), paramsOffset);
        const offsets = { params: paramsOffset, step: stepOffset };
        commands.push(
          bindCommand(gpu, { dispatch, pipeline: pipelines[i], uniforms, steps, offsets, bind }),
        );
        paramsOffset += paramsSizes[i];
        stepOffset += stepSizes[i];
      }
    } catch (error) {
      uniforms.destroy();
      steps.destroy();
      throw error;
    }
    gpu.device.queue.writeBuffer(uniforms, 0, paramsBytes);
    gpu.allocatedBytes += uniforms.size + steps.size;
    return new Program(gpu, commands, uniforms, steps);
  }

  /**
   * Records and submits the whole program once.
   *
   * @throws {StateError} If it, its device or a buffer that it copies was disposed of.
   * @throws {KernelError} If the device failed before.
   */
  run(step: StepValues = {}, observer?: PassObserver): void {
    this.#checkInUse();
    const { device } = this.#gpu;
    for (const command of this.#commands) {
      if (!command.step) continue;
      this.#stepBytes.set(packStruct(command.dispatch.kernel, command.step, step), command.stepOffset);
    }
    device.queue.writeBuffer(this.#steps, 0, this.#stepBytes as Uint8Array<ArrayBuffer>);
    const encoder = device.createCommandEncoder();
    let pass: GPUComputePassEncoder | undefined;
    const endPass = () => {
      pass?.end();
      pass = undefined;
    };
    for (const { dispatch, pipeline, bindGroup, mirrored, written } of this.#commands) {
      for (const { mirror, quads } of mirrored) {
        if (!mirror.isStale(quads)) continue;
        endPass();
        mirror.copy(encoder, quads);
      }
      if (observer) endPass();
      pass ??= encoder.beginComputePass(
        observer ? { label: dispatch.label, timestampWrites: observer.timestamps(dispatch) } : undefined,
      );
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...dispatch.workgroups);
      for (const { buffer, range } of written) buffer.noteWrite(range);
    }
    endPass();
    device.queue.submit([encoder.finish()]);
  }

  /** A bound buffer may have been freed since. WebGPU would report that late, and without the buffer's name. */
  #checkInUse(): void {
    if (this.#isDisposed) {
      throw disposedError("program", this.#commands.map(({ dispatch }) => dispatch.label).join(", "));
    }
    this.#gpu.check();
    for (const buffer of this.#bound) buffer.checkInUse();
  }

  /** Frees its buffers. Disposing again does nothing. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#gpu.allocatedBytes -= this.#uniforms.size + this.#steps.size;
    this.#uniforms.destroy();
    this.#steps.destroy();
  }
}

/** The fields of a dispatch's Params, after checking that its names and those of the kernel are the same. */
function checkedFields(dispatch: Dispatch, { kernel }: Pipeline): readonly Field[] {
  const fields = kernel.interface.structs.get("Params") ?? [];
  const bound = kernel.interface.bindings.filter(({ space }) => space !== "uniform").map(({ name }) => name);
  const known: readonly [string, readonly string[], readonly string[]][] = [
    ["parameter", Object.keys(dispatch.params), fields.map(({ name }) => name)],
    ["binding", Object.keys(dispatch.bindings), bound],
    ["constant", Object.keys(dispatch.constants), kernel.interface.overrides],
  ];
  for (const [what, given, wanted] of known) {
    const stray = given.find((name) => !wanted.includes(name));
    const lacking = what === "constant" ? undefined : wanted.find((name) => !given.includes(name));
    if (stray === undefined && lacking === undefined) continue;
    const current = stray === undefined ? `no ${what} ${lacking}` : `an unknown ${what} ${stray}`;
    throw new KernelError({ act: "bind kernel", thing: dispatch.kernel, current, wanted: wanted.join(", ") });
  }
  return fields;
}

function bindCommand(gpu: Gpu, { dispatch, pipeline, uniforms, steps, offsets, bind }: {
  readonly dispatch: Dispatch;
  readonly pipeline: Pipeline;
  readonly uniforms: GPUBuffer;
  readonly steps: GPUBuffer;
  readonly offsets: { readonly params: number; readonly step: number };
  readonly bind: Bind;
}): Command {
  const { structs } = pipeline.kernel.interface;
  const all: DeviceBuffer[] = [],
    mirrored: Command["mirrored"][number][] = [],
    written: Command["written"][number][] = [];
  const entries = pipeline.kernel.slots.map(({ index, binding, mirror }): GPUBindGroupEntry => {
    if (binding.space === "uniform") {
      const isStep = binding.type === "Step";
      const size = structSizeBytes(structs.get(binding.type) ?? []);
      const offset = isStep ? offsets.step : offsets.params;
      return { binding: index, resource: { buffer: isStep ? steps : uniforms, offset, size } };
    }
    const { buffer, quads, range } = bind(dispatch.bindings[binding.name]);
    all.push(buffer);
    if (mirror) {
      const own = buffer.getMirror(range);
      mirrored.push({ mirror: own, quads });
      return { binding: index, resource: own.texture.createView() };
    }
    if (binding.space === "read_write") {
      written.push({ buffer, range: writtenRange(range, dispatch.writes?.[binding.name]) });
    }
    const resource = { buffer: buffer.buffer, ...toByteRange(range) };
    checkBinding(gpu, dispatch, {
      name: binding.name,
      size: buffer.sizeBytes,
      offset: 0,
      ...toByteRange(range),
    });
    return { binding: index, resource };
  });
  const bindGroup = gpu.device.createBindGroup({ label: dispatch.label, layout: pipeline.layout, entries });
  return {
    dispatch,
    pipeline,
    bindGroup,
    bound: all,
    mirrored,
    written,
    step: structs.get("Step"),
    stepOffset: offsets.step,
  };
}

/** Where a range lies in its buffer, in bytes. */
function toByteRange(range: QuadRange | undefined): { readonly offset?: number; readonly size?: number } {
  return range ? { offset: 16 * range.first, size: 16 * range.quads } : {};
}

/** The quads of a buffer that a dispatch writes, which counts them from the first that it binds. */
function writtenRange(bound: QuadRange | undefined, own: QuadRange | undefined): QuadRange | undefined {
  return bound && own ? { first: bound.first + own.first, quads: own.quads } : own ?? bound;
}

/** WebGPU would notice late, and say of no dispatch's name. */
function checkBinding(gpu: Gpu, { label }: Dispatch, { name, offset, size }: {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}): void {
  const { maxStorageBufferBindingSize: most, minStorageBufferOffsetAlignment: aligned } = gpu.device.limits;
  const refuse = (current: string, wanted: string) => {
    const on = `${wanted} on ${gpu.adapter.name}`;
    throw new KernelError({
      act: "bind buffers of",
      thing: label,
      current: `${name} ${current}`,
      wanted: on,
    });
  };
  if (size > most) refuse(`takes ${size} bytes`, `at most ${most}`);
  if (offset % aligned > 0) refuse(`starts at byte ${offset}`, `a multiple of ${aligned}`);
}
