/**
 * Holds the guards against what is not finite: numbers are given by their words, NaN of both kinds and signs and both
 * infinities, and a guard must see them whatever the adapter makes of them in comparisons and arithmetic.
 */
import assert from "node:assert/strict";
import { inputRef, inputRefs, tensorRef } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { lowerDistillation } from "../../src/plan/distillation.ts";
import { lowerFeatureLoss, teacherFeatures } from "../../src/plan/features.ts";
import { lowerMixedLabels } from "../../src/plan/mixup.ts";
import {
  adam,
  lowerOptimizer,
  lowerRunningMean,
  lowerRunningVariance,
  sgd,
} from "../../src/plan/optimizer.ts";
import { wholeWindow } from "../../src/plan/windows.ts";
import { readPaths, runKernels, toQuads } from "./harness.ts";
import { assertSame, inputs, isFiniteWord, notFiniteWords, numbers, withWords } from "./precision.ts";

const noBadStep = 0xffffffff, largestFloat = 3.4028234663852886e38;
const goodTally = Uint32Array.of(0, 0, 0, noBadStep);
const infinity = 0x7f800000;

/** What is found in parts of 131 quads, between other quads that are not looked at. */
async function findIn(path: ReadPath, arrays: readonly Float32Array[], NOT_NEGATIVE = 0): Promise<number[]> {
  const { integers } = await runKernels({
    path,
    dispatches: arrays.map(({ length }, part) =>
      dispatchOver(length / 4 - 2, {
        kernel: "check/finite",
        label: "check",
        bindings: inputRefs({ numbers: `numbers${part}`, found: "found" }),
        params: { quads: length / 4 - 2, offset: 1, part },
        constants: { NOT_NEGATIVE },
      })
    ),
    buffers: {
      ...Object.fromEntries(arrays.map((array, part) => [`numbers${part}`, array])),
      found: arrays.length,
    },
  });
  return [...integers("found").subarray(0, arrays.length)];
}

const rows = 5, classes = 6, badRow = 2;

/** The words of the losses of some rows after dispatches on logits, one of which may be replaced. */
async function lossesOf(path: ReadPath, dispatches: readonly Dispatch[], given: {
  readonly logits?: Readonly<Record<number, number>>;
  readonly teacher?: Readonly<Record<number, number>>;
  readonly losses?: Readonly<Record<number, number>>;
  readonly features?: Readonly<Record<number, number>>;
  readonly count?: number;
}): Promise<number[]> {
  const { integers } = await runKernels({
    path,
    dispatches,
    buffers: {
      logits: withWords(toQuads(numbers(rows * classes), rows, classes), given.logits ?? {}),
      teacher_logits: withWords(toQuads(numbers(rows * classes, 2), rows, classes), given.teacher ?? {}),
      losses: withWords(numbers(rows, 3), given.losses ?? {}),
      labels: Uint32Array.from({ length: rows }, (_, row) => row),
      mix_shares: new Float32Array(rows).fill(.5),
      predictions: rows,
      dlogits: 8 * rows,
      features: withWords(numbers(4 * rows, 4), given.features ?? {}),
      [teacherFeatures(0)]: numbers(4 * rows, 5),
      distances: 8,
      squares: 8,
      slope: 4,
    },
    step: { count: given.count ?? rows },
  });
  return [...integers("losses").subarray(0, rows)];
}

const tensors = { rows, classes, logits: inputRef("logits"), dlogits: inputRef("dlogits") };

const lossDispatches = {
  crossEntropy: dispatchOver(rows, {
    kernel: "loss/softmax_cross_entropy",
    label: "loss",
    bindings: inputs("logits", "labels", "losses", "predictions", "dlogits"),
    params: { rows, quads: 2, classes, smoothing: 0 },
  }),
  distillation: lowerDistillation({ share: 1, temperature: 2 }, tensors),
  mixed: lowerMixedLabels({ ...tensors, labelSmoothing: 0 }),
  features: lowerFeatureLoss(.5, {
    map: 0,
    rows,
    quads: 1,
    features: inputRef("features"),
    declare: (name) => inputRef(["distances", "slope", "squares"].find((part) => name.includes(part))!),
  }),
};

