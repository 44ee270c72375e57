/**
 * The matrix products of the benches, for the tuner.
 *
 * @module
 */
import type { ProductChooser } from "../src/kernels/gemm.ts";
import { lowerRunPlans } from "../src/api/run_plans.ts";
import { defaultSizes } from "./benches.ts";
import { convolutionPasses, lowerConvolution } from "./convolution.ts";
import { benchGraph } from "./steps.ts";

/** Lowers everything that the benches of default sizes run, with a chooser. */
export function lowerBenchPlans(choose: ProductChooser): void {
  const { trainBatch, inferenceBatch, convolution } = defaultSizes;
  lowerRunPlans(benchGraph, { batch: trainBatch, train: trainBatch, test: inferenceBatch }, choose);
  for (const pass of convolutionPasses) lowerConvolution(pass, convolution, choose);
}
