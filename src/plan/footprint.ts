/**
 * The device memory that plans and dispatches need, computed without a device.
 *
 * @module
 */
import { assembleKernel, mirrorWidth } from "../kernels/assemble.ts";
import { alignedStructBytes, type ReadPath } from "../kernels/interface.ts";
import { type BufferRef, refText } from "../kernels/buffer_ref.ts";
import { chooseReadPath, type Dispatch } from "../kernels/dispatch.ts";
import { takeFromPool } from "./memory.ts";
import type { Plan } from "./plan.ts";

/** Bytes of device memory by purpose. */
export interface Footprint {
  /** Memory of the step's tensors. */
  readonly slotsBytes: number;
  /** Arenas, examples and other buffers that outlive the step, with the parameters of its dispatches. */
  readonly buffersBytes: number;
  /** Textures that mirror these buffers, on the texture path. */
  readonly mirrorsBytes: number;
  /** All of these. */
  readonly totalBytes: number;
}

/** Bytes of the texture that mirrors a buffer of a size. */
function mirrorSizeBytes(sizeBytes: number): number {
  const quads = sizeBytes / 16;
  return 16 * Math.min(mirrorWidth, quads) * Math.ceil(quads / mirrorWidth);
}

/** A buffer that outlives a step. */
export type OuterRef = Exclude<BufferRef, { readonly tensor: string }>;

/** Assembles the kernel of a dispatch as a device of a read path does. */
function assembleFor(dispatch: Dispatch, path: ReadPath) {
  return assembleKernel(dispatch.kernel, chooseReadPath(dispatch, path), dispatch.text);
}

/** What dispatches bind, and whether they read it through a mirror. */
function* boundRefs(dispatches: readonly Dispatch[], path: ReadPath) {
  for (const dispatch of dispatches) {
    for (const { binding, mirror: isMirrored } of assembleFor(dispatch, path).slots) {
      if (binding.space !== "uniform") yield { ref: dispatch.bindings[binding.name], isMirrored };
    }
  }
}

/** Bytes of the largest slot of a plan. */
export function largestSlotBytes({ slots }: Plan): number {
  return 16 * slots.reduce((max, quads) => Math.max(max, quads), 0);
}

/** Bytes of the largest slot of a plan that is read through a texture. */
export function largestMirroredBytes(plan: Plan, path: ReadPath): number {
  const mirrored = [...boundRefs(plan.dispatches, path)].filter(({ isMirrored }) => isMirrored);
  const quads = mirrored.map(({ ref }) =>
    "tensor" in ref ? plan.slots[plan.tensors.get(ref.tensor)!.slot] : 0
  );
  return 16 * quads.reduce((max, own) => Math.max(max, own), 0);
}

/** The memory behind a reference: a name that no other memory has, and its bytes. */
export interface HeldMemory {
  readonly name: string;
  readonly sizeBytes: number;
  /** True for the memory of a step's tensors. */
  readonly isSlot?: boolean;
}

/** What of a device says how much memory programs take. */
export interface TalliedDevice {
  readonly path: ReadPath;
  /** Bytes of which the offsets of parameters are multiples. */
  readonly uniformAlignment: number;
}

/** What a buffer is for, by the keys of a footprint. */
type Purpose = "slots" | "buffers" | "mirrors";

/** Adds up the device memory that is held at the same time, and finds its peak. What is named twice counts once. */
export class MemoryTally {
  /** Bytes of what is held, by its name. */
  readonly #held = new Map<string, { readonly purpose: Purpose; readonly sizeBytes: number }>();
  readonly #bytes: Record<Purpose, number> = { slots: 0, buffers: 0, mirrors: 0 };
  #peak = { ...this.#bytes };
  /** Quads of the buffers of each pool of slots. */
  readonly #pools = new Map<string, number[]>();
  readonly #device: TalliedDevice;

  /** Nothing held on a device. */
  constructor(device: TalliedDevice) {
    this.#device = device;
  }

