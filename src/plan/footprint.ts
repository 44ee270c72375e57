/**
 * The device memory that a plan needs, computed without a device.
 *
 * @module
 */
import { assembleKernel, mirrorWidth } from "../kernels/assemble.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { type BufferRef, refText, wholeRef } from "../kernels/buffer_ref.ts";
import { chooseReadPath } from "../kernels/dispatch.ts";
import type { Plan } from "./plan.ts";

/** Bytes of device memory by purpose. */
export interface Footprint {
  /** Memory of the step's tensors. */
  readonly slotsBytes: number;
  /** Arenas and other buffers that outlive the step. */
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

/** The buffers that a plan binds, with the slot of each tensor; and those that are read through mirrors. */
function* boundBuffers(plan: Plan, path: ReadPath) {
  for (const dispatch of plan.dispatches) {
    const kernel = assembleKernel(dispatch.kernel, chooseReadPath(dispatch, path), dispatch.text);
    for (const { binding, mirror: isMirrored } of kernel.slots) {
      if (binding.space === "uniform") continue;
      const ref = dispatch.bindings[binding.name];
      if ("tensor" in ref) yield { slot: plan.tensors.get(ref.tensor)!.slot, outer: undefined, isMirrored };
      else yield { slot: undefined, outer: ref, isMirrored };
    }
  }
}

/** Bytes of the largest slot of a plan. */
export function largestSlotBytes({ slots }: Plan): number {
  return 16 * slots.reduce((max, quads) => Math.max(max, quads), 0);
}

/** Bytes of the largest slot of a plan that is read through a texture. */
export function largestMirroredBytes(plan: Plan, path: ReadPath): number {
  const mirrored = [...boundBuffers(plan, path)].filter(({ isMirrored }) => isMirrored);
  const quads = mirrored.map(({ slot }) => slot === undefined ? 0 : plan.slots[slot]);
  return 16 * quads.reduce((max, own) => Math.max(max, own), 0);
}

/**
 * The peak memory of a plan: all of it is held from the first step to the last.
 *
 * @param path The device's read path.
 * @param sizeOf Bytes of each arena and input.
 */
export function planFootprint(
  plan: Plan,
  { path, sizeOf }: { readonly path: ReadPath; readonly sizeOf: (ref: OuterRef) => number },
): Footprint {
  const slots = new Map(plan.slots.map((quads, slot) => [`slot ${slot}`, 16 * quads]));
  const buffers = new Map<string, number>(), mirrors = new Map<string, number>();
  for (const { slot, outer, isMirrored } of boundBuffers(plan, path)) {
    const key = outer === undefined ? `slot ${slot}` : refText(wholeRef(outer));
    if (outer !== undefined) buffers.set(key, 16 * Math.ceil(sizeOf(outer) / 16));
    if (!isMirrored) continue;
    const sizeBytes = outer?.range ? 16 * outer.range.quads : slots.get(key) ?? buffers.get(key)!;
    mirrors.set(outer === undefined ? key : refText(outer), mirrorSizeBytes(sizeBytes));
  }
  const total = (sizes: Iterable<number>) => [...sizes].reduce((sum, size) => sum + size, 0);
  const slotsBytes = total(slots.values()), buffersBytes = total(buffers.values());
  const mirrorsBytes = total(mirrors.values());
  return { slotsBytes, buffersBytes, mirrorsBytes, totalBytes: slotsBytes + buffersBytes + mirrorsBytes };
}
