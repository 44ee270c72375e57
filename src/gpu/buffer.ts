/**
 * Device buffers, each with mirror textures if kernels read it through textures.
 *
 * @module
 */
import { disposedError, ShapeError } from "../errors.ts";
import type { QuadRange } from "../kernels/buffer_ref.ts";
import type { Gpu } from "./device.ts";
import { Mirror } from "./mirror.ts";

/** A storage buffer on the device, zero at first. */
export class DeviceBuffer {
  readonly #buffer: GPUBuffer;
  #isDisposed = false;
  /** Counts writes to any part, to detect stale mirrors. */
  version = 1;
  readonly #mirrors = new Map<string, Mirror>();
  readonly #gpu: Gpu;

  /**
   * @param isBoundInParts True if kernels bind only ranges of it, so that it may be larger than one binding.
   * @throws {ShapeError} If the adapter's limits do not allow a buffer of this size.
   */
  constructor(gpu: Gpu, readonly label: string, readonly sizeBytes: number, isBoundInParts: boolean) {
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
    const limit = isBoundInParts ? maxBufferSize : Math.min(maxStorageBufferBindingSize, maxBufferSize);
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

  /**
   * What mirrors this buffer, or a range of it, for kernels that read textures; allocated at its first use.
   *
   * @throws {ShapeError} If the adapter's limits do not allow the texture.
   */
  getMirror(range: QuadRange = { first: 0, quads: this.sizeBytes / 16 }): Mirror {
    this.checkInUse();
    const key = `${range.first} ${range.quads}`;
    let mirror = this.#mirrors.get(key);
    if (!mirror) this.#mirrors.set(key, mirror = new Mirror(this.#gpu, this, range));
    return mirror;
  }

  /** Notes a write on the device, to a range of quads or to any. */
  noteWrite(range?: QuadRange): void {
    if (!range) this.version++;
    else for (const mirror of this.#mirrors.values()) mirror.noteWrite(range);
  }

  /** Frees the memory. Disposing again does nothing. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#buffer.destroy();
    this.#gpu.allocatedBytes -= this.sizeBytes;
    for (const mirror of this.#mirrors.values()) mirror[Symbol.dispose]();
    this.#mirrors.clear();
    this.#gpu.forget(this);
  }
}
