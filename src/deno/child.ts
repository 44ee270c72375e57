/**
 * Starts Deno as a child process.
 *
 * @module
 */

/**
 * What tells the dynamic loader to load other libraries. Deno starts no child with one of them in its environment,
 * unless all programs are allowed to be run: `--allow-run=deno` would not be kept to Deno. They are set on many machines
 * (CUDA's instructions set `LD_LIBRARY_PATH`), and Deno itself has been loaded by then.
 */
const loaderVariables = [
  ...["LIBRARY_PATH", "PRELOAD", "AUDIT", "BIND_NOT", "BIND_NOW", "DEBUG", "DEBUG_OUTPUT", "DYNAMIC_WEAK"],
  ...[
    "HWCAP_MASK",
    "ORIGIN_PATH",
    "PROFILE",
    "PROFILE_OUTPUT",
    "SHOW_AUXV",
    "USE_LOAD_BIAS",
    "VERBOSE",
    "WARN",
  ],
].map((name) => `LD_${name}`).concat(
  ["LIBRARY_PATH", "FALLBACK_LIBRARY_PATH", "FRAMEWORK_PATH", "FALLBACK_FRAMEWORK_PATH", "INSERT_LIBRARIES"]
    .map((name) => `DYLD_${name}`),
);

/**
 * Starts `deno` with this process's environment but for the variables of the dynamic loader; needs `--allow-run=deno`, and
 * where such variables are set `--allow-env=LD_*,DYLD_*`.
 *
 * @throws {Deno.errors.NotCapable} Where that is not allowed.
 */
export function spawnDeno(options: Deno.CommandOptions): Deno.ChildProcess {
  const set = loaderVariables.flatMap((name) => {
    const isAllowed = Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
    const value = isAllowed ? Deno.env.get(name) : undefined;
    return value === undefined ? [] : [{ name, value }];
  });
  // Deleted here and set again, since a child's environment is this one and what is added to it.
  for (const { name } of set) Deno.env.delete(name);
  try {
    return new Deno.Command("deno", options).spawn();
  } finally {
    for (const { name, value } of set) Deno.env.set(name, value);
  }
}
