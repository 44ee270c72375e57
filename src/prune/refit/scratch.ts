/**
 * The buffers of a refit.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Gpu } from "../../gpu/device.ts";
import { type BoundBuffer, wholeBuffer } from "../../gpu/bind.ts";
import { mirrorWidth } from "../../kernels/assemble.ts";
import type { ReadPath } from "../../kernels/interface.ts";

/**
 * At least so many quads, for a buffer whose mirror has full width and a height that is not a power of two. llvmpipe
 * compiles a kernel anew for every pattern of textures whose sides are powers of two, seconds for those that factor.
 */
export function mirroredQuads(quads: number): number {
  const lines = Math.max(3, Math.ceil(quads / mirrorWidth));
  return mirrorWidth * (Number.isInteger(Math.log2(lines)) ? lines + 1 : lines);
}

/** Quads of buffers by name; those that kernels read through mirrors are padded for them. */
export interface ScratchQuads {
  readonly plain: Readonly<Record<string, number>>;
  readonly mirrored: Readonly<Record<string, number>>;
}

/** Bytes of buffers on a device of a read path, by name. */
export function countScratchBytes(
  { plain, mirrored }: ScratchQuads,
  path: ReadPath,
): Readonly<Record<string, number>> {
  const padded = path === "texture" ? mirroredQuads : (quads: number) => quads;
  const sizes = [
    ...Object.entries(plain),
    ...Object.entries(mirrored).map(([name, quads]) => [name, padded(quads)] as const),
  ];
  return Object.fromEntries(sizes.map(([name, quads]) => [name, 16 * quads]));
}

/** Named buffers on a device. Dispose of it to free them. */
export class Scratch {
  readonly #buffers = new Map<string, DeviceBuffer>();

  /**
   * Allocates buffers.
   *
   * @throws {ShapeError} If the adapter's limits do not allow one.
   */
  constructor(
    gpu: Gpu,
    owner: string,
    scratch: ScratchQuads,
  ) {
    try {
      for (const [name, sizeBytes] of Object.entries(countScratchBytes(scratch, gpu.path))) {
        this.#buffers.set(name, gpu.createBuffer(`${owner} ${name}`, sizeBytes));
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** A buffer by its name, which must exist. */
  get(name: string): DeviceBuffer {
    return this.#buffers.get(name)!;
  }

  /** All buffers, bound whole. */
  get bound(): Readonly<Record<string, BoundBuffer>> {
    return Object.fromEntries([...this.#buffers].map(([name, buffer]) => [name, wholeBuffer(buffer)]));
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers.values()) buffer[Symbol.dispose]();
    this.#buffers.clear();
  }
}
