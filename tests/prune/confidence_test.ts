import { assert } from "@std/assert";
import { signalToNoiseAt } from "../../src/prune/score/confidence.ts";
import { erf } from "../reference/erf.ts";

Deno.test("signalToNoiseAt() is the inverse of erf(z / sqrt 2)", () => {
  for (const confidence of [0.001, 0.1, 0.5, 0.6827, 0.9, 0.95, 0.99, 0.9999, 1 - 1e-9]) {
    const z = signalToNoiseAt(confidence);
    // erfc is right to 1.2e-7 relative, so the confidence at z is off by that share of 1 - confidence at most.
    const error = Math.abs(erf(z / Math.SQRT2) - confidence);
    assert(error <= 1.3e-7 * (1 - confidence) + 2 ** -52, `${confidence}: z ${z}, off by ${error}`);
  }
});

Deno.test("signalToNoiseAt() rises with the confidence and stays finite", () => {
  const zs = [1e-9, 0.01, 0.5, 0.99, 1 - 2 ** -53].map(signalToNoiseAt);
  assert(zs.every((z, i) => Number.isFinite(z) && (i === 0 || z > zs[i - 1])), `${zs}`);
});
