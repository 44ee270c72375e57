/**
 * Holds distillation against the f64 reference. Tolerances, with u = 2^-24, T the temperature and r the largest distance
 * of a logit from its row's largest: z / T is off by (1 + divisionRoundings) u r / T, which an exponential of it
 * inherits beside its own error, and a sum over K classes of exponentials, at least 1, by K times that. The logarithm
 * of the sum adds its own error. A share of the loss is a sum of K products of a probability and a distance of at most
 * 2 (r / T + log K), and so off by these errors and its roundings, times T^2 for the loss and T for the gradient.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { lowerDistillation } from "../../src/plan/distillation.ts";
import { countQuads } from "../../src/shape.ts";
import { crossEntropy } from "../reference/cross_entropy.ts";
import { distillationLoss } from "../reference/distillation.ts";
import {
  assertClose,
  F32_ROUNDOFF,
  randomTensor,
  type RefTensor,
  sumTolerance,
} from "../reference/tensor.ts";
import { fromQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, assertSame, divisionRoundings, expRoundings, logError } from "./precision.ts";

interface Case {
  readonly rows: number;
  readonly classes: number;
  readonly count: number;
  readonly share: number;
  readonly temperature: number;
  readonly scale: number;
}

const cases: readonly Case[] = [
  { rows: 1, classes: 1, count: 1, share: .5, temperature: 4, scale: 3 },
  { rows: 7, classes: 3, count: 7, share: 1, temperature: 1, scale: 5 },
  { rows: 130, classes: 10, count: 67, share: .75, temperature: 4, scale: 5 },
  { rows: 65, classes: 101, count: 65, share: .25, temperature: .5, scale: 5 },
  { rows: 5, classes: 4, count: 5, share: .5, temperature: 2, scale: 1e4 },
  { rows: 5, classes: 6, count: 5, share: 0, temperature: 2, scale: 5 },
];

/** What lies in the padding of logits must not matter. */
function paddedQuads({ shape: [rows, classes], values }: RefTensor): Float32Array {
  const width = 4 * countQuads(classes);
  return toQuads(values, rows, classes).map((value, i) => i % width < classes ? value : 1e30);
}

async function checkCase(
  path: ReadPath,
  { rows, classes, count, share, temperature, scale }: Case,
): Promise<void> {
  const logits = randomTensor([rows, classes], 1, scale), teacher = randomTensor([rows, classes], 2, scale);
  const labels = Uint32Array.from({ length: rows }, (_, row) => (7 * row + 3) % classes);
  const real = (tensor: RefTensor): RefTensor => ({
    shape: [count, classes],
    values: tensor.values.subarray(0, count * classes),
  });
  const hard = crossEntropy(real(logits), labels.subarray(0, count));
  const losses = new Float32Array(rows), dlogits = new Float64Array(rows * classes);
  losses.set(hard.losses);
  dlogits.set(hard.dlogits.values);
  const { floats } = await runKernels({
    path,
    dispatches: [
      lowerDistillation({ share, temperature }, {
        rows,
        classes,
        logits: inputRef("logits"),
        dlogits: inputRef("dlogits"),
      }),
    ],
    buffers: {
      logits: paddedQuads(logits),
      teacher_logits: paddedQuads(teacher),
      losses,
      dlogits: toQuads(dlogits, rows, classes),
    },
    step: { count },
  });
  const want = distillationLoss(real(logits), real(teacher), {
    labels: labels.subarray(0, count),
    share,
    temperature,
  });
  const range = 2 * scale / temperature, distance = 2 * (range + Math.log(classes));
  const argument = (1 + divisionRoundings) * F32_ROUNDOFF * range;
  // An exponential of -x is largest times its error at small x: expRoundings(x) exp(-x) is at most expRoundings(0).
  const exponential = Math.min(argument, (1 + divisionRoundings) * F32_ROUNDOFF) +
    expRoundings(0) * F32_ROUNDOFF;
  const sum = Math.min(classes * exponential, expRoundings(range) * F32_ROUNDOFF + argument) +
    sumTolerance(classes, 1);
  const term = 2 * argument + 2 * logError(classes) + 2 * sum + 4 * F32_ROUNDOFF * distance;
  const divergence = term + (2 * sum + exponential * classes + sumTolerance(classes + 4, 1)) * distance;
  const hardLoss = Math.max(...hard.losses);
  const lossTolerance = share * temperature ** 2 * divergence +
    4 * F32_ROUNDOFF * (hardLoss + Math.max(...want.losses));
  const gradientTolerance =
    (share * temperature * 2 * (sum + exponential + 8 * F32_ROUNDOFF) + 4 * F32_ROUNDOFF) / count;
  const name = `${path} (${rows}, ${classes}), ${count} real, share ${share}, temperature ${temperature}`;
  const gotLosses = floats("losses").subarray(0, rows);
  assertClose(gotLosses.subarray(0, count), want.losses, { tolerance: lossTolerance, name });
  assertSame(gotLosses.subarray(count), new Float32Array(rows - count), `${name}: losses of padding rows`);
  const gradients = fromQuads(floats("dlogits"), rows, classes);
  assertClose(gradients.subarray(0, count * classes), want.dlogits.values, {
    tolerance: gradientTolerance,
    name,
  });
  const rest = gradients.subarray(count * classes);
  assertSame(rest, new Float32Array(rest.length), `${name}: gradients of padding rows`);
  assertPadding(floats("dlogits"), classes, { name });
}

for (const path of readPaths) {
  Deno.test(`distillation() mixes loss and gradient as the reference, ${path} path`, async () => {
    for (const one of cases) await checkCase(path, one);
  });
}
