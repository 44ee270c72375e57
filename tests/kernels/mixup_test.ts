/**
 * Holds mixed images and the loss towards mixed labels against the f64 reference, with u = 2^-24. A mixed value is off by
 * three roundings of 1 - share, two products and their sum: 4 u of the larger value. The loss and gradient go in as the
 * reference has them, rounded; a loss is then off by that rounding, those of 1 - smoothing, 1 - share and their product,
 * a difference of logits, a product and a sum: 8 u of the sizes that enter; a gradient, whose terms are at most 1 / rows,
 * by a division more.
 */
import { assertThrows } from "@std/assert";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { ShapeError } from "../../src/errors.ts";
import { lowerMixedImages, lowerMixedLabels } from "../../src/plan/mixup.ts";
import { countQuads } from "../../src/shape.ts";
import { crossEntropy } from "../reference/cross_entropy.ts";
import { mixedCrossEntropy, mixedImages } from "../reference/mixup.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor } from "../reference/tensor.ts";
import { fromQuads, imagesFromQuads, imagesToQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, divisionRoundings } from "./precision.ts";

/** Shares in [0.5, 1], exact in f32, the last of them 1. */
function sharesOf(rows: number): Float32Array {
  const shares = Float32Array.from(randomTensor([rows], 9).values, (value) => .5 + Math.abs(value) / 2);
  shares[rows - 1] = 1;
  return shares;
}

async function checkImages(path: ReadPath, shape: readonly [number, number, number, number]): Promise<void> {
  const [rows, channels, height, width] = shape, x = randomTensor(shape, 1, 3), shares = sharesOf(rows);
  const { floats } = await runKernels({
    path,
    dispatches: [lowerMixedImages({ rows, quads: height * width * countQuads(channels) })],
    buffers: { "mix_shares": shares, x: imagesToQuads(x.values, shape) },
  });
  const name = `${path} ${shape.join(" x ")}`, tolerance = 4 * F32_ROUNDOFF * 3;
  assertClose(imagesFromQuads(floats("x"), shape), mixedImages(x, shares).values, { tolerance, name });
  assertPadding(floats("x"), channels, { name });
}

interface LossCase {
  readonly rows: number;
  readonly classes: number;
  readonly labelSmoothing: number;
}

async function checkLoss(path: ReadPath, { rows, classes, labelSmoothing }: LossCase): Promise<void> {
  const scale = 5, logits = randomTensor([rows, classes], 2, scale), shares = sharesOf(rows);
  // Some rows have their partner's label, and some labels of a row and its partner lie in one quad.
  const labels = Uint32Array.from({ length: rows }, (_, row) => (row * row + 3) % classes);
  const plain = crossEntropy(logits, labels, { labelSmoothing });
  const { floats } = await runKernels({
    path,
    dispatches: [
      lowerMixedLabels({
        rows,
        classes,
        logits: inputRef("logits"),
        dlogits: inputRef("dlogits"),
        labelSmoothing,
      }),
    ],
    buffers: {
      logits: toQuads(logits.values, rows, classes),
      labels,
      "mix_shares": shares,
      losses: Float32Array.from(plain.losses),
      dlogits: toQuads(plain.dlogits.values, rows, classes),
    },
  });
  const want = mixedCrossEntropy(logits, labels, { labelSmoothing, shares });
  const name = `${path} (${rows}, ${classes}), smoothing ${labelSmoothing}`;
  const largest = maxAbs(plain.losses) + maxAbs(want.losses) + 2 * scale;
  assertClose(floats("losses").subarray(0, rows), want.losses, {
    tolerance: 8 * F32_ROUNDOFF * largest,
    name,
  });
  const tolerance = (8 + divisionRoundings) * F32_ROUNDOFF / rows;
  assertClose(fromQuads(floats("dlogits"), rows, classes), want.dlogits.values, { tolerance, name });
  assertPadding(floats("dlogits"), classes, { name });
}

for (const path of readPaths) {
  Deno.test(`mix_images() mixes each image with its partner, ${path} path`, async () => {
    await checkImages(path, [2, 1, 1, 1]);
    await checkImages(path, [3, 3, 2, 5]);
    await checkImages(path, [7, 5, 3, 4]);
    await checkImages(path, [64, 3, 9, 7]);
  });

  Deno.test(`mixed_labels() follows both labels as the reference, ${path} path`, async () => {
    await checkLoss(path, { rows: 2, classes: 2, labelSmoothing: 0 });
    await checkLoss(path, { rows: 3, classes: 1, labelSmoothing: 0 });
    await checkLoss(path, { rows: 7, classes: 3, labelSmoothing: .125 });
    await checkLoss(path, { rows: 130, classes: 10, labelSmoothing: 0 });
    await checkLoss(path, { rows: 65, classes: 101, labelSmoothing: .5 });
  });
}

Deno.test("lowerMixedImages() refuses a batch that makes no pairs", () => {
  assertThrows(() => lowerMixedImages({ rows: 1, quads: 4 }), ShapeError, '"mixup": a batch of 1, expected');
});
