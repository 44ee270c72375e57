/**
 * What commands say where single weights that went left nothing of a layer.
 *
 * @module
 */

import { escapeLine } from "./print.ts";

/**
 * Warns of layers of which no weight is left.
 *
 * @param names The layers, at least one.
 * @param where By what, such as `random at 98 %`, where that is not plain.
 */
export function formatEmptyLayers(names: readonly string[], where = ""): string {
  const by = where && ` by ${where}`;
  const outputs = names.length === 1 ? "its output no longer depends" : "their outputs no longer depend";
  return `Warning: nothing is left of ${escapeLine(names.join(", "))}${by}, so ${outputs} on the images; ` +
    "a --floor above 0 keeps some of each layer.";
}
