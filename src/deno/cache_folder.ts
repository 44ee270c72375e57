/**
 * Where downloads and tuning results are kept between runs.
 *
 * @module
 */

/** The user's cache folder for winnow, by the system's custom, or undefined where the system names none. */
export function cacheFolder(): string | undefined {
  const read = (name: string): string | undefined => Deno.env.get(name) || undefined;
  const custom = read("XDG_CACHE_HOME") ?? read("LOCALAPPDATA");
  if (custom !== undefined) return `${custom}/winnow`;
  const home = read("HOME") ?? read("USERPROFILE");
  if (home === undefined) return undefined;
  return Deno.build.os === "darwin" ? `${home}/Library/Caches/winnow` : `${home}/.cache/winnow`;
}
