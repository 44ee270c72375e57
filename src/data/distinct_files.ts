/**
 * Refusing data sets that take one file for two: images that are trained on and tested with tell nothing.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Files } from "../files.ts";

/**
 * Refuses a file that is there twice, by its name or through a link.
 *
 * @param paths What each file of the data set is for, such as `train`, by use.
 * @throws {FormatError} Naming the file and both uses.
 */
export async function checkDistinctFiles(
  files: Files,
  paths: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const seen = new Map<string, { readonly use: string; readonly path: string }>();
  for (const [use, own] of Object.entries(paths)) {
    for (const path of own) {
      const identity = await files.identity?.(path) ?? path, first = seen.get(identity);
      if (first) {
        const also = first.path === path ? "it" : `the same file as ${first.path}, which`;
        const current = `${also} is a file of ${first.use} already`;
        throw new FormatError({ act: `use for ${use}`, thing: path, current, wanted: "each file once" });
      }
      seen.set(identity, { use, path });
    }
  }
}

/** The first name that is there twice; undefined where none is. */
export function findTwice(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}
