import { assertEquals } from "@std/assert";
import { adam, lowerOptimizer, lowerRunningMean, optimizerStep, sgd } from "../../src/plan/optimizer.ts";

Deno.test("optimizerStep() gives SGD its learning rate alone", () => {
  assertEquals(optimizerStep(sgd(), { learningRate: 0.3, step: 7 }), { learning_rate: 0.3 });
});

Deno.test("optimizerStep() corrects Adam's moments by 1 - beta^t, t from 1", () => {
  const settings = adam({ beta1: 0.5, beta2: 0.75 });
  const at = (step: number) => optimizerStep(settings, { learningRate: 2, step });
  assertEquals(at(0), { learning_rate: 2, correction1: 0.5, correction2: 0.25 });
  assertEquals(at(2), { learning_rate: 2, correction1: 1 - 0.125, correction2: 1 - 0.421875 });
});

Deno.test("lowerOptimizer() names the optimizer's kernel and form, then tests the result", () => {
  const kernels = (settings: Parameters<typeof lowerOptimizer>[0]) =>
    lowerOptimizer(settings, 100).map(({ kernel, constants, workgroups }) => [
      kernel,
      JSON.stringify(constants),
      workgroups[0],
    ]);
  const check = ["optimizer/check_finite", "{}", 2];
  assertEquals(kernels(sgd()), [["optimizer/sgd", '{"NESTEROV":0}', 2], check]);
  assertEquals(kernels(sgd({ nesterov: true })), [["optimizer/sgd", '{"NESTEROV":1}', 2], check]);
  assertEquals(kernels(adam()), [["optimizer/adam", '{"DECOUPLED":0}', 2], check]);
  assertEquals(kernels(adam({ kind: "adamw" })), [["optimizer/adam", '{"DECOUPLED":1}', 2], check]);
  assertEquals(lowerRunningMean(100).params, { quads: 100 });
});
