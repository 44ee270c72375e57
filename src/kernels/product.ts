/**
 * What a matrix product is, and how it may be computed: the types that cores, choices and dispatches share.
 *
 * @module
 */
import type { ReadPath } from "./interface.ts";

/** A matrix product c (rows, columns) = a (rows, segments x inner x 4) b (segments x inner x 4, columns). */
export interface ProductShape {
  /** The operation's kernel, such as `gemm/conv2d_forward`. */
  readonly operation: string;
  /** Lines of a and c. */
  readonly rows: number;
  /** Columns of b and c. */
  readonly columns: number;
  /** Outer steps of the sum: taps, or lines of the output. */
  readonly segments: number;
  /** Quads of the sum in a segment. */
  readonly inner: number;
  /** True where the operation can write partial sums, which a second pass adds. */
  readonly splittable: boolean;
  /** The other sizes among the operation's `Params`, by field name. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** What it takes to run the product on its own, as the tuner does. */
  readonly trial?: ProductTrialShape;
}

/** What a product needs beside its sizes to be run on its own. */
export interface ProductTrialShape {
  /** Quads of each operand by binding name; of what is written, those of one split. */
  readonly operands: Readonly<Record<string, number>>;
  /** Override constants, those that most models use. */
  readonly constants: Readonly<Record<string, number>>;
}

/** How a product is computed: the core's stem and the number of splits of its sum. */
export interface ProductChoice {
  /** Stem of the core's kernel, such as `gemm/software/register_8x8`. */
  readonly core: string;
  /** Parts of the sum that are computed side by side, at least 1. */
  readonly splits: number;
  /** How the product reads its operands, where it is not to be as the device's other kernels do. */
  readonly path?: ReadPath;
}

/** Picks how a product is computed on this device. */
export type ProductChooser = (shape: ProductShape) => ProductChoice;

/** Finds on a device how products run fastest, before they run. */
export interface ProductTuner {
  /** The way that was found; one by default for what was not measured. */
  readonly choose: ProductChooser;
  /**
   * Measures the products of plans that are not known yet.
   *
   * @param lower Lowers the plans with a chooser.
   * @returns How many products were measured.
   */
  tunePlans(lower: (choose: ProductChooser) => void): Promise<number>;
}
