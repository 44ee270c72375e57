/**
 * How much device memory a plan needs, worked out without a device.
 *
 * @module
 */
import { assembleKernel, mirrorWidth } from "../kernels/assemble.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { type BufferRef, refText } from "../kernels/buffer_ref.ts";
import { readPathOf } from "../kernels/dispatch.ts";
import type { Plan } from "./plan.ts";

/** Bytes of device memory by what they are for. */
export interface Footprint {
  /** Memory of the step's tensors. */
  readonly slotsBytes: number;
  /** Arenas and other buffers that outlive the step. */
  readonly buffersBytes: number;
  /** Textures that mirror either, on the texture path. */
  readonly mirrorsBytes: number;
  /** All of these. */
  readonly totalBytes: number;
}

/** Bytes of the texture that mirrors a buffer of a size. */
export function mirrorSizeBytes(sizeBytes: number): number {
  const quads = sizeBytes / 16;
  return 16 * Math.min(mirrorWidth, quads) * Math.ceil(quads / mirrorWidth);
}

/** A buffer that outlives a step. */
export type OuterRef = Exclude<BufferRef, { readonly tensor: string }>;

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
  const buffers = new Map<string, number>(), mirrored = new Set<string>();
  for (const dispatch of plan.dispatches) {
    const kernel = assembleKernel(dispatch.kernel, readPathOf(dispatch, path));
    for (const { binding, mirror } of kernel.slots) {
      if (binding.space === "uniform") continue;
      const ref = dispatch.bindings[binding.name];
      const place = "tensor" in ref ? `slot ${plan.tensors.get(ref.tensor)!.slot}` : refText(ref);
      if (!("tensor" in ref)) buffers.set(place, 16 * Math.ceil(sizeOf(ref) / 16));
      if (mirror) mirrored.add(place);
    }
  }
  const total = (sizes: Iterable<number>) => [...sizes].reduce((sum, size) => sum + size, 0);
  const slotsBytes = total(slots.values()), buffersBytes = total(buffers.values());
  const mirrorsBytes = total(
    [...mirrored].map((place) => mirrorSizeBytes(slots.get(place) ?? buffers.get(place)!)),
  );
  return { slotsBytes, buffersBytes, mirrorsBytes, totalBytes: slotsBytes + buffersBytes + mirrorsBytes };
}