/** Places in the row of quads that a logit or a loss is replaced at: every lane, not those of padding. */
const logitPlaces = [0, 1, 2, 3, 4, 5].map((column) => 8 * badRow + column);

/** One step of an optimizer over two quads, and what it notes. */
async function noteOf(
  path: ReadPath,
  settings: Parameters<typeof lowerOptimizer>[0],
  words: {
    readonly gradients?: Readonly<Record<number, number>>;
    readonly values?: Readonly<Record<number, number>>;
  },
  { gradients = numbers(8, 2), weightQuads = 2 }: {
    readonly gradients?: Float32Array;
    /** Quads that decay; a value reaches no moment without. */
    readonly weightQuads?: number;
  } = {},
) {
  const { integers, floats } = await runKernels({
    path,
    dispatches: lowerOptimizer(settings, { windows: [wholeWindow(2, weightQuads)] }, { declare: tensorRef }),
    buffers: {
      "gradient scale": 4,
      "gradient squares": 256,
      tally: goodTally,
      gradients: withWords(gradients, words.gradients ?? {}),
      values: withWords(numbers(8), words.values ?? {}),
      mask: new Float32Array(8).fill(1),
      velocity: 8,
      second_moment: 8,
    },
    step: { learning_rate: .1, correction1: .1, correction2: .001, index: 4 },
  });
  return { noted: integers("tally")[3], values: floats("values") };
}

/**
 * The running mean and variance of two quads after an update by these kernels, and what the tally notes. The batch is one
 * chunk of one row, so that it is the mean and the variance; the variance times 1.5 counts.
 */
async function runningAfter(path: ReadPath, { kernel, share, old, batch }: {
  readonly kernel: "running" | "cumulative";
  readonly share: number;
  readonly old: Float32Array;
  readonly batch: Float32Array;
}) {
  const isRunning = kernel === "running";
  const { floats, integers } = await runKernels({
    path,
    dispatches: [dispatchOver(2, {
      kernel: `reduce/merge_moments:reduce/${kernel}_statistics`,
      label: "running",
      bindings: inputs("moments", "mean", "variance", "running", ...isRunning ? ["tally"] : []),
      params: {
        ...{ rows: 1, quads: 2, chunks: 1, chunk_rows: 1, lanes: 1, correction: 1.5 },
        ...{ running_mean: 0, running_variance: 2, ...isRunning ? { momentum: share } : {} },
      },
    })],
    buffers: {
      moments: Float32Array.of(...batch, ...batch),
      mean: 8,
      variance: 8,
      running: Float32Array.of(...old, ...old),
      tally: goodTally,
    },
    step: { batch_weight: share, index: 4 },
  });
  const running = floats("running");
  return { mean: running.subarray(0, 8), variance: running.subarray(8), noted: integers("tally")[3] };
}

