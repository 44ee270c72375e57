/**
 * Holds the optimizers against the f64 reference, one step and several. A mask multiplies the gradient before the
 * moments, so the reference is given masked gradients and masked values to start from.
 *
 * Tolerances, with u = 2^-24, T steps, V, G the largest value and gradient, lr the learning rate: a velocity is a sum
 * of at most T gradients, each off by 5 u a step, and a value takes a step with 8 roundings and meets 2 of its own.
 * Adam's step is lr times a ratio of at most R = max |m| / sqrt(v), bounded by G / min |g| (gradients stay away from
 * 0); its roundings at step t are 3 t for m, 1.5 t for the root of v and 26 for what else stands in the formula.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { adamStep, adamwStep, createAdamState, createSgdState, sgdStep } from "../reference/optimizers.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";

const goodTally = Uint32Array.of(0, 0, 0, 0xffffffff);
const lengths = [4, 4 * 67];

/** Values, gradients of T steps with 0.5 <= |g| < 1.5, and a mask that removes every third. */
function operandsOf(length: number, steps: number) {
  const values = randomTensor([length], 1).values;
  const gradients = Array.from(
    { length: steps },
    (_, step) => randomTensor([length], 10 + step).values.map((g) => Math.fround(g + (g < 0 ? -.5 : .5))),
  );
  return { values, gradients, mask: Float64Array.from(values, (_, i) => i % 3 === 1 ? 0 : 1) };
}

/** Parameters of an optimizer that decays all quads and neither adds L1 nor clips. */
function plainParams(length: number) {
  return { quads: length / 4, decayed_quads: length / 4, l1: 0, clip_value: 0 };
}

const masked = (values: Float64Array, mask: Float64Array) => values.map((value, i) => value * mask[i]);
const f32 = (values: ArrayLike<number>) => Float32Array.from(values);

/** Options of SGD that are exact in f32. */
const sgdCases = [
  { momentum: 0, nesterov: false, weightDecay: 0 },
  { momentum: Math.fround(.9), nesterov: false, weightDecay: Math.fround(.01) },
  { momentum: Math.fround(.9), nesterov: true, weightDecay: Math.fround(.01) },
];

async function checkSgd(path: ReadPath, length: number, options: typeof sgdCases[number]): Promise<void> {
  const steps = 4, learningRate = Math.fround(.1);
  const { values, gradients, mask } = operandsOf(length, steps);
  const { momentum, nesterov, weightDecay } = options;
  const result = await runKernels({
    path,
    dispatches: gradients.map((_, step) =>
      dispatchOver(length / 4, {
        kernel: "optimizer/sgd",
        label: "sgd",
        bindings: {
          tally: inputRef("tally"),
          gradients: inputRef(`gradients${step}`),
          gradient_scale: inputRef("scale"),
          mask: inputRef("mask"),
          velocity: inputRef("velocity"),
          values: inputRef("values"),
        },
        params: { ...plainParams(length), momentum, weight_decay: weightDecay },
        constants: { NESTEROV: nesterov ? 1 : 0 },
      })
    ),
    buffers: {
      tally: goodTally,
      scale: 1,
      mask: f32(mask),
      velocity: length,
      values: f32(values),
      ...Object.fromEntries(gradients.map((gradient, step) => [`gradients${step}`, f32(gradient)])),
    },
    step: { learning_rate: learningRate, index: 0 },
  });
  const want = masked(values, mask), state = createSgdState(length);
  for (const gradient of gradients) {
    sgdStep(want, masked(gradient, mask), state, { learningRate, ...options });
  }
  const largest = Math.max(maxAbs(values), maxAbs(want));
  const moment = steps * (1.5 + weightDecay * largest);
  const name = `${path} sgd ${length} ${JSON.stringify(options)}`;
  const velocityTolerance = 5 * steps * F32_ROUNDOFF * moment;
  assertClose(result.floats("velocity"), state.velocity, { tolerance: velocityTolerance, name });
  const tolerance = steps * (2 * F32_ROUNDOFF * largest + learningRate * 8 * steps * F32_ROUNDOFF * moment);
  assertClose(result.floats("values"), want, { tolerance, name });
  assert(want.every((value, i) => mask[i] === 1 || value === 0), "the reference removes too");
  assert(
    result.floats("values").every((value, i) => mask[i] === 1 || value === 0),
    `${name}: removed stay 0`,
  );
}

const adamOptions = {
  learningRate: Math.fround(.01),
  beta1: Math.fround(.9),
  beta2: Math.fround(.999),
  eps: Math.fround(1e-8),
  weightDecay: Math.fround(.1),
};

