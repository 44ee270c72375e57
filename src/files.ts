/**
 * Reading and writing files, without naming the runtime that does it.
 *
 * @module
 */

/** A part of a file. */
export interface FilePart {
  /** Where it begins, in bytes. */
  readonly offset: number;
  /** How many bytes it has. */
  readonly bytes: number;
}

/**
 * What winnow asks of a file system. Paths use `/`; every failure is a `FileError` that names the path and the cause.
 */
export interface Files {
  /**
   * Reads a whole file.
   *
   * @param options.maxBytes The largest size that is read.
   * @throws {FileError} where it is absent, no regular file (a folder, pipe, socket or device, which is not waited for),
   *   not readable, or larger.
   */
  read(path: string, options?: { readonly maxBytes?: number }): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The size of a file in bytes; undefined where nothing has that path.
   *
   * @throws {FileError} where it is no regular file.
   */
  sizeBytes(path: string): Promise<number | undefined>;
  /** The names in a folder, sorted; undefined where nothing has that path. @throws {FileError} where it is a file. */
  list(folder: string): Promise<string[] | undefined>;
  /**
   * A text that two paths share exactly where they lead to one file, through links or not; undefined where nothing has
   * that path. Left out by file systems without links, where paths tell.
   */
  identity?(path: string): Promise<string | undefined>;
  /**
   * The path without links that a path leads to, with `/` between its parts; undefined where nothing has that path. Left
   * out by file systems without links.
   */
  realPath?(path: string): Promise<string | undefined>;
  /**
   * Reads a part of a file: so many bytes from an offset on, or fewer where it ends before. Left out where files are read as
   * a whole only.
   *
   * @throws {FileError} as `read` does.
   */
  readPart?(path: string, part: FilePart): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Writes a whole file, or leaves what was there before: no reader ever sees a part of it. The folder must exist.
   *
   * @throws {FileError} where the folder is absent, not writable or full.
   */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Makes a folder and those above it; one that exists is fine. @throws {FileError} where a file is in the way. */
  makeFolder(path: string): Promise<void>;
  /** Removes a file or an empty folder; an absent one is fine. @throws {FileError} where the folder is not empty. */
  remove(path: string): Promise<void>;
}

/**
 * The part of a path before its last `/`, or `.` where it has none.
 *
 * @example
 * ```ts
 * import { dirname } from "./files.ts";
 * console.log(dirname("runs/1/model.safetensors")); // runs/1
 * ```
 */
export function dirname(path: string): string {
  const slash = path.replaceAll("\\", "/").lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}

/** True for the path of a file of weights, by its ending. */
export function isWeightsPath(path: string): boolean {
  return path.endsWith(".safetensors") || isOnnxPath(path);
}

/** True for the path of an ONNX file, by its ending. */
export function isOnnxPath(path: string): boolean {
  return path.endsWith(".onnx");
}
