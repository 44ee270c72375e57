/**
 * How benches choose the cores of matrix products; a tuner goes here.
 *
 * @module
 */
import type { Gpu } from "../src/gpu/device.ts";
import { defaultChooser, type ProductChooser } from "../src/kernels/gemm.ts";

/** The chooser that all benches use on a device. */
export function benchChooser(gpu: Gpu): ProductChooser {
  return defaultChooser(gpu.path);
}
