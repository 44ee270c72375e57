/**
 * Finds the memory behind a buffer reference: the one place where names in dispatches meet buffers.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { type ArenaRole, type BufferRef, type QuadRange, refText } from "../kernels/buffer_ref.ts";
import type { DeviceBuffer } from "./buffer.ts";

/** The memory behind a reference. */
export interface BoundBuffer {
  readonly buffer: DeviceBuffer;
  /** How many quads are in use, from the first that is bound on. */
  readonly quads: number;
  /** The quads that are bound. Default: all. */
  readonly range?: QuadRange;
}

/** Returns the memory behind a reference. Throws a KernelError where there is none. */
export type Bind = (ref: BufferRef) => BoundBuffer;

/** The sources of the buffers of some dispatches. References to a missing source are errors. */
export interface BufferSources {
  /** Tensors of the plan, by name. */
  readonly tensor?: (name: string) => BoundBuffer | undefined;
  /** The model with the arenas. */
  readonly network?: { arena(role: ArenaRole): DeviceBuffer };
  /** Inputs, by name. */
  readonly input?: (name: string) => BoundBuffer | DeviceBuffer | undefined;
}

/** All of a buffer. */
export function wholeBuffer(buffer: DeviceBuffer): BoundBuffer {
  return { buffer, quads: buffer.sizeBytes / 16 };
}

/** A range of a buffer. */
export function bufferRange(buffer: DeviceBuffer, range: QuadRange): BoundBuffer {
  return { buffer, quads: range.quads, range };
}

/**
 * Returns a function that finds the memory behind references.
 *
 * @param thing The runner of the dispatches, such as `plan train`, for messages.
 */
export function bindBuffers(thing: string, { tensor, network, input }: BufferSources): Bind {
  return (ref) => {
    const found = "tensor" in ref
      ? tensor?.(ref.tensor)
      : "arena" in ref
      ? network?.arena(ref.arena)
      : input?.(ref.input);
    const bound = found && ("buffer" in found && "quads" in found ? found : wholeBuffer(found));
    const { range } = ref;
    if (bound && (!range || isWithin(range, bound))) return range ? bufferRange(bound.buffer, range) : bound;
    const current = `no ${refText(ref)}`;
    throw new KernelError({ act: "bind buffers of", thing, current, wanted: "every buffer that it names" });
  };
}

/** True where a range lies in what a buffer has in use, all of which is bound. */
function isWithin({ first, quads }: QuadRange, bound: BoundBuffer): boolean {
  return !bound.range && first + quads <= bound.quads;
}
