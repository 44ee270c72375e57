/**
 * How the matrix products of a run were computed, so that they can be computed again in the same way. Other cores add
 * in other orders, so the same bits need the same choices.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { choiceFault } from "./choice_fault.ts";
import type { ReadPath } from "./interface.ts";
import type { ProductChoice, ProductChooser, ProductShape } from "./product.ts";

/** Choices by product, as `shapeKey` names it. */
export type ProductChoices = Record<string, ProductChoice>;

/**
 * The present name of a core. Before version 0.1.0 names had no folder: `gemm/register_8x8` is
 * `gemm/software/register_8x8`.
 */
function currentCore(name: string): string {
  return name.replace(
    /^gemm\/(tile|register|subgroup)_/,
    (_, text: string) => `gemm/${text === "tile" ? "gpu" : "software"}/${text}_`,
  );
}

/** The key of a product: its operation and all sizes. */
export function shapeKey({ operation, rows, columns, segments, inner, sizes = {} }: ProductShape): string {
  const others = Object.entries(sizes).sort(([a], [b]) => a < b ? -1 : 1).map(([name, size]) =>
    ` ${name} ${size}`
  );
  return `${operation} rows ${rows} columns ${columns} segments ${segments} inner ${inner}${others.join("")}`;
}

/** A choice as text, such as `gemm/software/register_8x8, 4 splits, storage`. */
export function choiceText({ core, splits, path }: ProductChoice): string {
  return [core, `${splits} ${splits === 1 ? "split" : "splits"}`, ...(path ? [path] : [])].join(", ");
}

/**
 * A chooser that repeats earlier choices. For a new product it asks another chooser, and adds the choice.
 *
 * @throws {FormatError} If the earlier choice for a product does not compute it.
 */
export function rememberingChooser(choices: ProductChoices, choose: ProductChooser): ProductChooser {
  return (shape) => {
    const key = shapeKey(shape), before = choices[key];
    if (before === undefined) return choices[key] = choose(shape);
    const fault = choiceFault(before, shape);
    if (fault) throw new FormatError({ act: "compute as before product", thing: key, ...fault });
    return before;
  };
}

/** Choices as a report holds them: as text, in the order of their products. */
export function formatChoices(choices: ProductChoices): Readonly<Record<string, string>> {
  const entries = Object.entries(choices).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([product, choice]) => [product, choiceText(choice)]));
}

/**
 * Reads the output of `formatChoices`, also of earlier versions.
 *
 * @throws {FormatError} If an entry is not a choice.
 */
export function readChoices(texts: Readonly<Record<string, string>>): ProductChoices {
  const choices = Object.entries(texts).map(([product, text]): [string, ProductChoice] => {
    const [, core, splits, path] = /^(\S+), ([1-9]\d*) splits?(?:, (storage|texture))?$/.exec(text) ?? [];
    if (core === undefined) {
      const wanted = "a core and its splits, such as gemm/software/register_8x8, 4 splits";
      throw new FormatError({ act: "compute product", thing: product, current: `"${text}"`, wanted });
    }
    return [product, {
      core: currentCore(core),
      splits: Number(splits),
      ...(path ? { path: path as ReadPath } : {}),
    }];
  });
  return Object.fromEntries(choices);
}