  /** Adds a buffer, in whole quads as devices allocate it. */
  hold({ name, sizeBytes, isSlot = false }: HeldMemory): void {
    const wholeBytes = 16 * Math.max(1, Math.ceil(sizeBytes / 16));
    this.#set(name, isSlot ? "slots" : "buffers", wholeBytes);
  }

  #set(name: string, purpose: Purpose, sizeBytes: number): void {
    const before = this.#held.get(name)?.sizeBytes ?? 0;
    if (sizeBytes <= before) return;
    this.#held.set(name, { purpose, sizeBytes });
    this.#bytes[purpose] += sizeBytes - before;
    const total = (bytes: Readonly<Record<Purpose, number>>) => bytes.slots + bytes.buffers + bytes.mirrors;
    if (total(this.#bytes) > total(this.#peak)) this.#peak = { ...this.#bytes };
  }

  /** Frees what has a name that begins so, mirrors too, and the pool of slots that is called so. */
  release(prefix: string): void {
    for (const [name, { purpose, sizeBytes }] of this.#held) {
      if (!name.startsWith(prefix)) continue;
      this.#held.delete(name);
      this.#bytes[purpose] -= sizeBytes;
    }
    this.#pools.delete(prefix);
  }

  /**
   * Adds a program of dispatches: their parameters, the buffers that they bind, and the mirrors through which they read.
   *
   * @param name The program's name, which no other has that is held with it.
   */
  holdProgram(name: string, dispatches: readonly Dispatch[], find: (ref: BufferRef) => HeldMemory): void {
    const { path, uniformAlignment } = this.#device;
    for (const struct of ["Params", "Step"] as const) {
      const sizes = dispatches.map((dispatch) =>
        alignedStructBytes(assembleFor(dispatch, path).interface, struct, uniformAlignment)
      );
      this.hold({ name: `${name} ${struct}`, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) });
    }
    for (const { ref, isMirrored } of boundRefs(dispatches, path)) {
      const held = find(ref);
      this.hold(held);
      if (!isMirrored) continue;
      const quads = ref.range?.quads ?? Math.max(1, Math.ceil(held.sizeBytes / 16));
      const range = ref.range ? refText(ref) : "";
      this.#set(`${held.name} mirror${range}`, "mirrors", mirrorSizeBytes(16 * quads));
    }
  }

  /**
   * Adds the memory of a plan: its slots, and its program.
   *
   * @param program The program's name, which no other has that is held with it.
   * @param pool The name of the pool that it takes its slots from; plans share it.
   * @param find Finds the memory behind arenas and inputs.
   * @returns Finds the memory of a tensor of the plan.
   */
  holdPlan(
    { slots, tensors, dispatches }: Plan,
    { program, pool }: { readonly program: string; readonly pool: string },
    find: (ref: OuterRef) => HeldMemory,
  ): (tensor: string) => HeldMemory {
    const taken = this.holdSlots(pool, slots);
    const tensorAt = (tensor: string) => taken[tensors.get(tensor)!.slot];
    this.holdProgram(program, dispatches, (ref) => "tensor" in ref ? tensorAt(ref.tensor) : find(ref));
    return tensorAt;
  }

  /** Takes a buffer of a pool for each of some slots, and returns the memory of each. */
  holdSlots(pool: string, slots: readonly number[]): readonly HeldMemory[] {
    const held = this.#pools.get(pool) ?? [];
    this.#pools.set(pool, held);
    const taken = takeFromPool(held, slots).map((buffer) => ({
      name: `${pool} slot ${buffer}`,
      sizeBytes: 16 * held[buffer],
      isSlot: true,
    }));
    for (const slot of taken) this.hold(slot);
    return taken;
  }

  /** What was held when it was most. */
  get peak(): Footprint {
    const { slots: slotsBytes, buffers: buffersBytes, mirrors: mirrorsBytes } = this.#peak;
    return { slotsBytes, buffersBytes, mirrorsBytes, totalBytes: slotsBytes + buffersBytes + mirrorsBytes };
  }
}
