/**
 * Checks what lies at a path, links not followed, before anything is written there.
 *
 * @module
 */
import { FileError } from "../errors.ts";

/** The path without slashes at its end. */
export function withoutSlash(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

/**
 * True where there is an entry of a kind, false where there is none.
 *
 * @throws {FileError} Where it is a link or of another kind.
 */
export async function checkEntry(path: string, kind: "file" | "folder"): Promise<boolean> {
  await refuseLink(path, kind);
  const entry = await lstat(path);
  if (!entry) return false;
  if (kind === "file" ? entry.isFile : entry.isDirectory) return true;
  const current = entry.isDirectory ? "it is a folder" : "it is no plain file";
  throw new FileError({
    act: "write to",
    thing: path,
    current,
    wanted: `a ${kind}, or nothing by that name`,
  });
}

/** Refuses a link, wherever it leads: what it leads to is another's. @throws {FileError} Then, naming its target. */
export async function refuseLink(path: string, kind: "file" | "folder"): Promise<void> {
  if (!(await lstat(path))?.isSymlink) return;
  const current = `it is a link to ${await Deno.readLink(path)}`, wanted = `a ${kind} that is no link`;
  throw new FileError({ act: "write to", thing: path, current, wanted });
}

/** What lies at a path, links not followed; undefined if nothing does. @throws {FileError} If the system refuses. */
export async function lstat(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw writeError(path, error);
  }
}

/** The error of a folder that could not be written to. */
export function writeError(path: string, error: unknown): FileError {
  const { message } = error instanceof Error ? error : new Error(String(error));
  // Deno advises flags of its own; where it writes is the matter here.
  const plain = message.replace(/, run again with the --allow-\S+ flag$/, "");
  const current = plain.replace(/(: \w+ '[^']*')+$/, ""), wanted = "a folder that can be written to";
  return new FileError({ act: "write to folder", thing: path, current, wanted }, { cause: error });
}
