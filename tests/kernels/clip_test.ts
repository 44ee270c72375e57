/**
 * Holds L1, decay of a part, clipping and gradient accumulation against the f64 reference.
 *
 * Tolerances, with u = 2^-24: a sum of n squares is off by sumTolerance(n + 2) of itself, its root by half of that and
 * sqrtRoundings u, and the scale by that and a division. A stepped value meets 8 roundings of values of at most 2.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { adam, lowerOptimizer, type OptimizerSettings, sgd } from "../../src/plan/optimizer.ts";
import type { ArenaWindow } from "../../src/plan/windows.ts";
import {
  adamStep,
  adamwStep,
  addL1,
  clipGradientNorm,
  clipGradientValue,
  createAdamState,
  createSgdState,
  sgdStep,
} from "../reference/optimizers.ts";
import { assertClose, F32_ROUNDOFF, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { divisionRoundings, sqrtRoundings } from "./precision.ts";

const f32 = (values: ArrayLike<number>) => Float32Array.from(values);
const goodTally = Uint32Array.of(0, 0, 0, 0xffffffff);
const noBadStep = 0xffffffff;

/** Quads in all and those of weights: one, a part of a row of 64, several chunks of rows; then in three windows. */
const sizes: readonly (readonly [number, number, ...number[]])[] = [
  [1, 1],
  [67, 30],
  [2500, 1111],
  [2500, 1111, 800, 1600],
];

/** Arenas cut at some quads. */
function windowsOf(quads: number, weightQuads: number, cuts: readonly number[]): readonly ArenaWindow[] {
  const edges = [0, ...cuts, quads];
  return edges.slice(1).map((end, i) => {
    const first = edges[i], own = end - first;
    const weights = Math.max(0, Math.min(own, weightQuads - first));
    return { first, quads: own, weightQuads: weights, isWhole: cuts.length === 0 };
  });
}

/** Runs the dispatches of one optimizer step, and returns the buffers after it. */
async function runStep(
  path: ReadPath,
  settings: OptimizerSettings,
  { quads, weightQuads, cuts = [], values, gradients, mask }: {
    readonly quads: number;
    readonly weightQuads: number;
    readonly cuts?: readonly number[];
    readonly values: ArrayLike<number>;
    readonly gradients: ArrayLike<number>;
    readonly mask: ArrayLike<number>;
  },
) {
  const tensors: Record<string, number> = {};
  const declare = (name: string, size: number) => {
    tensors[name] = 4 * size;
    return inputRef(name);
  };
  const dispatches = lowerOptimizer(settings, { windows: windowsOf(quads, weightQuads, cuts) }, { declare });
  const { floats, integers } = await runKernels({
    path,
    dispatches,
    buffers: {
      ...tensors,
      tally: goodTally,
      gradients: f32(gradients),
      mask: f32(mask),
      velocity: 4 * quads,
      second_moment: 4 * quads,
      values: f32(values),
    },
    step: { learning_rate: learningRate, correction1: 1 - .9, correction2: 1 - .999, index: 4 },
  });
  return { values: floats("values"), badStep: integers("tally")[3] };
}

const learningRate = Math.fround(.1);

function operandsOf(quads: number) {
  const length = 4 * quads;
  const values = randomTensor([length], 3).values;
  // L1 must leave a value of 0 alone.
  values[0] = 0;
  const gradients = randomTensor([length], 4).values.map((g) => Math.fround(g + (g < 0 ? -.5 : .5)));
  return { values, gradients, mask: Float64Array.from(values, (_, i) => i % 3 === 1 ? 0 : 1) };
}

const momentum = Math.fround(.9), weightDecay = Math.fround(.05), l1 = Math.fround(.02);

const settingsOf: Readonly<Record<string, (more: Partial<OptimizerSettings>) => OptimizerSettings>> = {
  sgd: (more) => ({ ...sgd({ momentum: 0, weightDecay }), ...more }) as OptimizerSettings,
  nesterov: (more) => ({ ...sgd({ momentum, nesterov: true, weightDecay }), ...more }) as OptimizerSettings,
  adam: (more) => ({ ...adam({ weightDecay }), ...more }) as OptimizerSettings,
  adamw: (more) => ({ ...adam({ kind: "adamw", weightDecay }), ...more }) as OptimizerSettings,
};

const isSgd = (name: string) => name === "sgd" || name === "nesterov";

/** One step of the reference on one group of parameters, whose gradients are clipped already. */
function referenceStep(name: string, values: Float64Array, gradients: Float64Array, decay: number): void {
  const options = { learningRate, weightDecay: decay };
  const looksAhead = name === "nesterov" ? { momentum, nesterov: true } : {};
  if (isSgd(name)) {
    return sgdStep(values, gradients, createSgdState(values.length), { ...options, ...looksAhead });
  }
  const state = createAdamState(values.length);
  if (name === "adam") adamStep(values, gradients, state, options);
  else adamwStep(values, gradients, state, options);
}

