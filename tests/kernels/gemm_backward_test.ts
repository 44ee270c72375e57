/**
 * Holds the convolution's two gradient products against the f64 reference on every core, the weight's with one split
 * and with several: product_checks.ts.
 */
import { readPaths } from "./harness.ts";
import { checkInput, checkWeight, inputFusions, plainInput, runsOn, wholeInput } from "./product_checks.ts";
import { convolutions, coresOf, fusedConvolutions } from "./products.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";

/** All at once on every core; on one core, since all call one `store_block`, every combination. */
const fusedRuns = (path: ReadPath) => [
  ...runsOn(coresOf(path), wholeInput),
  ...runsOn(["gemm/software/register_8x8"], ...inputFusions),
];

for (const path of readPaths) {
  Deno.test(`conv2d_backward_input() agrees with the reference on every core, ${path} path`, async () => {
    const plain = runsOn(coresOf(path), plainInput);
    for (const convolution of convolutions) await checkInput({ path, convolution }, plain);
    for (const convolution of fusedConvolutions) await checkInput({ path, convolution }, fusedRuns(path));
  });

  Deno.test(`conv2d_backward_weight() agrees with the reference on every core, ${path} path`, async () => {
    for (const convolution of convolutions) await checkWeight({ path, convolution }, coresOf(path));
  });
}
