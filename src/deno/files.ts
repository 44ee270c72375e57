/**
 * The file system of the machine, through Deno. `Deno` is named only inside the functions, so that a browser can load
 * this module.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { dirname, type FilePart, type Files } from "../files.ts";

const CAUSES: ReadonlyMap<string, string> = new Map([
  ["NotFound", "there is no such path"],
  ["NotADirectory", "a part of the path is not a folder"],
  ["IsADirectory", "it is a folder"],
  ["AlreadyExists", "another file is in the way"],
  ["PermissionDenied", "the system denies permission"],
]);

/** Reads and writes the machine's files; needs `--allow-read` and, for changes, `--allow-write` of the paths. */
export const denoFiles: Files = {
  read,
  sizeBytes,
  list,
  identity,
  realPath,
  readPart,
  write,
  makeFolder,
  remove,
};

async function read(
  path: string,
  { maxBytes = Infinity }: { readonly maxBytes?: number } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const size = await sizeBytes(path) ?? 0;
  if (size > maxBytes) {
    const wanted = `at most ${maxBytes} bytes`;
    throw new FileError({ act: "read", thing: path, current: `it has ${size} bytes`, wanted });
  }
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw fileError(error, { act: "read", path, wanted: "a readable file" });
  }
}

async function sizeBytes(path: string): Promise<number | undefined> {
  const entry = await statEntry(path, "a readable file");
  if (entry && !entry.isFile) {
    const current = `it is ${describeKind(entry)}`;
    throw new FileError({ act: "read", thing: path, current, wanted: "a regular file" });
  }
  return entry?.size;
}

/** What a path leads to that is no regular file. Reading from some of them would never end. */
function describeKind(entry: Deno.FileInfo): string {
  if (entry.isDirectory) return "a folder";
  if (entry.isFifo) return "a pipe";
  if (entry.isSocket) return "a socket";
  return entry.isCharDevice || entry.isBlockDevice ? "a device" : "no regular file";
}

async function list(folder: string): Promise<string[] | undefined> {
  const wanted = "a readable folder";
  const entry = await statEntry(folder, wanted);
  if (entry === undefined) return undefined;
  if (!entry.isDirectory) {
    throw new FileError({ act: "list", thing: folder, current: "it is not a folder", wanted });
  }
  try {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    return names.sort();
  } catch (error) {
    throw fileError(error, { act: "list", path: folder, wanted });
  }
}

async function identity(path: string): Promise<string | undefined> {
  const entry = await statEntry(path, "a readable file");
  if (entry === undefined) return undefined;
  // Windows tells no inode.
  return entry.ino === null || entry.ino === 0 ? await Deno.realPath(path) : `${entry.dev}:${entry.ino}`;
}

async function realPath(path: string): Promise<string | undefined> {
  try {
    return (await Deno.realPath(path)).replaceAll("\\", "/");
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw fileError(error, { act: "read", path, wanted: "a readable file" });
  }
}

async function readPart(path: string, { offset, bytes }: FilePart): Promise<Uint8Array<ArrayBuffer>> {
  // Opening a pipe would wait for somebody to write into it.
  await sizeBytes(path);
  try {
    using file = await Deno.open(path);
    await file.seek(offset, Deno.SeekMode.Start);
    const part = new Uint8Array(bytes);
    let at = 0;
    while (at < bytes) {
      const count = await file.read(part.subarray(at));
      if (count === null) break;
      at += count;
    }
    return part.subarray(0, at);
  } catch (error) {
    throw fileError(error, { act: "read", path, wanted: "a readable file" });
  }
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await writeSynced(temporary, bytes);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => undefined);
    throw fileError(error, { act: "write", path, wanted: "a writable file in a folder that exists" });
  }
  await syncFolder(dirname(path));
}

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw fileError(error, { act: "make folder", path, wanted: "a path where a folder can be made" });
  }
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (isAbsent(error)) return;
    throw fileError(error, { act: "remove", path, wanted: "a file or an empty folder that may be removed" });
  }
}

async function statEntry(path: string, wanted: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw fileError(error, { act: "read", path, wanted });
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  await file.sync();
}

/** Makes a rename last through a power cut. Only an extra: some systems cannot open a folder. */
async function syncFolder(folder: string): Promise<void> {
  try {
    using opened = await Deno.open(folder);
    await opened.sync();
  } catch {
    // The file itself is complete and in place.
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && error.name === "NotFound";
}

function fileError(
  error: unknown,
  { act, path, wanted }: { act: string; path: string; wanted: string },
): FileError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  // Deno ends its messages with ": open '/the/path'", which the message contains already.
  const current = CAUSES.get(name) ?? message.replace(/(: \w+ '[^']*')+( -> '[^']*')?$/, "");
  return new FileError({ act, thing: path, current, wanted }, { cause: error });
}