for (const path of readPaths) {
  Deno.test(`check/finite finds every word that is not finite, in any lane of its quads, ${path} path`, async () => {
    const length = 4 * 133, inside = [4, 9, 66 * 4 + 2, 131 * 4 + 3];
    const bad = notFiniteWords.flatMap((word) =>
      inside.map((place) => withWords(numbers(length), { [place]: word }))
    );
    assertSame(await findIn(path, bad), bad.map(() => 1), "found");
    const outside = notFiniteWords.map((word) => withWords(numbers(length), { 3: word, [4 * 132]: word }));
    const extremes = [largestFloat, -largestFloat, 2 ** -149, -0];
    const good = [...outside, Float32Array.of(0, 0, 0, 0, ...extremes, 0, 0, 0, 0)];
    assertSame(await findIn(path, good), good.map(() => 0), "not found");
    const signs = [[1, -(2 ** -149)], [1, -1], [-0, 0], [2, NaN]].map((pair) =>
      Float32Array.of(0, 0, 0, 0, ...pair, 0, 0, 0, 0, 0, 0)
    );
    assertSame(await findIn(path, signs), [0, 0, 0, 1], "any sign");
    assertSame(await findIn(path, signs, 1), [1, 1, 0, 1], "not below zero");
  });

  Deno.test(`softmax_cross_entropy() and distillation() mark the row of a logit that is not finite, ${path} path`, async () => {
    const { crossEntropy, distillation } = lossDispatches;
    const marked = Array.from({ length: rows }, (_, row) => row !== badRow);
    for (const [i, place] of logitPlaces.entries()) {
      for (const word of [notFiniteWords[i], 0xff800000]) {
        const logits = { [place]: word }, name = `${word.toString(16)} at ${place}`;
        assert.deepEqual((await lossesOf(path, [crossEntropy], { logits })).map(isFiniteWord), marked, name);
        for (const given of [{ logits }, { teacher: logits }, { losses: { [badRow]: word } }]) {
          assert.deepEqual((await lossesOf(path, [distillation], given)).map(isFiniteWord), marked, name);
        }
      }
    }
    const beside = { 6: infinity, 7: 0x7fc00000, [8 * (rows - 1)]: infinity };
    for (const dispatch of [crossEntropy, distillation]) {
      const got = await lossesOf(path, [dispatch], { logits: beside, teacher: beside, count: rows - 1 });
      assert(got.every(isFiniteWord), "padding does not count");
    }
  });

  Deno.test(`mixed_labels() and feature_loss() keep the mark of a loss, and give their own, ${path} path`, async () => {
    const marked = Array.from({ length: rows }, (_, row) => row !== badRow);
    for (const word of notFiniteWords) {
      const losses = { [badRow]: word };
      // The middle row is its own partner, and keeps its loss untouched.
      assert.deepEqual(
        (await lossesOf(path, [lossDispatches.mixed], { losses: { 1: word } })).map(isFiniteWord),
        [true, false, true, true, true],
      );
      assert.deepEqual((await lossesOf(path, lossDispatches.features, { losses })).map(isFiniteWord), marked);
    }
    const huge = await lossesOf(path, lossDispatches.features, { features: { [4 * badRow]: 0x7f000000 } });
    assert.deepEqual(huge.map(isFiniteWord), marked, "a distance that overflows");
  });

  Deno.test(`tally() notes a row that is not finite, and a sum that becomes so, ${path} path`, async () => {
    const run = async (losses: Float32Array, lossSum = 0) => {
      const tally = Uint32Array.of(0, 0, 0, noBadStep);
      new Float32Array(tally.buffer)[0] = lossSum;
      const { integers } = await runKernels({
        path,
        dispatches: [dispatchOver(1, {
          kernel: "loss/tally",
          label: "tally",
          bindings: { ...inputs("losses", "labels", "tally"), predictions: inputRef("zeros") },
          params: { rows: losses.length },
        })],
        buffers: { losses, zeros: losses.length, labels: losses.length, tally },
        step: { count: losses.length, index: 7 },
      });
      return integers("tally")[3];
    };
    for (const word of notFiniteWords) {
      for (const row of [0, 77, 99]) assert.equal(await run(withWords(numbers(100), { [row]: word })), 14);
    }
    assert.equal(await run(numbers(100), 3e38), noBadStep);
    assert.equal(await run(Float32Array.of(2e38), 3e38), 14, "the sum over steps overflows");
  });

  Deno.test(`optimizers note gradients, values and moments that are not finite, ${path} path`, async () => {
    for (const settings of [sgd(), adam(), sgd({ clipValue: 1 }), adam({ clipValue: 1 })]) {
      assert.equal((await noteOf(path, settings, {})).noted, noBadStep);
      for (const [place, word] of notFiniteWords.entries()) {
        const spared = { ...settings, decayBias: false };
        const values = await noteOf(path, spared, { values: { [place]: word } }, { weightQuads: 0 });
        assert.equal(values.noted, 9, `${settings.kind} value ${word.toString(16)}`);
        // Clipping by value makes an infinite gradient a finite one, as in PyTorch.
        const isClipped = settings.clipValue !== undefined && (word & 0x7fffffff) === infinity;
        const { noted } = await noteOf(path, settings, { gradients: { [place]: word } });
        assert.equal(noted, isClipped ? noBadStep : 9, `${settings.kind} gradient ${word.toString(16)}`);
      }
    }
    const large = new Float32Array(8).fill(1e21);
    assert.equal(
      (await noteOf(path, adam(), {}, { gradients: large })).noted,
      9,
      "the square of a gradient overflows",
    );
  });

  Deno.test(`running_statistics() and cumulative_statistics() let nothing in that has no share, ${path} path`, async () => {
    const good = numbers(8), scaled = good.map((value) => value * 1.5);
    for (const [place, word] of notFiniteWords.entries()) {
      const bad = withWords(numbers(8, 2), { [place]: word });
      for (const kernel of ["running", "cumulative"] as const) {
        const { mean, variance, noted } = await runningAfter(path, {
          kernel,
          share: 1,
          old: bad,
          batch: good,
        });
        assertSame(mean, good, `${kernel} mean forgets ${word.toString(16)}`);
        assertSame(variance, scaled, `${kernel} variance forgets ${word.toString(16)}`);
        assert.equal(noted, noBadStep);
      }
      const frozen = await runningAfter(path, { kernel: "running", share: 0, old: good, batch: bad });
      for (const running of [frozen.mean, frozen.variance]) assertSame(running, good, "momentum 0");
      assert.equal(frozen.noted, noBadStep);
      for (const [old, batch] of [[good, bad], [bad, good]]) {
        assert.equal((await runningAfter(path, { kernel: "running", share: .5, old, batch })).noted, 9);
      }
    }
    const large = new Float32Array(8).fill(largestFloat);
    const overflow = await runningAfter(path, { kernel: "running", share: .5, old: good, batch: large });
    assert.equal(overflow.noted, 9, "the correction overflows");
  });

  Deno.test(`running_mean() and running_variance() start anew with weight 1, ${path} path`, async () => {
    const two = { windows: [wholeWindow(2, 2)] };
    for (const [place, word] of notFiniteWords.entries()) {
      const bad = withWords(numbers(8, 2), { [place]: word });
      const { floats } = await runKernels({
        path,
        dispatches: [...lowerRunningVariance(two), ...lowerRunningMean(two)],
        buffers: { tally: goodTally, values: numbers(8), mean: bad, variance: bad },
        step: { mean_weight: 1 },
      });
      assertSame(floats("mean"), numbers(8), `mean after ${word.toString(16)}`);
      assertSame(floats("variance"), new Float32Array(8), `variance after ${word.toString(16)}`);
    }
  });

  Deno.test(`accumulate() notes gradients and sums that are not finite, ${path} path`, async () => {
    const run = async (gradients: Float32Array, fisher: Float32Array = numbers(8, 2)) => {
      const names = ["gradients", "fisher", "gradient_mean", "tally"];
      const { integers } = await runKernels({
        path,
        dispatches: [dispatchOver(2, {
          kernel: "score/accumulate",
          label: "accumulate",
          bindings: inputs(...names),
          params: { quads: 2 },
        })],
        buffers: { gradients, fisher, gradient_mean: 8, tally: goodTally },
        step: { fisher_weight: 16, gradient_weight: 1, index: 4 },
      });
      return integers("tally")[3];
    };
    assert.equal(await run(numbers(8)), noBadStep);
    for (const [place, word] of notFiniteWords.entries()) {
      assert.equal(await run(withWords(numbers(8), { [place]: word })), 9);
      assert.equal(await run(numbers(8), withWords(numbers(8), { [place]: word })), 9);
    }
    assert.equal(await run(new Float32Array(8).fill(1e20)), 9, "the square of a gradient overflows");
  });
}
