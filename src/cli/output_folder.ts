/**
 * The folder that a command writes to: made and locked before anything is computed, and left without a trace where
 * nothing was written. Only files that winnow wrote are ever removed.
 *
 * @module
 */
import { checkpointFiles, removeCheckpoints, runFile } from "../runs/journal.ts";
import { FileError } from "../errors.ts";
import { denoFiles } from "../deno/files.ts";
import { dirname } from "../files.ts";
import { shellText } from "../text/escape.ts";
import { note } from "./print.ts";

/** What a folder may hold before a command writes to it: nothing, anything, or an earlier part of its work. */
export type OutputUse = "new" | "force" | "go on";

/** The file that is locked while a command writes to the folder. */
const lockName = ".winnow.lock";

/** The file that a run leaves whose loss is not finite. */
export const lastGoodName = "last-good.safetensors";

/** What commands write into their output folder, beside the folder of checkpoints. */
const ownNames: ReadonlySet<string> = new Set([
  ...["report.json", "latency.json", "model.safetensors", lastGoodName],
  ...["compare.json", "compare.svg", "sensitivity.json"],
]);

/** The trained networks that a comparison keeps. */
const keptNetwork = /^trained-\d+(-variance)?\.safetensors$/;

/** Names of folders that were made for runs. */
const datedName = /^\d{4}-\d{2}-\d{2}-\d{4}-[\w.-]+$/;

/** What a write leaves that was cut off. */
const leftover = /\.[0-9a-f]{8}\.tmp$/;

/** What the file that is locked says of who locks it. */
interface Holder {
  readonly process: number;
  readonly host: string;
  readonly since: string;
}

/** A folder that no other command writes to until it is disposed of. */
export class OutputFolder implements AsyncDisposable {
  /** The path, without a slash at its end. */
  readonly path: string;
  readonly #use: OutputUse | "made";
  readonly #madeFolders: readonly string[];
  #lock: Deno.FsFile | undefined;
  /** Undoes what pointed `latest` to the folder. */
  #unpoint: (() => Promise<void>) | undefined;

  private constructor(path: string, use: OutputUse | "made", madeFolders: readonly string[]) {
    this.path = path;
    this.#use = use;
    this.#madeFolders = madeFolders;
  }

  /**
   * Makes a folder where it is missing, locks it and writes to it.
   *
   * @throws {FileError} Where it is a link, cannot be made or written to, another process writes there, it holds something although
   *   it is to be new, or something is in the place of a file that is to be written or removed.
   */
  static async open(path: string, use: OutputUse): Promise<OutputFolder> {
    const plain = withoutSlash(path);
    await refuseLink(plain, "folder");
    return await new OutputFolder(plain, use, await makeFolders(plain)).#take();
  }

  /**
   * Makes a new folder for a run: BASE/DATE-NAME, or the first of BASE/DATE-NAME-2 and so on that there is not.
   *
   * @throws {FileError} Where it cannot be made or written to.
   */
  static async make(base: string, name: string, now = new Date()): Promise<OutputFolder> {
    const made = await makeFolders(base), dated = `${base}/${formatDate(now)}-${name}`;
    for (let copy = 1;; copy++) {
      const path = copy === 1 ? dated : `${dated}-${copy}`;
      try {
        await Deno.mkdir(path);
      } catch (error) {
        if (error instanceof Deno.errors.AlreadyExists) continue;
        throw writeError(path, error);
      }
      return await new OutputFolder(path, "made", [...made, path]).#take();
    }
  }

