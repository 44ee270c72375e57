/**
 * Holds the loss against the f64 reference. Tolerances, with u = 2^-24, K classes and r the largest distance of a
 * logit from its row's largest: exp(-x) is off by (6 + 4 x) u exp(-x) <= 6 u and its argument's rounding by at most
 * 0.4 u, so the sum of exponentials, which is at least 1, by `sumError`; a loss by that, the logarithm's error and the
 * roundings of the sum over K distances; a gradient by that and 20 roundings of terms of at most 1.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { countQuads } from "../../src/shape.ts";
import { crossEntropy } from "../reference/cross_entropy.ts";
import {
  assertClose,
  F32_ROUNDOFF,
  randomTensor,
  type RefTensor,
  sumTolerance,
} from "../reference/tensor.ts";
import { fromQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, assertSame, logError, unwritten } from "./precision.ts";

/** A batch whose first `count` rows are real. */
interface Batch {
  readonly logits: RefTensor;
  readonly labels: Uint32Array;
  readonly count: number;
  readonly smoothing: number;
}

function batchOf(rows: number, classes: number, { count = rows, smoothing = 0, scale = 5 } = {}): Batch {
  const labels = Uint32Array.from({ length: rows }, (_, row) => (7 * row + 3) % classes);
  return { logits: randomTensor([rows, classes], classes, scale), labels, count, smoothing };
}

async function runLoss(path: ReadPath, { logits, labels, count, smoothing }: Batch, GRADIENT = 1) {
  const [rows, classes] = logits.shape;
  const quads = countQuads(classes);
  // What lies in the padding of the logits must not matter.
  const padded = toQuads(logits.values, rows, classes).map((value, i) =>
    i % (4 * quads) < classes ? value : 1e30
  );
  const { floats, integers } = await runKernels({
    path,
    dispatches: [
      dispatchOver(rows, {
        kernel: "loss/softmax_cross_entropy",
        label: "loss",
        bindings: {
          logits: inputRef("logits"),
          labels: inputRef("labels"),
          losses: inputRef("losses"),
          predictions: inputRef("predictions"),
          dlogits: inputRef("dlogits"),
        },
        params: { rows, quads, classes, smoothing },
        constants: { GRADIENT },
      }),
    ],
    buffers: {
      logits: padded,
      labels,
      losses: unwritten(rows),
      predictions: unwritten(rows),
      dlogits: unwritten(4 * rows * quads),
    },
    step: { count },
  });
  return {
    losses: floats("losses").subarray(0, rows),
    predictions: integers("predictions").subarray(0, rows),
    dlogits: floats("dlogits"),
  };
}

/** The reference's loss of the real rows, and tolerances. */
function wantedOf({ logits, labels, count, smoothing }: Batch) {
  const [, classes] = logits.shape;
  const real = { shape: [count, classes], values: logits.values.subarray(0, count * classes) };
  const { losses, dlogits } = crossEntropy(real, labels.subarray(0, count), { labelSmoothing: smoothing });
  let range = 0;
  for (let row = 0; row < count; row++) {
    const z = real.values.subarray(row * classes, (row + 1) * classes);
    range = Math.max(range, Math.max(...z) - Math.min(...z));
  }
  const sumError = Math.min(6.4 * classes, 7 + 4 * range) * F32_ROUNDOFF + sumTolerance(classes, 1);
  return {
    losses,
    dlogits: dlogits.values,
    lossTolerance: sumError + logError(classes) + sumTolerance(classes + 12, range + Math.log(classes)),
    gradientTolerance: (sumError + 20 * F32_ROUNDOFF) / count,
  };
}

/** The first class of the largest logit, by row. */
function argmaxOf({ shape: [rows, classes], values }: RefTensor): number[] {
  return Array.from({ length: rows }, (_, row) => {
    const z = values.subarray(row * classes, (row + 1) * classes);
    return z.indexOf(Math.max(...z));
  });
}

async function checkLoss(path: ReadPath, batch: Batch): Promise<void> {
  const [rows, classes] = batch.logits.shape;
  const { losses, predictions, dlogits } = await runLoss(path, batch);
  const want = wantedOf(batch);
  const name = `${path} (${rows}, ${classes}), ${batch.count} real, smoothing ${batch.smoothing}`;
  const { count } = batch;
  assertClose(losses.subarray(0, count), want.losses, { tolerance: want.lossTolerance, name });
  assertSame(losses.subarray(count), new Float32Array(rows - count), `${name}: losses of padding rows`);
  const gradients = fromQuads(dlogits, rows, classes);
  const real = gradients.subarray(0, count * classes);
  assertClose(real, want.dlogits, { tolerance: want.gradientTolerance, name });
  const rest = gradients.subarray(count * classes);
  assertSame(rest, new Float32Array(rest.length), `${name}: gradients of padding rows`);
  assertPadding(dlogits, classes, { name });
  assertSame(predictions, argmaxOf(batch.logits), `${name}: predictions`);
}

for (const path of readPaths) {
  Deno.test(`softmax_cross_entropy() agrees with the reference, ${path} path`, async () => {
    await checkLoss(path, batchOf(1, 2));
    await checkLoss(path, batchOf(7, 3, { smoothing: Math.fround(.1) }));
    await checkLoss(path, batchOf(130, 10, { count: 67, smoothing: Math.fround(.05) }));
    await checkLoss(path, batchOf(65, 100, { count: 64 }));
    await checkLoss(path, batchOf(9, 5));
    await checkLoss(path, batchOf(3, 1));
  });

  Deno.test(`softmax_cross_entropy() predicts the first of equal logits, ${path} path`, async () => {
    const logits = randomTensor([4, 10], 1);
    logits.values.fill(0, 0, 10);
    logits.values.fill(2, 13, 16);
    logits.values[26] = logits.values[29] = 3;
    const batch = { ...batchOf(4, 10), logits };
    assertSame(argmaxOf(logits).slice(0, 3), [0, 3, 6], "the case");
    await checkLoss(path, batch);
  });

  Deno.test(`softmax_cross_entropy() stays finite at logits of 1e4, ${path} path`, async () => {
    for (const smoothing of [0, .125]) {
      const batch = batchOf(33, 10, { smoothing });
      batch.logits.values.forEach((value, i) => batch.logits.values[i] = value < 0 ? -1e4 : 1e4);
      await checkLoss(path, batch);
      await checkLoss(path, batchOf(33, 10, { smoothing, scale: 1e4 }));
    }
  });

  Deno.test(`softmax_cross_entropy() without GRADIENT leaves dlogits alone, ${path} path`, async () => {
    const batch = batchOf(5, 10);
    const { losses, predictions, dlogits } = await runLoss(path, batch, 0);
    const want = wantedOf(batch);
    assertClose(losses, want.losses, { tolerance: want.lossTolerance, name: `${path} losses` });
    assertSame(predictions, argmaxOf(batch.logits), `${path} predictions`);
    if (!dlogits.every(Number.isNaN)) throw new Error("dlogits were written");
  });
}
