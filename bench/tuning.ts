/**
 * The matrix products of the benches, for the tuner.
 *
 * @module
 */
import type { ProductChooser } from "../src/kernels/product.ts";
import { lowerRunPlans } from "../src/runs/plans.ts";
import { defaultSizes } from "./benches.ts";
import { convolutionPasses, lowerConvolution } from "./convolution.ts";
import { benchGraph, residualGraph } from "./steps.ts";

/**
 * Lowers everything that the benches of default sizes run, with a chooser.
 *
 * @param names The benches that are to run; all where empty.
 */
export function lowerBenchPlans(choose: ProductChooser, names: readonly string[] = []): void {
  const { trainBatch, residualTrainBatch, inferenceBatch, convolution } = defaultSizes;
  // ResNet-20 has many products, whose tuning the other benches need not wait for.
  if (names.length === 0 || names.some((name) => name.startsWith("resnet20"))) {
    const sizes = { batch: residualTrainBatch, train: residualTrainBatch, test: inferenceBatch };
    lowerRunPlans(residualGraph, sizes, choose);
  }
  lowerRunPlans(benchGraph, { batch: trainBatch, train: trainBatch, test: inferenceBatch }, choose);
  for (const pass of convolutionPasses) lowerConvolution(pass, convolution, choose);
}
