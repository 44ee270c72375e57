/**
 * Textures that mirror buffers, or ranges of them, for kernels that read through textures.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { mirrorWidth } from "../kernels/assemble.ts";
import type { QuadRange } from "../kernels/buffer_ref.ts";

/** The device that holds mirrors. */
interface MirrorDevice {
  readonly device: GPUDevice;
  readonly adapter: { readonly name: string };
  allocatedBytes: number;
}

/** What is mirrored. */
interface MirroredBuffer {
  readonly label: string;
  readonly buffer: GPUBuffer;
  /** Counts the writes of any part. */
  readonly version: number;
}

/** A texture with the quads of a range of a buffer: its quad i lies at (i mod 2048, i div 2048). */
export class Mirror {
  readonly texture: GPUTexture;
  readonly #device: MirrorDevice;
  readonly #buffer: MirroredBuffer;
  readonly #range: QuadRange;
  readonly #sizeBytes: number;
  #version = 0;
  #quads = 0;
  /** What was written since it was copied, besides what the buffer's version tells. */
  #stale: { readonly first: number; readonly end: number } | undefined;

  /** @throws {ShapeError} If the adapter's limits do not allow the texture. */
  constructor(device: MirrorDevice, buffer: MirroredBuffer, range: QuadRange) {
    const width = Math.min(mirrorWidth, range.quads), height = Math.ceil(range.quads / mirrorWidth);
    const { maxTextureDimension2D } = device.device.limits;
    if (height > maxTextureDimension2D) {
      throw new ShapeError({
        act: "mirror buffer",
        thing: buffer.label,
        current: `${16 * range.quads} bytes`,
        wanted: `at most ${maxTextureDimension2D * mirrorWidth * 16} bytes on ${device.adapter.name}`,
      });
    }
    this.#device = device;
    this.#buffer = buffer;
    this.#range = range;
    this.#sizeBytes = 16 * width * height;
    this.texture = device.device.createTexture({
      label: `${buffer.label} mirror`,
      size: [width, height],
      format: "rgba32float",
      usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST,
    });
    device.allocatedBytes += this.#sizeBytes;
  }

  /** Notes a write of some quads of the buffer. */
  noteWrite(written: QuadRange): void {
    const first = Math.max(0, written.first - this.#range.first);
    const end = Math.min(this.#range.quads, written.first + written.quads - this.#range.first);
    if (first >= end) return;
    const stale = this.#stale ?? { first, end };
    this.#stale = { first: Math.min(stale.first, first), end: Math.max(stale.end, end) };
  }

  /** True if it lacks the last write of the first quads of the range. */
  isStale(quads: number): boolean {
    return this.#isOld(quads) || (this.#stale !== undefined && this.#stale.first < quads);
  }

  #isOld(quads: number): boolean {
    return this.#version !== this.#buffer.version || this.#quads < quads;
  }

  /** Records the copy of what it lacks of the first quads of the range, in whole lines. */
  copy(encoder: GPUCommandEncoder, quads: number): void {
    const stale = this.#isOld(quads) ? undefined : this.#stale;
    const top = Math.floor((stale?.first ?? 0) / mirrorWidth);
    const end = Math.min(quads, mirrorWidth * Math.ceil((stale?.end ?? quads) / mirrorWidth));
    const lines = Math.floor(end / mirrorWidth);
    const rest = end - lines * mirrorWidth;
    const bytesPerRow = mirrorWidth * 16;
    const copy = (line: number, size: [number, number]) =>
      encoder.copyBufferToTexture(
        { buffer: this.#buffer.buffer, offset: 16 * this.#range.first + line * bytesPerRow, bytesPerRow },
        { texture: this.texture, origin: [0, line] },
        size,
      );
    if (lines > top) copy(top, [mirrorWidth, lines - top]);
    if (rest > 0) copy(lines, [rest, 1]);
    this.#version = this.#buffer.version;
    this.#quads = quads;
    this.#stale = undefined;
  }

  /** Frees the texture; the buffer does so when it is disposed of. */
  [Symbol.dispose](): void {
    this.texture.destroy();
    this.#device.allocatedBytes -= this.#sizeBytes;
  }
}
