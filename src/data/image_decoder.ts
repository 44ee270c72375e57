/**
 * What decodes images from files, independent of the runtime.
 *
 * @module
 */
import type { ImageSize, ResizeMode } from "./image_resize.ts";

/** Most pixels of an image, by its header: what is small in its file can fill memory. */
export const maxImagePixels = 100_000_000;

/** Most bytes of an image's file. */
export const maxImageBytes = 2 ** 28;

/** A file that could not be read, by its place in the request. */
export interface DamagedFile {
  /** Its index among the paths. */
  readonly index: number;
  /** What is wrong. */
  readonly current: string;
}

/** What some files say of themselves. */
export interface ProbedImages {
  /** Height, width and 1 for grey ones of each, as it is shown; zeros for damaged ones. */
  readonly sizes: Uint32Array<ArrayBuffer>;
  /** Those that could not be read. */
  readonly damaged: readonly DamagedFile[];
}

/** Files to decode, and what becomes of them. */
export interface DecodeRequest extends ImageSize {
  /** The files. */
  readonly paths: readonly string[];
  /** 1 makes grey of colours. */
  readonly channels: 1 | 3;
  /** How images get the size. */
  readonly resize: ResizeMode;
}

/** Images that were decoded. */
export interface DecodedImages {
  /** (N, C, H, W); zeros for damaged ones. */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** Size and two hashes of each file's bytes: equal for files of the same content. */
  readonly digests: Uint32Array<ArrayBuffer>;
  /** Those that could not be read. */
  readonly damaged: readonly DamagedFile[];
}

/** Decodes images in threads of its own. Dispose of it to stop it; what it was asked for is then rejected. */
export interface ImageDecoder extends Disposable {
  /** Threads that work at a time. */
  readonly threads: number;
  /** Reads the headers of files. */
  probe(paths: readonly string[]): Promise<ProbedImages>;
  /** Decodes files. */
  decode(request: DecodeRequest): Promise<DecodedImages>;
}
