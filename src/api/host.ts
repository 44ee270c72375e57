/**
 * What the runtime around winnow offers: files, a process to try subgroups in, threads that read. src/deno/host.ts says
 * what Deno does; a browser has none of it.
 *
 * @module
 */
import type { ImageDecoder } from "../data/image_decoder.ts";
import type { BlockReader } from "../data/shards_reader.ts";
import { FileError } from "../errors.ts";
import type { Files } from "../files.ts";
import type { SubgroupProbe } from "../gpu/subgroups.ts";

/** What a runtime offers. */
export interface Host {
  /** Name and version, such as `Deno 2.9.6`. */
  readonly runtime: string;
  /** Its versions for reports, by name, such as `deno`. */
  readonly versions: Readonly<Record<string, string>>;
  /** The file system. */
  readonly files: Files;
  /** Finds out whether subgroups work where that may end a process. */
  readonly probeSubgroups: (note: (line: string) => void, signal?: AbortSignal) => SubgroupProbe;
  /** Makes ready what asking for an adapter takes. */
  prepareAdapter(): void;
  /** Where downloads and tuning results are kept between runs, or undefined where nothing may be kept. */
  cacheFolder(): string | undefined;
  /** Starts a reader of blocks. */
  openReader(): BlockReader;
  /** Starts threads that decode images. */
  openDecoder(): ImageDecoder;
  /** The folder of MNIST's IDX files in a package. */
  mnistFolder(): Promise<string>;
  /** Tells the user a line. */
  note(line: string): void;
}

let present: Host | undefined;

/** Says what runtime this is; called once, when it is loaded. */
export function setHost(host: Host): void {
  present = host;
}

/** The runtime, or undefined where nothing is known of it, as in a browser. */
export function currentHost(): Host | undefined {
  return present;
}

/**
 * The files that are given, or else those of the runtime.
 *
 * @throws {FileError} If neither is there.
 */
export function filesFor(given: Files | undefined, act: string, path: string): Files {
  const files = given ?? present?.files;
  if (files) return files;
  throw new FileError({ act, thing: path, current: "this runtime has no file system", wanted: "files" });
}
