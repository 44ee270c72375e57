/**
 * Device buffers, each with a mirror texture if kernels read it through textures.
 *
 * @module
 */
import { disposedError, ShapeError } from "../errors.ts";
import { mirrorWidth } from "../kernels/assemble.ts";
import type { QuadRange } from "../kernels/dispatch.ts";
import type { Gpu } from "./device.ts";

/** A storage buffer on the device, zero at first. */
export class DeviceBuffer {
  readonly #buffer: GPUBuffer;
  #isDisposed = false;
  /** Counts writes to any part, to detect stale mirrors. */
  version = 1;
  #mirror: GPUTexture | undefined;
  #mirrorVersion = 0;
  #mirroredQuads = 0;
  /** The ranges written since the mirror was copied, if the version did not change. */
  #stale: { readonly first: number; readonly end: number } | undefined;
  readonly #gpu: Gpu;

  /** @throws {ShapeError} If the adapter's limits do not allow a buffer of this size. */
  constructor(gpu: Gpu, readonly label: string, readonly sizeBytes: number) {
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
    const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    if (sizeBytes > limit) {
      const wanted = `at most ${limit} bytes on ${gpu.adapter.name}`;
      throw new ShapeError({ act: "allocate buffer", thing: label, current: `${sizeBytes} bytes`, wanted });
    }
    this.#gpu = gpu;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.#buffer = gpu.device.createBuffer({ label, size: sizeBytes, usage });
    gpu.allocatedBytes += sizeBytes;
  }

  /**
   * The WebGPU buffer.
   *
   * @throws {StateError} If it was disposed of.
   */
  get buffer(): GPUBuffer {
    this.checkInUse();
    return this.#buffer;
  }

  /** @throws {StateError} If it was disposed of. */
  checkInUse(): void {
    if (this.#isDisposed) throw disposedError("buffer", this.label);
  }

  /**
   * Writes bytes from the host, from a byte offset on (a multiple of 4). An empty array writes nothing.
   *
   * @throws {ShapeError} If they are not whole words, or do not fit.
   * @throws {StateError} If the buffer, or its device, was disposed of.
   */
  write(values: Float32Array | Uint32Array | Uint8Array, offsetBytes = 0): void {
    const { buffer } = this, { byteLength } = values;
    // WebGPU allows empty writes, but Deno 2.9 ends the process at one.
    if (byteLength === 0) return;
    if (byteLength % 4 > 0 || offsetBytes + byteLength > this.sizeBytes) {
      throw new ShapeError({
        act: "write to buffer",
        thing: this.label,
        current: `${byteLength} bytes from byte ${offsetBytes} on`,
        wanted: `whole words within its ${this.sizeBytes} bytes`,
      });
    }
    this.version++;
    // The view itself, because its memory may be shared with other threads.
    this.#gpu.device.queue.writeBuffer(buffer, offsetBytes, values as Uint8Array<ArrayBuffer>);
  }

  /** The texture that mirrors this buffer, allocated at its first use: quad i at (i mod 2048, i div 2048). */
  get mirror(): GPUTexture {
    this.checkInUse();
    if (!this.#mirror) {
      const [width, height] = this.#mirrorSize;
      const { maxTextureDimension2D } = this.#gpu.device.limits;
      if (height > maxTextureDimension2D) {
        throw new ShapeError({
          act: "mirror buffer",
          thing: this.label,
          current: `${this.sizeBytes} bytes`,
          wanted: `at most ${maxTextureDimension2D * mirrorWidth * 16} bytes on ${this.#gpu.adapter.name}`,
        });
      }
      this.#mirror = this.#gpu.device.createTexture({
        label: `${this.label} mirror`,
        size: [width, height],
        format: "rgba32float",
        usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST,
      });
      this.#gpu.allocatedBytes += width * height * 16;
    }
    return this.#mirror;
  }

  /** Notes a write on the device, to a range of quads or to any. */
  noteWrite(range?: QuadRange): void {
    if (!range) {
      this.version++;
      return;
    }
    if (range.quads === 0) return;
    const { first, end } = this.#stale ?? { first: range.first, end: range.first };
    this.#stale = { first: Math.min(first, range.first), end: Math.max(end, range.first + range.quads) };
  }

  /** True if the mirror lacks the last write of the first quads of the buffer. */
  isMirrorStale(quads: number): boolean {
    return this.#isMirrorOld(quads) || (this.#stale !== undefined && this.#stale.first < quads);
  }

  #isMirrorOld(quads: number): boolean {
    return this.#mirrorVersion !== this.version || this.#mirroredQuads < quads;
  }

  /** Records copies of the stale lines of the mirror, within the first quads of the buffer. */
  copyToMirror(encoder: GPUCommandEncoder, quads: number): void {
    const stale = this.#isMirrorOld(quads) ? undefined : this.#stale;
    const top = Math.floor((stale?.first ?? 0) / mirrorWidth);
    const end = Math.min(quads, mirrorWidth * Math.ceil((stale?.end ?? quads) / mirrorWidth));
    const lines = Math.floor(end / mirrorWidth);
    const rest = end - lines * mirrorWidth;
    const bytesPerRow = mirrorWidth * 16;
    const texture = this.mirror;
    const copy = (line: number, size: [number, number]) =>
      encoder.copyBufferToTexture(
        { buffer: this.buffer, offset: line * bytesPerRow, bytesPerRow },
        { texture, origin: [0, line] },
        size,
      );
    if (lines > top) copy(top, [mirrorWidth, lines - top]);
    if (rest > 0) copy(lines, [rest, 1]);
    this.#mirrorVersion = this.version;
    this.#mirroredQuads = quads;
    this.#stale = undefined;
  }

  get #mirrorSize(): [number, number] {
    const quads = this.sizeBytes / 16;
    return [Math.min(mirrorWidth, quads), Math.ceil(quads / mirrorWidth)];
  }

  /** Frees the memory. Disposing again does nothing. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#buffer.destroy();
    this.#gpu.allocatedBytes -= this.sizeBytes;
    if (this.#mirror) {
      const [width, height] = this.#mirrorSize;
      this.#mirror.destroy();
      this.#gpu.allocatedBytes -= width * height * 16;
      this.#mirror = undefined;
    }
    this.#gpu.forget(this);
  }
}
