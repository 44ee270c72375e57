/**
 * Decoders of JPEG, PNG, WebP and GIF: WebAssembly and JavaScript of npm packages. Only threads that decode load them.
 *
 * @module
 */
import turboPackage from "@cwasm/jpeg-turbo/package.json" with { type: "json" };
import { decode as decodePngPixels, initSync } from "@jsquash/png/codec/pkg/squoosh_png.js";
import pngPackage from "@jsquash/png/package.json" with { type: "json" };
import openWebp, { type WebPModule } from "@jsquash/webp/codec/dec/webp_dec.js";
import webpPackage from "@jsquash/webp/package.json" with { type: "json" };
import { decode as decodeJpegSlowly } from "jpeg-js";
import { GifReader } from "omggif";
import { ImageFault, type ImageHeader } from "../data/image_header.ts";
import type { PixelImage } from "../data/image_resize.ts";

// Importing its package.json puts a package into Deno's cache, where its other files are read.
void [turboPackage, pngPackage, webpPackage];

function compile(specifier: string): WebAssembly.Module {
  return new WebAssembly.Module(Deno.readFileSync(new URL(import.meta.resolve(specifier))));
}

/** The functions of libjpeg-turbo that are called (turbojpeg.h); pointers are numbers. */
interface Turbo {
  readonly memory: WebAssembly.Memory;
  malloc(bytes: number): number;
  free(pointer: number): void;
  tjInitDecompress(): number;
  tjDecompressHeader3(
    ...args: readonly [handle: number, jpeg: number, bytes: number, ...results: readonly number[]]
  ): number;
  tjDecompress2(
    ...args: readonly [
      ...from: readonly [handle: number, jpeg: number, bytes: number],
      ...to: readonly [pixels: number, width: number, pitch: number, height: number],
      ...how: readonly [format: number, flags: number],
    ]
  ): number;
}

/** Formats of pixels in turbojpeg.h, by channels. */
const turboFormats: ReadonlyMap<number, number> = new Map([[1, 6], [3, 0], [4, 11]]);

/** TJFLAG_FASTUPSAMPLE: colours of lower resolution are repeated, not interpolated. */
const fastUpsampling = 256;

/** At what size a JPEG is decoded. */
export interface Scale {
  readonly eighths: number;
  /** True if what comes out is then shrunk to a half or less, where single pixels of colours no longer count. */
  readonly isShrunk: boolean;
}

/** libjpeg-turbo with its memory. */
class TurboDecoder {
  readonly #turbo: Turbo;
  readonly #handle: number;
  readonly #sizes: number;
  #input = { pointer: 0, bytes: 0 };
  #output = { pointer: 0, bytes: 0 };

  constructor(module: WebAssembly.Module) {
    const fail = () => {
      throw new ImageFault("its data are broken");
    };
    // A failure inside leaves by longjmp, and takes the decoder with it.
    const env = { setjmp: () => 0, longjmp: fail };
    const names = ["proc_exit", "environ_get", "fd_close", "fd_seek", "fd_write"];
    const system = {
      ...Object.fromEntries(names.map((name) => [name, fail])),
      ["environ_sizes_get"]: () => 0,
    };
    const { exports } = new WebAssembly.Instance(module, { env, wasi_snapshot_preview1: system });
    this.#turbo = exports as unknown as Turbo;
    this.#handle = this.#turbo.tjInitDecompress();
    this.#sizes = this.#turbo.malloc(16);
  }

  /** Decodes at eighths of the size; undefined where it is not sure of what it read. The pixels are its memory. */
  decode(
    bytes: Uint8Array,
    { width, height }: ImageHeader,
    { channels, eighths, isShrunk }: Scale & { readonly channels: number },
  ): PixelImage | undefined {
    const turbo = this.#turbo, scaled = (size: number) => Math.ceil(size * eighths / 8);
    const size = { width: scaled(width), height: scaled(height) };
    const input = this.#hold(this.#input, bytes.length), handle = this.#handle, sizes = this.#sizes;
    this.#input = input;
    const length = size.width * size.height * channels, output = this.#hold(this.#output, length);
    this.#output = output;
    new Uint8Array(turbo.memory.buffer).set(bytes, input.pointer);
    const places = [sizes, sizes + 4, sizes + 8, sizes + 12];
    if (turbo.tjDecompressHeader3(handle, input.pointer, bytes.length, ...places) !== 0) return undefined;
    const read = new Uint32Array(turbo.memory.buffer, sizes, 2);
    if (read[0] !== width || read[1] !== height) return undefined;
    const from = [handle, input.pointer, bytes.length] as const;
    const to = [output.pointer, size.width, 0, size.height] as const;
    const flags = isShrunk ? fastUpsampling : 0;
    const code = turbo.tjDecompress2(...from, ...to, turboFormats.get(channels)!, flags);
    if (code !== 0) return undefined;
    return { ...size, channels, pixels: new Uint8Array(turbo.memory.buffer, output.pointer, length) };
  }

  #hold(held: { readonly pointer: number; readonly bytes: number }, bytes: number) {
    if (held.bytes >= bytes) return held;
    if (held.pointer !== 0) this.#turbo.free(held.pointer);
    const pointer = this.#turbo.malloc(bytes);
    if (pointer === 0) throw new ImageFault("it takes more memory than a decoder has");
    return { pointer, bytes };
  }
}

/** True where a JPEG has an end: one that is cut off decodes to grey. */
function hasEnd(bytes: Uint8Array): boolean {
  for (let at = bytes.length - 2; at >= 2; at--) {
    if (bytes[at] === 0xff && bytes[at + 1] === 0xd9) return true;
  }
  return false;
}

