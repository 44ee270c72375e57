/**
 * Counts how far weights fit N:M sparsity along PyTorch's columns, as sparse hardware reads them: a convolution's
 * weight (O, I, KH, KW) by input channels at each tap, a linear one (O, I) by input features. TensorRT asks for this
 * (Developer Guide, "Structured sparsity"), and NVIDIA's ASP prunes convolutions as matrices (KH KW O, I).
 *
 * @module
 */
import type { NamedParameters } from "../../gpu/network.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { prunableTensors } from "../score/criteria.ts";
import type { Pattern } from "./removal.ts";

/** The fit of one weight to a pattern. */
export interface PatternCount {
  /** PyTorch's name, such as `fc1.weight`. */
  readonly name: string;
  /** Groups of M columns, including shorter ones at the end of a line. */
  readonly groups: number;
  /** Groups with at most N weights that are not zero. */
  readonly fitting: number;
}

/**
 * Counts the groups of each prunable weight that fit a pattern.
 *
 * @param parameters Values by full name in PyTorch's order, as in a file.
 */
export function countPattern(
  layout: ParameterLayout,
  parameters: NamedParameters,
  { keep, of }: Pattern,
): readonly PatternCount[] {
  return prunableTensors(layout).map(({ fullName: name, shape }) => {
    const values = parameters.get(name)!, [rows, columns, ...window] = shape;
    // The taps of a convolution's window lie between one column and the next.
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
