/**
 * The folder that a command writes to. It is made and locked before anything is computed. It leaves no trace if nothing
 * was written. Only files that winnow wrote are removed.
 *
 * @module
 */
import { checkpointFiles, removeCheckpoints, runFile } from "../runs/journal.ts";
import { FileError } from "../errors.ts";
import { dirname } from "../files.ts";
import { shellText } from "../text/escape.ts";
import { checkEntry, lstat, refuseLink, withoutSlash, writeError } from "./entries.ts";
import { denoFiles } from "./files.ts";
import { denoHost } from "./host.ts";
import { formatDate, pointLatest } from "./latest_run.ts";

/** What a folder may hold before a command writes to it: nothing, anything, or an earlier part of its work. */
export type OutputUse = "new" | "force" | "go on";

/** The file that is locked while a command writes to the folder. */
const lockName = ".winnow.lock";

/** The file that a run leaves whose loss is not finite. */
export const lastGoodName = "last-good.safetensors";

/** What commands write into their output folder, beside the folder of checkpoints. */
export const ownNames: ReadonlySet<string> = new Set([
  ...["report.json", "report.html", "times.json", "model.safetensors", "model.onnx", lastGoodName],
  ...["compare.json", "compare.svg", "sensitivity.json"],
]);

/** The trained networks that a comparison keeps. */
const keptNetwork = /^trained-\d+(-variance)?\.safetensors$/;

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

  /** Removes files that an earlier run left and this one does not write, so that the folder holds one run. */
  async leaveOut(names: readonly string[]): Promise<void> {
    const present = await denoFiles.list(this.path) ?? [];
    for (const name of names) if (present.includes(name)) await denoFiles.remove(`${this.path}/${name}`);
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

/** Makes a folder and those above it, and returns those that it made, from the top. */
async function makeFolders(path: string): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let above = path; await lstat(above) === undefined; above = dirname(above)) missing.unshift(above);
  await denoFiles.makeFolder(path);
  return missing;
}

/** Tries to lock a file; where the file system has no locks it says so, and goes on. */
async function tryLock(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch (error) {
    denoHost.note(`${path} cannot be locked (${(error as Error).message}): let no other run write there`);
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

/** The name of this machine; needs `--allow-sys=hostname`. */
function hostName(): string {
  try {
    return Deno.hostname();
  } catch {
    return "this machine";
  }
}