/** The step of the reference: weights and the rest are two groups, as param_groups are in PyTorch. */
function wantedOf(
  name: string,
  settings: OptimizerSettings,
  quads: number,
  weightQuads: number,
): Float64Array {
  const { values, gradients, mask } = operandsOf(quads);
  const { decayBias = true, clipNorm, clipValue } = settings;
  const decayed = 4 * (decayBias ? quads : weightQuads);
  const want = values.map((value, i) => value * mask[i]);
  let full: Float64Array = addL1(gradients, values, settings.l1 ?? 0).map((g, i) =>
    (i < decayed ? g : gradients[i]) * mask[i]
  );
  if (clipNorm !== undefined) full = clipGradientNorm(full, clipNorm);
  if (clipValue !== undefined) full = clipGradientValue(full, clipValue);
  const weights = want.slice(0, decayed), others = want.slice(decayed);
  referenceStep(name, weights, full.slice(0, decayed), weightDecay);
  referenceStep(name, others, full.slice(decayed), 0);
  return Float64Array.from([...weights, ...others], (value, i) => value * mask[i]);
}

for (const path of readPaths) {
  for (const name of Object.keys(settingsOf)) {
    Deno.test(`${name}() spares biases, adds L1 and clips by norm and value as the reference, ${path} path`, async () => {
      const cases: readonly Partial<OptimizerSettings>[] = [
        { l1 },
        { decayBias: false },
        { l1, decayBias: false, clipNorm: .5 },
        { l1, clipNorm: 1e6 },
        { clipValue: .75 },
        // The norm comes first: values first, none would be left to scale, or all.
        { clipNorm: 5, clipValue: .3 },
      ];
      for (const [quads, weightQuads, ...cuts] of sizes) {
        for (const more of cases) {
          const settings = settingsOf[name](more);
          const operands = operandsOf(quads);
          const got = await runStep(path, settings, { quads, weightQuads, cuts, ...operands });
          const want = wantedOf(name, settings, quads, weightQuads);
          const scaleError = sumTolerance(4 * quads + 2, 1) / 2 +
            (sqrtRoundings + divisionRoundings + 3) * F32_ROUNDOFF;
          // Adam's step is the sign of a gradient at first, SGD's at most twice the gradient of at most 1.6; Adam's decay may make
          // gradients small beside what was added, by which their error grows: |g| >= .4 / norm of at most 1e2.
          const roundings = 40 * F32_ROUNDOFF * 2;
          const tolerance = roundings +
            learningRate * 1.6 * (scaleError + roundings) * (isSgd(name) ? 2 : 100);
          assertClose(got.values, want, {
            tolerance,
            name: `${path} ${name} ${quads} ${JSON.stringify(more)}`,
          });
          assert.equal(got.badStep, noBadStep);
        }
      }
    });
  }

  Deno.test(`gradient_norm() and clip_norm() leave short gradients alone, bit for bit, ${path} path`, async () => {
    const operands = operandsOf(67), size = { quads: 67, weightQuads: 30, ...operands };
    const plain = await runStep(path, sgd(), size),
      clipped = await runStep(path, sgd({ clipNorm: 1e3 }), size);
    assert.deepEqual(clipped.values, plain.values);
  });

  Deno.test(`clip_norm() notes a norm that is not finite, and nothing moves, ${path} path`, async () => {
    for (const bad of [NaN, Infinity, 1e30]) {
      const operands = operandsOf(67);
      operands.gradients[200] = bad;
      const size = { quads: 67, weightQuads: 30, ...operands };
      const { values, badStep } = await runStep(path, sgd({ clipNorm: 1 }), size);
      assert.equal(badStep, 8, `${bad}`);
      assert.deepEqual(values, f32(operands.values));
    }
  });

  Deno.test(`sgd() clips infinite gradients by value, and notes NaN, ${path} path`, async () => {
    const operands = operandsOf(2), clipped = operandsOf(2);
    const size = { quads: 2, weightQuads: 2 };
    operands.gradients[5] = Infinity;
    clipped.gradients[5] = 1;
    const infinite = await runStep(path, sgd({ clipValue: 1 }), { ...size, ...operands });
    assert.deepEqual(infinite, await runStep(path, sgd({ clipValue: 1 }), { ...size, ...clipped }));
    assert.equal(infinite.badStep, noBadStep);
    // What clipping makes of NaN is open, so that only the note tells.
    operands.gradients[3] = NaN;
    const { badStep } = await runStep(path, sgd({ clipValue: 1 }), { ...size, ...operands });
    assert.equal(badStep, 9);
  });

  Deno.test(`accumulate_gradients() is the mean of the batches, whatever was there, ${path} path`, async () => {
    for (const quads of [1, 67]) {
      const batches = [1, 2, 3].map((seed) => randomTensor([4 * quads], seed).values);
      let sum: Float32Array = new Float32Array(4 * quads).fill(NaN);
      for (const [i, gradients] of batches.entries()) {
        const { floats } = await runKernels({
          path,
          dispatches: [dispatchOver(quads, {
            kernel: "optimizer/accumulate_gradients",
            label: "accumulate",
            bindings: { gradients: inputRef("gradients"), gradient_sum: inputRef("sum") },
            params: { quads, share: 1 / batches.length },
          })],
          buffers: { gradients: f32(gradients), sum },
          step: { is_first: i === 0 ? 1 : 0 },
        });
        sum = floats("sum");
      }
      const want = batches[0].map((_, i) => batches.reduce((total, batch) => total + batch[i], 0) / 3);
      assertClose(sum, want, { tolerance: 2 * sumTolerance(3, 1), name: `${path} ${quads} quads` });
    }
  });
}
