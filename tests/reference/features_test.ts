/** Holds the gradient of the distance of features against finite differences of that distance. */
import assert from "node:assert/strict";
import { featureDistance } from "./features.ts";
import { assertGradient } from "./finite_difference.ts";
import { assertClose, maxAbs, randomTensor, tensorOf, zeros } from "./tensor.ts";

const shape = [3, 2, 2, 1], student = randomTensor(shape, 1, 3), teacher = randomTensor(shape, 2, 3);

Deno.test("featureDistance() has the gradient of its loss", () => {
  const evaluate = () => featureDistance(student, teacher, 1.5);
  assertGradient(() => evaluate().loss, student, evaluate().dfeatures, { name: "features" });
});

Deno.test("featureDistance() is the weight for features of zero, whatever the teacher's scale or the rows", () => {
  for (const scale of [1e-3, 1, 1e3]) {
    const scaled = tensorOf(shape, teacher.values.map((value) => scale * value));
    assertClose([featureDistance(zeros(shape), scaled, 1.5).loss], [1.5], {
      tolerance: 1e-14,
      name: `${scale}`,
    });
  }
  const same = featureDistance(teacher, teacher, 1.5);
  assert.deepEqual([same.loss, maxAbs(same.dfeatures.values)], [0, 0]);
  const none = featureDistance(student, zeros(shape), 1.5);
  assert.deepEqual([none.loss, maxAbs(none.dfeatures.values)], [0, 0]);
});
