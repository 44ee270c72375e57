/**
 * Downloading the whole CIFAR-10 and keeping it in a folder.
 *
 * @module
 */

import { parseTar } from "nanotar";
import { FileError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { CIFAR10_CLASS_FILE, CIFAR10_TEST_FILE, CIFAR10_TRAIN_FILES } from "./cifar10.ts";
import { gunzip } from "./gunzip.ts";

/** The address and the expected content of an archive. */
export interface Archive {
  /** The address of the `.tar.gz`. */
  readonly url: string;
  /** MD5 of the `.tar.gz`, lower-case hex, as its publisher states it. */
  readonly md5: string;
  /** Maximum size of the archive in bytes. A larger file cannot have that checksum. */
  readonly maxBytes: number;
  /** The folder in the archive that holds the files. */
  readonly folder: string;
  /** The size in bytes of each file that is kept. */
  readonly fileSizes: ReadonlyMap<string, number>;
}

/** CIFAR-10's binary version; checksum from https://www.cs.toronto.edu/~kriz/cifar.html. */
export const CIFAR10_ARCHIVE: Archive = {
  url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  md5: "c32a1d4ab5d03f1284b67883e8d87530",
  maxBytes: 256 * 2 ** 20,
  folder: "cifar-10-batches-bin",
  fileSizes: new Map([
    [CIFAR10_CLASS_FILE, 61],
    ...[...CIFAR10_TRAIN_FILES, CIFAR10_TEST_FILE].map((name) => [name, 30_730_000] as const),
  ]),
};

/** The part of `fetch` that downloading uses. */
export type Download = (url: string, init: { signal: AbortSignal }) => Promise<Response>;

/** How long a download may be silent before it is given up, in milliseconds. */
export interface Patience {
  /** Until the first answer. */
  readonly connectMs: number;
  /** Between two pieces of the body. */
  readonly stallMs: number;
}

/**
 * Downloads an archive's bytes. Any failure is an ordinary error that the caller can move on from.
 *
 * @throws {Error} If the host does not answer in time, answers with an error, or stops in between.
 */
export async function downloadArchive(
  archive: Archive,
  { download, patience }: { download: Download; patience: Patience },
): Promise<Uint8Array<ArrayBuffer>> {
  const abort = new AbortController();
  const within = async <T>(step: Promise<T>, { ms, act }: { ms: number; act: string }): Promise<T> => {
    const silence = Promise.withResolvers<never>();
    const timer = setTimeout(() => silence.reject(new Error(`no ${act} within ${ms / 1000} s`)), ms);
    try {
      return await Promise.race([step, silence.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    const response = await within(download(archive.url, { signal: abort.signal }), {
      ms: patience.connectMs,
      act: "answer",
    });
    if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
    const reader = response.body.getReader();
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (let sizeBytes = 0; sizeBytes <= archive.maxBytes;) {
      const { value, done } = await within(reader.read(), { ms: patience.stallMs, act: "more bytes" });
      if (done) break;
      chunks.push(value);
      sizeBytes += value.length;
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  } finally {
    // Closes the connection if something was left unread; otherwise the process would wait for it.
    abort.abort();
  }
}

/**
 * Checks an archive's checksum and unpacks the expected files: name to content.
 *
 * @throws {FormatError} If the checksum differs, or a file is absent or of another size.
 */
export async function unpackArchive(
  bytes: Uint8Array<ArrayBuffer>,
  archive: Archive,
): Promise<ReadonlyMap<string, Uint8Array>> {
  // Web Crypto has no MD5; loaded here because only a download needs it.
  const { createHash } = await import("node:crypto").catch((cause) => {
    const current = "this runtime has no MD5 to check it with", wanted = "Deno";
    throw new FileError({ act: "use", thing: archive.url, current, wanted }, { cause });
  });
  const md5 = createHash("md5").update(bytes).digest("hex");
  if (md5 !== archive.md5) {
    const current = `${bytes.length} bytes with MD5 ${md5}`;
    throw new FormatError({ act: "use", thing: archive.url, current, wanted: `MD5 ${archive.md5}` });
  }
  const maxBytes = 2 * [...archive.fileSizes.values()].reduce((sum, size) => sum + size, 2 ** 20);
  const tar = await gunzip(bytes, { name: archive.url, maxBytes });
  const unpacked = new Map<string, Uint8Array>();
  for (const { name, data, type } of parseTar(tar.buffer)) {
    const [folder, file, ...deeper] = name.replace(/^\.\//, "").split("/");
    if (
      type === "file" && folder === archive.folder && deeper.length === 0 && data &&
      archive.fileSizes.has(file)
    ) {
      unpacked.set(file, data);
    }
  }
  for (const [name, size] of archive.fileSizes) {
    const got = unpacked.get(name)?.length;
    if (got !== size) {
      const current = got === undefined ? `${archive.folder}/${name} is absent` : `${name} has ${got} bytes`;
      throw new FormatError({
        act: "unpack",
        thing: archive.url,
        current,
        wanted: `${name} with ${size} bytes`,
      });
    }
  }
  return unpacked;
}

/** True if a folder holds every file of an archive in its right size. */
export async function isArchiveComplete(files: Files, folder: string, archive: Archive): Promise<boolean> {
  for (const [name, size] of archive.fileSizes) {
    if (await files.sizeBytes(`${folder}/${name}`) !== size) return false;
  }
  return true;
}