  get #checkpoints(): string {
    return `${this.path}/checkpoint`;
  }

  /**
   * Called when all that can be checked before a run is: removes what an earlier run left that this one would not write
   * over, where that is forced, and points `latest` to a folder that was made for the run.
   */
  async start(): Promise<void> {
    if (this.#use === "made") {
      const base = dirname(this.path);
      this.#unpoint = await pointLatest(base, this.path.slice(base.length + 1));
    }
    if (this.#use !== "force") return;
    for (const name of await denoFiles.list(this.path) ?? []) {
      const isCutOff = leftover.test(name) && ownNames.has(name.replace(leftover, ""));
      if (isCutOff || name === lastGoodName) await denoFiles.remove(`${this.path}/${name}`);
    }
    await removeCheckpoints({ files: denoFiles, folder: this.#checkpoints });
  }

  /** Writes a report as JSON to a file of the folder, whole or not at all. */
  async writeReport(name: string, report: unknown): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`);
    await denoFiles.write(`${this.path}/${name}`, bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lock) {
      // While it is locked still, so that nobody locks a file that is about to go.
      await Deno.remove(`${this.path}/${lockName}`).catch(() => undefined);
      this.#lock.close();
      this.#lock = undefined;
    }
    const isEmpty = (await denoFiles.list(this.path).catch(() => undefined))?.length === 0;
    if (isEmpty) await this.#unpoint?.();
    // Folders with something in them stay.
    for (const made of this.#madeFolders.toReversed()) await Deno.remove(made).catch(() => undefined);
  }

  async #take(): Promise<this> {
    try {
      await this.#takeLock();
      if (this.#use === "new") await this.#checkEmpty();
      await this.#checkEntries();
      return this;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Locks the folder; the system drops the lock when the process ends, however it ends. */
  async #takeLock(): Promise<void> {
    const path = `${this.path}/${lockName}`;
    await checkEntry(path, "file");
    try {
      for (;;) {
        const file = await Deno.open(path, { read: true, write: true, create: true });
        if (!await tryLock(file, path)) {
          file.close();
          throw await inUse(this.path);
        }
        // Who had it before may have removed it after it was opened here.
        if (await isAt(file, path)) {
          this.#lock = file;
          break;
        }
        file.close();
      }
      const holder: Holder = { process: Deno.pid, host: hostName(), since: new Date().toISOString() };
      await this.#lock.truncate();
      await this.#lock.write(new TextEncoder().encode(`${JSON.stringify(holder)}\n`));
      await this.#lock.sync();
    } catch (error) {
      throw error instanceof FileError ? error : writeError(this.path, error);
    }
  }

  /** Refuses a folder that holds anything, and says how to go on with a run that was stopped in it. */
  async #checkEmpty(): Promise<void> {
    const names = (await denoFiles.list(this.path) ?? []).filter((name) => name !== lockName);
    if (names.length === 0) return;
    const count = names.length === 1 ? "1 entry" : `${names.length} entries`;
    const current = `it holds ${count} (${names.slice(0, 3).join(", ")})`;
    const isCut = await denoFiles.sizeBytes(`${this.#checkpoints}/${runFile}`) !== undefined;
    const wanted = isCut
      ? `an empty folder, or ./winnow prune --resume ${shellText(this.path)} to go on, or --force`
      : "an empty folder, or --force";
    throw new FileError({ act: "write to folder", thing: this.path, current, wanted });
  }

  /** Refuses links and other kinds of entries in the place of what may be written or removed. */
  async #checkEntries(): Promise<void> {
    for (const name of await denoFiles.list(this.path) ?? []) {
      if (ownNames.has(name) || keptNetwork.test(name)) await checkEntry(`${this.path}/${name}`, "file");
    }
    if (!await checkEntry(this.#checkpoints, "folder")) return;
    for (const name of await denoFiles.list(this.#checkpoints) ?? []) {
      if (checkpointFiles.test(name)) await checkEntry(`${this.#checkpoints}/${name}`, "file");
    }
  }
}

/** The path without slashes at its end. */
export function withoutSlash(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

/** A part of a folder's name that says what a run is about, such as `seed-cifar10`, out of any texts. */
export function runName(...parts: readonly string[]): string {
  const plain = (part: string) =>
    part.replaceAll(/[^A-Za-z0-9._]+/g, "-").replaceAll(/^[-.]+|[-.]+$/g, "").slice(0, 40);
  return parts.map(plain).filter((part) => part !== "").join("-");
}

/**
 * Points BASE/latest to the newest run's folder in BASE: a link, or a text file with its name where links cannot be made.
 * What others made by that name stays.
 *
 * @returns what points it back, where it was pointed
 */
async function pointLatest(base: string, name: string): Promise<(() => Promise<void>) | undefined> {
  const path = `${base}/latest`, before = await readLatest(path);
  if (before === undefined && await lstat(path) !== undefined) {
    note(`${path} is not winnow's, so that it does not point to ${base}/${name}`);
    return undefined;
  }
  const point = async (to: string) => {
    const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    try {
      await Deno.symlink(to, temporary, { type: "dir" }).catch(() =>
        Deno.writeTextFile(temporary, `${to}\n`)
      );
      await Deno.rename(temporary, path);
    } catch (error) {
      await Deno.remove(temporary).catch(() => undefined);
      note(`${path} does not point to ${base}/${to} (${(error as Error).message})`);
    }
  };
  await point(name);
  return async () => {
    // A run that started later may have pointed it on.
    if (await readLatest(path) !== name) return;
    if (before === undefined) await Deno.remove(path).catch(() => undefined);
    else await point(before);
  };
}

/**
 * The folder that a path names. What is called `latest` stands for the folder that it points to now, since a run that
 * starts meanwhile points it elsewhere.
 */
export async function resolveLatest(path: string): Promise<string> {
  const plain = withoutSlash(path), isLatest = /(^|\/)latest$/.test(plain);
  const name = isLatest ? await readLatest(plain) : undefined;
  return name === undefined ? path : `${dirname(plain)}/${name}`;
}

/** The name of the folder that a link `latest`, or a text file in its place, points to; undefined where it is another's. */
async function readLatest(path: string): Promise<string | undefined> {
  const entry = await lstat(path);
  if (entry?.isSymlink) {
    const target = await Deno.readLink(path);
    return datedName.test(target) ? target : undefined;
  }
  if (!entry?.isFile || entry.size > 255) return undefined;
  const [name, ...rest] = (await Deno.readTextFile(path)).split("\n");
  return datedName.test(name) && rest.join("") === "" ? name : undefined;
}

/** Makes a folder and those above it, and returns those that it made, from the top. */
async function makeFolders(path: string): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let above = path; await lstat(above) === undefined; above = dirname(above)) missing.unshift(above);
  await denoFiles.makeFolder(path);
  return missing;
}

/**
 * True where there is an entry of a kind, false where there is none.
 *
 * @throws {FileError} Where it is a link or of another kind.
 */
async function checkEntry(path: string, kind: "file" | "folder"): Promise<boolean> {
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
async function refuseLink(path: string, kind: "file" | "folder"): Promise<void> {
  if (!(await lstat(path))?.isSymlink) return;
  const current = `it is a link to ${await Deno.readLink(path)}`, wanted = `a ${kind} that is no link`;
  throw new FileError({ act: "write to", thing: path, current, wanted });
}

async function lstat(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw writeError(path, error);
  }
}

/** Tries to lock a file; where the file system has no locks it says so, and goes on. */
async function tryLock(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch (error) {
    note(`${path} cannot be locked (${(error as Error).message}): let no other run write there`);
    return true;
  }
}

/** True where an open file is the one at a path. */
async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  const own = await file.stat(), found = await lstat(path);
  return found !== undefined && found.ino === own.ino && found.dev === own.dev;
}

/** Says who writes to a folder. */
async function inUse(folder: string): Promise<FileError> {
  let who = "another process";
  try {
    const { process, host, since }: Holder = JSON.parse(await Deno.readTextFile(`${folder}/${lockName}`));
    who = `process ${process} on ${host}, since ${since}`;
  } catch {
    // Some systems let nobody read a locked file, and it is written after it is locked.
  }
  const current = `${who} writes to it`, wanted = "another folder, or the end of that run";
  return new FileError({ act: "write to folder", thing: folder, current, wanted });
}

function writeError(path: string, error: unknown): FileError {
  const { message } = error instanceof Error ? error : new Error(String(error));
  // Deno advises flags of its own; where it writes is the matter here.
  const plain = message.replace(/, run again with the --allow-\S+ flag$/, "");
  const current = plain.replace(/(: \w+ '[^']*')+$/, ""), wanted = "a folder that can be written to";
  return new FileError({ act: "write to folder", thing: path, current, wanted }, { cause: error });
}

/** The name of this machine; needs `--allow-sys=hostname`. */
function hostName(): string {
  try {
    return Deno.hostname();
  } catch {
    return "this machine";
  }
}

/** The local date and time to the minute, such as `2026-11-29-1446`. */
function formatDate(date: Date): string {
  const two = (number: number) => `${number}`.padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}`;
}
