/**
 * Names of the folders of runs, and `latest`, which points to the newest one.
 *
 * @module
 */
import { dirname } from "../files.ts";
import { lstat, withoutSlash } from "./entries.ts";
import { denoHost } from "./host.ts";

/** Names of folders that were made for runs. */
const datedName = /^\d{4}-\d{2}-\d{2}-\d{4}-[\w.-]+$/;

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
export async function pointLatest(base: string, name: string): Promise<(() => Promise<void>) | undefined> {
  const path = `${base}/latest`, before = await readLatest(path);
  if (before === undefined && await lstat(path) !== undefined) {
    denoHost.note(`${path} stays as it is, ${await describeForeign(path)}; this run is in ${base}/${name}`);
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
      denoHost.note(`${path} does not point to ${base}/${to} (${(error as Error).message})`);
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

/** What lies at a path that winnow did not make, in words. */
async function describeForeign(path: string): Promise<string> {
  const isLink = (await lstat(path))?.isSymlink;
  return isLink
    ? `a link to ${await Deno.readLink(path)} that winnow did not make`
    : "which winnow did not make";
}

/** The local date and time to the minute, such as `2026-11-29-1446`. */
export function formatDate(date: Date): string {
  const two = (number: number) => `${number}`.padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}`;
}
