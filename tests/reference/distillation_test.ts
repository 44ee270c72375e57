/** Holds the gradient of the distillation loss against finite differences of that loss. */
import assert from "node:assert/strict";
import { crossEntropy } from "./cross_entropy.ts";
import { distillationLoss } from "./distillation.ts";
import { centralDifferences } from "./finite_difference.ts";
import { assertClose, randomTensor } from "./tensor.ts";

const labels = [2, 0, 4], teacher = randomTensor([3, 5], 2, 3);

Deno.test("distillationLoss() has the gradient of its loss", () => {
  const logits = randomTensor([3, 5], 1, 3);
  for (const options of [{ share: .3, temperature: 4 }, { share: 1, temperature: .5, labelSmoothing: .1 }]) {
    const evaluate = () => distillationLoss(logits, teacher, { labels, ...options });
    const want = centralDifferences(() => evaluate().loss, logits, 1e-5);
    // Central differences are off by h^2 / 6 times a third derivative of at most T^2 / T^3, and 1e-16 / h.
    assertClose(evaluate().dlogits.values, want, { tolerance: 1e-9, name: JSON.stringify(options) });
  }
});

Deno.test("distillationLoss() is the cross-entropy at share 0, and 0 where the student is the teacher at share 1", () => {
  const logits = randomTensor([3, 5], 1, 3);
  const hard = distillationLoss(logits, teacher, { labels, share: 0, temperature: 4 });
  assert.deepEqual(hard.losses, crossEntropy(logits, labels).losses);
  const same = distillationLoss(teacher, teacher, { labels, share: 1, temperature: 4 });
  assertClose([same.loss, ...same.dlogits.values], new Float64Array(16), { tolerance: 1e-15, name: "same" });
});
