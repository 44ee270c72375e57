/**
 * Finds the real data and reference values that lie beside a checkout in `../shared`, where there are any.
 *
 * @module
 */

/**
 * The absolute path of a file or folder of `../shared`, or undefined, with a line that says so, where it is absent.
 *
 * @throws {Error} Where it is absent and WINNOW_REQUIRE_SHARED is 1: then no test may be skipped for want of it.
 *
 * @example
 * ```ts
 * import { sharedPath } from "./shared.ts";
 * const path = sharedPath("goldens/ops.safetensors");
 * Deno.test("conv2d() agrees with PyTorch", { ignore: path === undefined }, () => {});
 * ```
 */
export function sharedPath(relative: string): string | undefined {
  const path = new URL(`../../../shared/${relative}`, import.meta.url).pathname;
  try {
    Deno.statSync(path);
    return decodeURIComponent(path);
  } catch (error) {
    if (Deno.env.get("WINNOW_REQUIRE_SHARED") === "1") throw error;
    console.log(`skipped: tests that need ../shared/${relative}, which is absent`);
    return undefined;
  }
}