/** Red, green and blue of four channels over white; with one channel, grey as Pillow computes it. */
function dropAlpha({ pixels, height, width }: Omit<PixelImage, "channels">, channels: 1 | 3): PixelImage {
  const count = height * width, out = new Uint8Array(count * channels);
  for (let i = 0; i < count; i++) {
    const at = 4 * i, alpha = pixels[at + 3];
    let red = pixels[at], green = pixels[at + 1], blue = pixels[at + 2];
    if (alpha < 255) {
      red = overWhite(red, alpha);
      green = overWhite(green, alpha);
      blue = overWhite(blue, alpha);
    }
    if (channels === 1) out[i] = toGrey(red, green, blue);
    else {
      out[3 * i] = red;
      out[3 * i + 1] = green;
      out[3 * i + 2] = blue;
    }
  }
  return { pixels: out, height, width, channels };
}

function overWhite(value: number, alpha: number): number {
  return 255 - Math.round((255 - value) * alpha / 255);
}

/** ITU-R 601-2, in 16 bits. */
function toGrey(red: number, green: number, blue: number): number {
  return red * 19595 + green * 38470 + blue * 7471 + 0x8000 >> 16;
}

/** Red, green and blue of CMYK as JPEGs hold it, inverted; with one channel, grey. */
function readInk({ pixels, height, width }: Omit<PixelImage, "channels">, channels: 1 | 3): PixelImage {
  const four = new Uint8Array(height * width * 4);
  for (let at = 0; at < four.length; at += 4) {
    const black = pixels[at + 3];
    for (let c = 0; c < 3; c++) four[at + c] = Math.round(pixels[at + c] * black / 255);
    four[at + 3] = 255;
  }
  return dropAlpha({ pixels: four, height, width }, channels);
}

/** The decoders, each opened when it is first used. */
export class ImageCodecs {
  #turboModule: WebAssembly.Module | undefined;
  #turbo: TurboDecoder | undefined;
  #isPngOpen = false;
  #webp: WebPModule | undefined;

  /** Opens the decoder of WebP, which opens asynchronously. */
  async open(format: ImageHeader["format"]): Promise<void> {
    if (format !== "webp" || this.#webp) return;
    const module = compile("@jsquash/webp/codec/dec/webp_dec.wasm");
    this.#webp = await openWebp({
      noInitialRun: true,
      instantiateWasm: (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => {
        const instance = new WebAssembly.Instance(module, imports);
        done(instance);
        return instance.exports;
      },
    });
  }

  /**
   * Decodes an image. The result may be memory that the next image is decoded to.
   *
   * @param options.eighths A JPEG is decoded at so many eighths of its size.
   * @throws {ImageFault} If its data are broken.
   */
  decode(
    bytes: Uint8Array<ArrayBuffer>,
    header: ImageHeader,
    { channels, ...scale }: Scale & { readonly channels: 1 | 3 },
  ): PixelImage {
    try {
      switch (header.format) {
        case "jpeg":
          return this.#decodeJpeg(bytes, header, { channels, ...scale });
        case "png":
          return dropAlpha(this.#decodePng(bytes), channels);
        case "webp":
          return dropAlpha(readPixels(this.#webp!.decode(bytes)), channels);
        case "gif":
          return dropAlpha(decodeGif(bytes, header), channels);
      }
    } catch (error) {
      if (error instanceof ImageFault) throw error;
      const { message } = error instanceof Error ? error : new Error(String(error));
      const [reason] = message.split("\n");
      throw new ImageFault(`its data are broken${reason ? ` (${reason.slice(0, 100)})` : ""}`);
    }
  }

  #decodeJpeg(
    bytes: Uint8Array,
    header: ImageHeader,
    { channels, ...scale }: Scale & { readonly channels: 1 | 3 },
  ): PixelImage {
    const isInk = header.components === 4;
    let image: PixelImage | undefined;
    try {
      this.#turboModule ??= compile("@cwasm/jpeg-turbo/jpeg-turbo.wasm");
      this.#turbo ??= new TurboDecoder(this.#turboModule);
      image = this.#turbo.decode(bytes, header, { channels: isInk ? 4 : channels, ...scale });
    } catch {
      // Thrown out of the middle of it, or out of memory: what it holds is not to be relied on.
      this.#turbo = undefined;
    }
    if (image) return isInk ? readInk(image, channels) : image;
    if (!hasEnd(bytes)) throw new ImageFault("it is cut off");
    // What is harmless stops it too, such as bytes between two markers.
    const slow = decodeJpegSlowly(bytes, {
      useTArray: true,
      tolerantDecoding: false,
      maxResolutionInMP: 100,
      maxMemoryUsageInMB: 2048,
    });
    return dropAlpha({ pixels: slow.data, height: slow.height, width: slow.width }, channels);
  }

  #decodePng(bytes: Uint8Array): Omit<PixelImage, "channels"> {
    if (!this.#isPngOpen) initSync(compile("@jsquash/png/codec/pkg/squoosh_png_bg.wasm"));
    this.#isPngOpen = true;
    return readPixels(decodePngPixels(bytes));
  }
}

/** The pixels of the platform's images. */
function readPixels(image: ImageData | null): Omit<PixelImage, "channels"> {
  if (!image) throw new ImageFault("its data are broken");
  return { pixels: image.data as Uint8ClampedArray, height: image.height, width: image.width };
}

/** The first frame, over transparent pixels where it does not fill the image. */
function decodeGif(bytes: Uint8Array, { height, width }: ImageHeader): Omit<PixelImage, "channels"> {
  const pixels = new Uint8Array(height * width * 4), reader = new GifReader(bytes);
  if (reader.numFrames() === 0) throw new ImageFault("it has no frame");
  reader.decodeAndBlitFrameRGBA(0, pixels);
  return { pixels, height, width };
}
