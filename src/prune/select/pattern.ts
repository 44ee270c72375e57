/**
 * How far weights hold N:M sparsity along PyTorch's columns, which is what sparse hardware reads: a convolution's weight
 * (O, I, KH, KW) by input channels at each tap, a linear one (O, I) by input features. TensorRT asks for this (Developer
 * Guide, "Structured sparsity"), and NVIDIA's ASP prunes convolutions as matrices (KH KW O, I).
 *
 * @module
 */
import type { NamedParameters } from "../../gpu/network.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { prunableTensors } from "../score/criteria.ts";
import type { Pattern } from "./removal.ts";

/** How one weight holds a pattern. */
export interface PatternCount {
  /** PyTorch's name, such as `fc1.weight`. */
  readonly name: string;
  /** Groups of M columns, shorter ones at the end of a line among them. */
  readonly groups: number;
  /** Groups of which at most N weights are not zero. */
  readonly fitting: number;
}

/**
 * Counts the groups of each prunable weight that fit a pattern.
 *
 * @param parameters Values by full name in PyTorch's order, as a file holds them.
 */
export function countPattern(
  layout: ParameterLayout,
  parameters: NamedParameters,
  { keep, of }: Pattern,
): readonly PatternCount[] {
  return prunableTensors(layout).map(({ fullName: name, shape }) => {
    const values = parameters.get(name)!, [rows, columns, ...window] = shape;
    // From a column to the next lie the taps of a convolution's window.
    const taps = window.reduce((product, side) => product * side, 1);
    let groups = 0, fitting = 0;
    for (let row = 0; row < rows; row++) {
      for (let tap = 0; tap < taps; tap++) {
        for (let first = 0; first < columns; first += of) {
          let kept = 0;
          for (let column = first; column < Math.min(first + of, columns); column++) {
            if (values[(row * columns + column) * taps + tap] !== 0) kept++;
          }
          groups++;
          if (kept <= keep) fitting++;
        }
      }
    }
    return { name, groups, fitting };
  });
}
