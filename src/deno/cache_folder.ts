/**
 * Where downloads and tuning results are kept between runs.
 *
 * @module
 */

/**
 * The user's cache folder for winnow, by the system's custom, or undefined where the system names none or the variables
 * that name it may not be read.
 */
export function cacheFolder(): string | undefined {
  const read = (variable: string): string | undefined => {
    // Asked for first, since reading without permission asks the user.
    const isAllowed = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
    return isAllowed ? Deno.env.get(variable) || undefined : undefined;
  };
  const custom = read("XDG_CACHE_HOME") ?? read("LOCALAPPDATA");
  if (custom !== undefined) return `${custom}/winnow`;
  const home = read("HOME") ?? read("USERPROFILE");
  if (home === undefined) return undefined;
  return Deno.build.os === "darwin" ? `${home}/Library/Caches/winnow` : `${home}/.cache/winnow`;
}
