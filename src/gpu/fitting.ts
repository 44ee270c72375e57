/**
 * The batches that a device can hold. Each tensor of a plan lies in one buffer, and buffers have a maximum size.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { mirrorWidth } from "../kernels/assemble.ts";
import { largestMirroredBytes, largestSlotBytes } from "../plan/footprint.ts";
import type { Plan } from "../plan/plan.ts";
import type { Gpu } from "./device.ts";

/** Lowers the plan or plans for a batch. */
export type LowerBatch = (batch: number) => Plan | readonly Plan[];

/** Maximum size of a buffer that kernels may bind, in bytes. */
export function getMaxBufferBytes({ device: { limits } }: Gpu): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
}

/** The size of one buffer that plans need, and the device's maximum, in bytes, if that is less. */
function findExcess(gpu: Gpu, plans: Plan | readonly Plan[]) {
  const held = getMaxBufferBytes(gpu);
  const mirrorHeld = 16 * mirrorWidth * gpu.device.limits.maxTextureDimension2D;
  for (const plan of [plans].flat()) {
    const asked = largestSlotBytes(plan);
    if (asked > held) return { asked, held };
    // Usually textures may be larger than buffers.
    const mirrored = mirrorHeld < asked ? largestMirroredBytes(plan, gpu.path) : 0;
    if (mirrored > mirrorHeld) return { asked: mirrored, held: mirrorHeld };
  }
  return undefined;
}

/** The largest batch that fits, below one that does not fit; 0 if none fits. */
function fittingBelow(gpu: Gpu, batch: number, lower: LowerBatch): number {
  let fits = 0;
  for (let above = batch; above - fits > 1;) {
    const middle = (fits + above) >> 1;
    if (findExcess(gpu, lower(middle))) above = middle;
    else fits = middle;
  }
  return fits;
}

/**
 * The largest batch up to a wanted one that a device can hold.
 *
 * @param act The act, as in `evaluate model`, and the model's name, for messages.
 * @throws {ShapeError} If it cannot hold a single example.
 */
export function fitBatch(
  gpu: Gpu,
  wanted: number,
  lower: LowerBatch,
  [act, thing]: readonly [string, string],
): number {
  if (!findExcess(gpu, lower(wanted))) return wanted;
  const fits = fittingBelow(gpu, wanted, lower);
  if (fits > 0) return fits;
  const { asked, held } = findExcess(gpu, lower(1))!;
  const current = `one example takes ${asked} bytes in one buffer`;
  throw new ShapeError({ act, thing, current, wanted: `at most ${held} on ${gpu.adapter.name}` });
}

/**
 * Refuses a batch that a device cannot hold.
 *
 * @param act The act, as in `train with`, for messages.
 * @throws {ShapeError} If the device cannot hold it. The message gives the largest batch that fits.
 */
export function checkBatchFits(gpu: Gpu, batch: number, lower: LowerBatch, act: string): void {
  const excess = findExcess(gpu, lower(batch));
  if (!excess) return;
  const { asked, held } = excess, largest = fittingBelow(gpu, batch, lower), { name } = gpu.adapter;
  const current = `it takes ${asked} bytes in one buffer, where ${name} holds ${held}`;
  const wanted = largest > 0 ? `at most ${largest}` : "a smaller network or smaller images: no batch fits";
  throw new ShapeError({ act, thing: `batch of ${batch}`, current, wanted });
}
