/**
 * Refuses data sets that use a file, or a copy of it, twice: an image must not be both trained on and tested with.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { FilePart, Files } from "../files.ts";

/** A file of a data set. */
interface UsedFile {
  readonly use: string;
  readonly path: string;
}

/** Bytes at a file's beginning, middle and end that are compared first. */
const sampleBytes = 4096;

/** Bytes of two files that are compared at a time. */
const chunkBytes = 2 ** 20;

/**
 * Refuses a file that is used twice: by its name, through a link, or as a copy with the same content. For files of
 * one size the first, middle and last 4 KiB are read, and the rest only if these agree, up to the first difference.
 *
 * @param paths The files of the data set by use, such as `train`.
 * @throws {FileError} If a file cannot be read.
 * @throws {FormatError} Naming the file and both uses.
 */
export async function checkDistinctFiles(
  files: Files,
  paths: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const used = Object.entries(paths).flatMap(([use, own]) => own.map((path): UsedFile => ({ use, path })));
  const seen = new Map<string, UsedFile>();
  for (const file of used) {
    const identity = await files.identity?.(file.path) ?? file.path, first = seen.get(identity);
    if (first) {
      throw twice(file, first, first.path === file.path ? "it" : `the same file as ${first.path}, which`);
    }
    seen.set(identity, file);
  }
  const sizes = new Map<UsedFile, number | undefined>();
  for (const file of used) sizes.set(file, await files.sizeBytes(file.path));
  for (const [size, alike] of Map.groupBy(used, (file) => sizes.get(file))) {
    // A missing file is reported when it is read.
    if (size !== undefined && alike.length > 1) await checkContents(files, alike, size);
  }
}

function twice({ use, path }: UsedFile, first: UsedFile, what: string): FormatError {
  const current = `${what} is a file of ${first.use} already`;
  return new FormatError({ act: `use for ${use}`, thing: path, current, wanted: "each file once" });
}

/** Refuses the first file whose content equals that of an earlier file of the same size. */
async function checkContents(files: Files, alike: readonly UsedFile[], size: number): Promise<void> {
  const read = async (path: string, part: FilePart) =>
    await files.readPart?.(path, part) ??
      (await files.read(path)).subarray(part.offset, part.offset + part.bytes);
  const starts = [...new Set([0, Math.floor((size - sampleBytes) / 2), size - sampleBytes])]
    .filter((offset) => offset >= 0);
  const samples = new Map<string, UsedFile[]>();
  for (const file of alike) {
    let text = "";
    for (const offset of starts.length > 0 ? starts : [0]) {
      text += String.fromCharCode(...await read(file.path, { offset, bytes: sampleBytes }));
    }
    const same = samples.get(text) ?? [];
    for (const first of same) {
      if (await haveSameBytes([file.path, first.path], size, read)) {
        throw twice(file, first, `of the same content as ${first.path}, which`);
      }
    }
    samples.set(text, [...same, file]);
  }
}

/** True for arrays of the same bytes. */
export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

async function haveSameBytes(
  [first, second]: readonly [string, string],
  size: number,
  read: (path: string, part: FilePart) => Promise<Uint8Array>,
): Promise<boolean> {
  for (let offset = 0; offset < size; offset += chunkBytes) {
    const part = { offset, bytes: Math.min(chunkBytes, size - offset) };
    const a = await read(first, part), b = await read(second, part);
    if (!isEqual(a, b)) return false;
  }
  return true;
}

/** The first repeated name; undefined if there is none. */
export function findTwice(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}