function adamDispatch(length: number, DECOUPLED: number): Dispatch {
  const { beta1, beta2, eps, weightDecay } = adamOptions;
  const names = ["tally", "gradients", "gradient_scale", "mask", "first_moment", "second_moment", "values"];
  return dispatchOver(length / 4, {
    kernel: "optimizer/adam",
    label: "adam",
    bindings: inputRefs(Object.fromEntries(names.map((name) => [name, name]))),
    params: { ...plainParams(length), beta1, beta2, epsilon: eps, weight_decay: weightDecay },
    constants: { DECOUPLED },
  });
}

async function checkAdam(path: ReadPath, length: number, steps: number, decoupled: boolean): Promise<void> {
  const { values, gradients, mask } = operandsOf(length, steps);
  const { learningRate, beta1, beta2 } = adamOptions;
  const zeros = f32(values).fill(0);
  const held: Record<string, Float32Array> = { values: f32(values), first: zeros, second: zeros };
  for (const [i, gradient] of gradients.entries()) {
    const { floats } = await runKernels({
      path,
      dispatches: [adamDispatch(length, decoupled ? 1 : 0)],
      buffers: {
        tally: goodTally,
        gradient_scale: 1,
        gradients: f32(gradient),
        mask: f32(mask),
        first_moment: held.first,
        second_moment: held.second,
        values: held.values,
      },
      step: {
        learning_rate: learningRate,
        correction1: 1 - beta1 ** (i + 1),
        correction2: 1 - beta2 ** (i + 1),
        index: i,
      },
    });
    held.values = floats("values");
    held.first = floats("first_moment");
    held.second = floats("second_moment");
  }
  const update = decoupled ? adamwStep : adamStep;
  const follow = (weightDecay: number) => {
    const result = masked(values, mask), state = createAdamState(length);
    for (const gradient of gradients) {
      update(result, masked(gradient, mask), state, { ...adamOptions, weightDecay });
    }
    return { result, state };
  };
  const { result: want, state } = follow(adamOptions.weightDecay);
  const largest = Math.max(maxAbs(values), maxAbs(want));
  // In Adam weight decay moves gradients by at most .1: 0.4 <= |g| < 1.6.
  const ratio = 1.6 / .4;
  let tolerance = 0;
  for (let t = 1; t <= steps; t++) {
    tolerance += F32_ROUNDOFF * (4 * largest + (26 + 4.5 * t) * learningRate * ratio);
  }
  const name = `${path} ${decoupled ? "adamw" : "adam"} ${length}, ${steps} steps`;
  assertClose(held.values, want, { tolerance, name });
  const moments = 3 * (steps + 1) * F32_ROUNDOFF;
  assertClose(held.first, state.firstMoment, { tolerance: moments * 1.6, name: `${name} m` });
  assertClose(held.second, state.secondMoment, { tolerance: moments * 1.6 ** 2, name: `${name} v` });
  assert(held.values.every((value, i) => mask[i] === 1 || value === 0), `${name}: removed stay 0`);
  // A weight decay that is forgotten, or that goes the other form's way, must not pass.
  const without = follow(0).result;
  const effect = maxAbs(without.map((value, i) => value - want[i]));
  assert(!decoupled || effect > 100 * tolerance, `${name}: decay moves ${effect}, tolerance ${tolerance}`);
}

for (const path of readPaths) {
  Deno.test(`sgd() agrees with the reference over steps, with mask, ${path} path`, async () => {
    for (const length of lengths) {
      for (const options of sgdCases) await checkSgd(path, length, options);
    }
  });

  Deno.test(`adam() agrees with the reference's Adam, ${path} path`, async () => {
    for (const length of lengths) await checkAdam(path, length, 3, false);
  });

  Deno.test(`adam() with DECOUPLED decays as AdamW after one step and after several, ${path} path`, async () => {
    for (const length of lengths) {
      await checkAdam(path, length, 1, true);
      await checkAdam(path, length, 5, true);
    }
  });

  Deno.test(`adam() with DECOUPLED decays a value whose gradient is 0, ${path} path`, async () => {
    // m = 0, so value' = value (1 - lr wd) to three roundings: 1e-3 away from a step without decay.
    const values = f32([1, -2, .5, 4]);
    const { floats } = await runKernels({
      path,
      dispatches: [adamDispatch(4, 1)],
      buffers: {
        tally: goodTally,
        gradient_scale: 1,
        gradients: 4,
        mask: f32([1, 1, 1, 1]),
        first_moment: 4,
        second_moment: 4,
        values,
      },
      step: { learning_rate: adamOptions.learningRate, correction1: .1, correction2: .001, index: 0 },
    });
    const factor = 1 - adamOptions.learningRate * adamOptions.weightDecay;
    const want = [...values].map((value) => value * factor);
    assertClose(floats("values"), want, { tolerance: 3 * F32_ROUNDOFF * 4, name: `${path} decay alone` });
  });
}
