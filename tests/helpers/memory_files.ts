/**
 * A file system that lives in memory, for tests.
 *
 * @module
 */

import { FileError } from "../../src/errors.ts";
import { dirname, type Files } from "../../src/files.ts";

/** Files in memory; `entries` is the live map of path to contents. Folders are implied by the paths, or made. */
export interface MemoryFiles extends Files {
  /** Every file, by its path. */
  readonly entries: Map<string, Uint8Array<ArrayBuffer>>;
}

/** Opens a file system that holds the given files, path to contents (bytes, or text as UTF-8). */
export function memoryFiles(initial: Readonly<Record<string, Uint8Array | string>> = {}): MemoryFiles {
  const entries = new Map<string, Uint8Array<ArrayBuffer>>();
  const folders = new Set<string>([".", "/"]);
  for (const [path, contents] of Object.entries(initial)) {
    entries.set(
      normalize(path),
      typeof contents === "string" ? new TextEncoder().encode(contents) : contents.slice(),
    );
  }
  const isFolder = (path: string) =>
    folders.has(path) || [...entries.keys(), ...folders].some((key) => key.startsWith(`${path}/`));
  const refuse = (act: string, thing: string, current: string, wanted: string): never => {
    throw new FileError({ act, thing, current, wanted });
  };
  return {
    entries,
    read: async (path) =>
      await entries.get(normalize(path))?.slice() ??
        refuse(
          "read",
          path,
          isFolder(normalize(path)) ? "it is a folder" : "there is no such path",
          "a file",
        ),
    sizeBytes: async (path) => {
      if (isFolder(normalize(path))) refuse("read", path, "it is a folder", "a file");
      return await entries.get(normalize(path))?.length;
    },
    list: async (path) => {
      const folder = normalize(path);
      if (entries.has(folder)) refuse("list", path, "it is not a folder", "a folder");
      if (!isFolder(folder)) return undefined;
      const inside = [...entries.keys(), ...folders].filter((key) => key.startsWith(`${folder}/`));
      return await [...new Set(inside.map((key) => key.slice(folder.length + 1).split("/")[0]))].sort();
    },
    write: async (path, bytes) => {
      if (isFolder(normalize(path))) refuse("write", path, "it is a folder", "a file");
      if (!isFolder(dirname(normalize(path)))) refuse("write", path, "there is no such path", "a folder");
      await entries.set(normalize(path), Uint8Array.from(bytes));
    },
    makeFolder: async (path) => {
      if (entries.has(normalize(path))) refuse("make folder", path, "another file is in the way", "a folder");
      await folders.add(normalize(path));
    },
    remove: async (path) => {
      await (entries.delete(normalize(path)) || folders.delete(normalize(path)));
    },
  };
}

function normalize(path: string): string {
  return path.replace(/^(\.\/)+/, "").replace(/\/+$/, "") || ".";
}
