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

/** Adds up the device memory that is held at the same time. What is named twice counts once. */
export class MemoryTally {
  readonly #slots = new Map<string, number>();
  readonly #buffers = new Map<string, number>();
  readonly #mirrors = new Map<string, number>();
  /** Quads of the buffers of each pool of slots. */
  readonly #pools = new Map<string, number[]>();

  readonly #device: TalliedDevice;

  /** Nothing held on a device. */
  constructor(device: TalliedDevice) {
    this.#device = device;
  }

  /** The same memory, to which more is added. */
  copy(): MemoryTally {
    const copy = new MemoryTally(this.#device);
    for (const [name, sizeBytes] of this.#slots) copy.#slots.set(name, sizeBytes);
    for (const [name, sizeBytes] of this.#buffers) copy.#buffers.set(name, sizeBytes);
    for (const [name, sizeBytes] of this.#mirrors) copy.#mirrors.set(name, sizeBytes);
    for (const [name, quads] of this.#pools) copy.#pools.set(name, [...quads]);
    return copy;
  }

  /** Adds a buffer, in whole quads as devices allocate it. */
  hold({ name, sizeBytes, isSlot = false }: HeldMemory): void {
    const of = isSlot ? this.#slots : this.#buffers;
    of.set(name, Math.max(of.get(name) ?? 0, 16 * Math.max(1, Math.ceil(sizeBytes / 16))));
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
      this.hold({ name: `${struct} of ${name}`, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) });
    }
    for (const { ref, isMirrored } of boundRefs(dispatches, path)) {
      const held = find(ref);
      this.hold(held);
      if (!isMirrored) continue;
      const quads = ref.range?.quads ?? Math.max(1, Math.ceil(held.sizeBytes / 16));
      this.#mirrors.set(`${held.name}${ref.range ? refText(ref) : ""}`, mirrorSizeBytes(16 * quads));
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
    const held = this.#pools.get(pool) ?? [];
    this.#pools.set(pool, held);
    const taken = takeFromPool(held, slots);
    const bufferAt = (buffer: number) => ({
      name: `${pool} slot ${buffer}`,
      sizeBytes: 16 * held[buffer],
      isSlot: true,
    });
    for (const buffer of taken) this.hold(bufferAt(buffer));
    const tensorAt = (tensor: string) => bufferAt(taken[tensors.get(tensor)!.slot]);
    this.holdProgram(program, dispatches, (ref) => "tensor" in ref ? tensorAt(ref.tensor) : find(ref));
    return tensorAt;
  }

  /** All that is held. */
  get footprint(): Footprint {
    const total = (sizes: ReadonlyMap<string, number>) => sizes.values().reduce((sum, size) => sum + size, 0);
    const slotsBytes = total(this.#slots), buffersBytes = total(this.#buffers);
    const mirrorsBytes = total(this.#mirrors);
    return { slotsBytes, buffersBytes, mirrorsBytes, totalBytes: slotsBytes + buffersBytes + mirrorsBytes };
  }
}
