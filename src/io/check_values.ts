/**
 * Refuses numbers of files that would make a network compute nonsense: a ReLU turns NaN into 0, so no result would
 * show it.
 *
 * @module
 */
import { FormatError } from "../errors.ts";

/** The index of an element in PyTorch's shape, such as `[3, 0, 1, 2]`, from its index in the values. */
export function indexText(index: number, shape: readonly number[]): string {
  let rest = index;
  const indices = shape.map(() => 0);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    indices[axis] = rest % shape[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  return `[${indices.join(", ")}]`;
}

/** Whose values they are, for messages. */
export interface ValuesOf {
  /** The act, such as `read model`. */
  readonly act: string;
  /** The file and the tensor. */
  readonly thing: string;
  /** PyTorch's shape. */
  readonly shape: readonly number[];
}

/**
 * Refuses values that are not finite, or below the minimum.
 *
 * @throws {FormatError} Naming the first such value and its index.
 */
export function checkValues(
  values: Float32Array,
  { min = -Infinity, ...of }: ValuesOf & { readonly min?: number | undefined },
): void {
  const wrong = values.findIndex((value) => !(Number.isFinite(value) && value >= min));
  if (wrong < 0) return;
  refuse(
    of,
    values[wrong],
    wrong,
    min === -Infinity ? "finite numbers" : `finite numbers, at least ${min}`,
  );
}

/**
 * Refuses weights that their mask removes and that are not 0: the network would compute with them all the same.
 *
 * @param mask 1 keeps, 0 removes.
 * @throws {FormatError} Naming the first such weight and its index.
 */
export function checkMask(values: Float32Array, mask: Float32Array, of: ValuesOf): void {
  const wrong = values.findIndex((value, i) => mask[i] === 0 && value !== 0);
  if (wrong >= 0) refuse(of, values[wrong], wrong, "0 there, where the mask removes the weight");
}

function refuse({ act, thing, shape }: ValuesOf, value: number, index: number, wanted: string): never {
  throw new FormatError({ act, thing, current: `${value} at its index ${indexText(index, shape)}`, wanted });
}
