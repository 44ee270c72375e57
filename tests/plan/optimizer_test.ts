import { assertEquals } from "@std/assert";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { lowerPlan, lowerUpdatePlan } from "../../src/plan/lower.ts";
import { refText, tensorRef } from "../../src/kernels/buffer_ref.ts";
import {
  adam,
  lowerOptimizer,
  lowerRunningMean,
  type OptimizerSettings,
  optimizerStep,
  sgd,
} from "../../src/plan/optimizer.ts";
import { wholeWindow } from "../../src/plan/windows.ts";

Deno.test("optimizerStep() gives SGD its learning rate alone", () => {
  assertEquals(optimizerStep(sgd(), { learningRate: 0.3, step: 7 }), { learning_rate: 0.3 });
});

Deno.test("optimizerStep() corrects Adam's moments by 1 - beta^t, t from 1", () => {
  const settings = adam({ beta1: 0.5, beta2: 0.75 });
  const at = (step: number) => optimizerStep(settings, { learningRate: 2, step });
  assertEquals(at(0), { learning_rate: 2, correction1: 0.5, correction2: 0.25 });
  assertEquals(at(2), { learning_rate: 2, correction1: 1 - 0.125, correction2: 1 - 0.421875 });
});

const layout = { windows: [wholeWindow(100, 60)] };
const declare = tensorRef;

Deno.test("lowerOptimizer() names the optimizer's kernel and form", () => {
  const kernels = (settings: OptimizerSettings) =>
    lowerOptimizer(settings, layout, { declare }).map(({ kernel, constants, workgroups }) => {
      const set = Object.entries(constants).filter(([, value]) => value === 1).map(([name]) => name);
      return [kernel, set.join(" "), workgroups[0]];
    });
  assertEquals(kernels(sgd()), [["optimizer/sgd", "", 2]]);
  assertEquals(kernels(sgd({ nesterov: true })), [["optimizer/sgd", "NESTEROV", 2]]);
  assertEquals(kernels(adam()), [["optimizer/adam", "", 2]]);
  assertEquals(kernels(adam({ kind: "adamw", clipValue: 1 })), [[
    "optimizer/adam",
    "CLIP_VALUE DECOUPLED",
    2,
  ]]);
  assertEquals(kernels(sgd({ clipNorm: 1 })), [
    ["reduce/columns:reduce/gradient_norm", "", 1],
    ["optimizer/clip_norm", "", 1],
    ["optimizer/sgd", "CLIP_NORM", 2],
  ]);
  assertEquals(lowerRunningMean(layout).map(({ params }) => params), [{ quads: 100 }]);
});

Deno.test("lowerOptimizer() decays all parameters, or the weights alone", () => {
  const decayed = (settings: OptimizerSettings) =>
    lowerOptimizer(settings, layout, { declare }).map(({ params }) => params.decayed_quads);
  assertEquals(decayed(sgd()), [100]);
  assertEquals(decayed(sgd({ decayBias: false })), [60]);
  assertEquals(decayed(adam({ decayBias: false, clipNorm: 1 })), [60, undefined, 60]);
});

Deno.test("lowerPlan() and lowerUpdatePlan() together are the step in one plan", () => {
  const graph = seedNetwork({ channels: 3, height: 8, width: 8, classes: 10 });
  const options = { optimizer: sgd({ clipNorm: 1 }), averages: true, keepsVariance: true };
  const steps = { mode: "train", batch: 4, choose: defaultChooser("storage"), ...options } as const;
  for (const batches of [1, 3]) {
    const accumulation = { batches, isLast: true };
    const whole = lowerPlan(graph, { ...steps, accumulation }).dispatches;
    const first = lowerPlan(graph, { ...steps, accumulation, stopsAtGradients: true }).dispatches;
    const second = lowerUpdatePlan(layOutParameters(graph), { ...options, accumulation }).dispatches;
    assertEquals([...first, ...second], whole);
    const role = batches === 1 ? "arena gradients" : "arena gradient_sum";
    assertEquals(refText(second.at(-3)!.bindings.gradients), role);
    const notLast = { ...accumulation, isLast: false };
    assertEquals(lowerPlan(graph, { ...steps, accumulation: notLast }).dispatches, first);
  }
});
