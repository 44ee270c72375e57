/**
 * Matrix products and the ways to compute them: the types that cores, choices and dispatches share.
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
  /** Quads of the sum per segment. */
  readonly inner: number;
  /** True if the operation can write partial sums, which a second pass adds. */
  readonly splittable: boolean;
  /** The other sizes among the operation's `Params`, by field name. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** What is needed to run the product on its own, as the tuner does. */
  readonly trial?: ProductTrialShape;
}

/** What a product needs besides its sizes to be run on its own. */
export interface ProductTrialShape {
  /** Quads of each operand by binding name; for the output, those of one split. */
  readonly operands: Readonly<Record<string, number>>;
  /** Override constants, as most models set them. */
  readonly constants: Readonly<Record<string, number>>;
}

/** How a product is computed: the core's stem and the number of splits of its sum. */
export interface ProductChoice {
  /** Stem of the core's kernel, such as `gemm/software/register_8x8`. */
  readonly core: string;
  /** Parts of the sum that are computed side by side, at least 1. */
  readonly splits: number;
  /** The read path of its operands. Default: the device's for matrix products. */
  readonly path?: ReadPath;
}

/** Picks how a product is computed on this device. */
export type ProductChooser = (shape: ProductShape) => ProductChoice;

/** How measuring is watched and ended. */
export interface TuneOptions {
  /** Called before the first product is measured, and after each, with how many are done, of how many. */
  readonly onProduct?: ((done: number, products: number) => void) | undefined;
  /** Ends the measuring once it is aborted: it throws the signal's reason, and keeps what was measured. */
  readonly signal?: AbortSignal | undefined;
}

/** Finds the fastest way to compute products on a device, before they run. */
export interface ProductTuner {
  /** The way that was found; a default for products that were not measured. */
  readonly choose: ProductChooser;
  /**
   * Measures the products of plans that were not measured yet.
   *
   * @param lower Lowers the plans with a chooser.
   * @returns The number of products that were measured.
   * @throws The reason of the signal where it ends the measuring.
   */
  tunePlans(lower: (choose: ProductChooser) => void, options?: TuneOptions): Promise<number>;
}
