/**
 * Finds the memory behind a buffer reference: the one place where names in dispatches meet buffers.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { type ArenaRole, type BufferRef, refText } from "../kernels/buffer_ref.ts";
import type { DeviceBuffer } from "./buffer.ts";

/** The memory behind a reference: a buffer, and the number of its quads in use. */
export interface BoundBuffer {
  readonly buffer: DeviceBuffer;
  readonly quads: number;
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
    if (found) return "buffer" in found && "quads" in found ? found : wholeBuffer(found);
    const current = `no ${refText(ref)}`;
    throw new KernelError({ act: "bind buffers of", thing, current, wanted: "every buffer that it names" });
  };
}
