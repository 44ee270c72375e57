/**
 * Random layers to refit, on a device and by the f64 reference, and how far apart the two may be.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/device.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import type { RefitGeometry } from "../../src/prune/refit/geometry.ts";
import { type LayerSolution, RefitLayer } from "../../src/prune/refit/refit_layer.ts";
import { countQuads } from "../../src/shape.ts";
import { imagesFromQuads, imagesToQuads } from "../kernels/harness.ts";
import {
  addSkip,
  blockCondition,
  channelRows,
  meansOf,
  patchRows,
  refitRows,
  type RefRow,
  type RefWindow,
  windowOutput,
} from "../reference/refit.ts";
import { F32_ROUNDOFF, maxAbs, randomTensor, type RefTensor, sumTolerance } from "../reference/tensor.ts";

/** A layer with random examples. */
export interface RefitCase extends RefWindow {
  /** N, C, H, W. */
  readonly x: readonly [number, number, number, number];
  readonly outputs: number;
  /** Samples of a batch on the device, and parts in which the examples are given. */
  readonly samples: number;
  readonly parts: number;
  readonly damping: number;
  readonly skip?: boolean;
  readonly scratchBytes?: number;
}

const once = { stride: [1, 1], padding: [0, 0], dilation: [1, 1] } as const;
const usual = { samples: 64, parts: 2, damping: 3e-3 } as const;

/** Odd sizes and one, channels around quads, every axis on its own, several panels, batches, blocks; linear layers. */
export const refitCases: readonly RefitCase[] = [
  { ...usual, ...once, x: [1, 1, 1, 1], outputs: 1, kernel: [1, 1], parts: 1 },
  { ...usual, ...once, x: [5, 5, 7, 6], outputs: 7, kernel: [3, 3], padding: [1, 1] },
  // So much damping that the pull towards the dense weights shows.
  {
    ...usual,
    damping: 0.3,
    x: [9, 3, 9, 8],
    outputs: 5,
    kernel: [3, 2],
    stride: [2, 1],
    padding: [2, 0],
    dilation: [1, 3],
  },
  {
    ...{ ...usual, ...once, x: [6, 3, 7, 6], outputs: 5, kernel: [3, 3], stride: [2, 1] },
    ...{ padding: [0, 1], paddingAfter: [1, 0] },
  },
  { ...usual, ...once, x: [4, 9, 8, 8], outputs: 9, kernel: [3, 3], samples: 500, skip: true },
  { ...usual, ...once, x: [90, 6, 1, 4], outputs: 10, kernel: [1, 4], parts: 3 },
  {
    ...usual,
    ...once,
    x: [6, 13, 7, 6],
    outputs: 3,
    kernel: [3, 3],
    padding: [1, 1],
    samples: 500,
    parts: 1,
  },
  { ...usual, ...once, x: [130, 33, 1, 1], outputs: 3, kernel: [1, 1], samples: 1000, parts: 1 },
];

/** The tensors of a case; the input is far from mean zero, as after a ReLU. */
export function refitTensors(each: RefitCase) {
  const { x: [images, channels, height, width], outputs, kernel, stride, padding, paddingAfter, dilation } =
    each;
  const [outHeight, outWidth] = windowOutput([height, width], each);
  const shifted = randomTensor(each.x, 1);
  const x: RefTensor = { shape: each.x, values: shifted.values.map((value) => Math.fround(value + 2.5)) };
  const y = randomTensor([images, outputs, outHeight, outWidth], 2, 2);
  const area = outHeight * outWidth;
  // Three of four positions, in a mixed order, some of them twice.
  const count = Math.max(1, Math.floor(0.75 * images * area));
  const positions = Uint32Array.from({ length: count }, (_, i) => (i * 7919 + (i % 5)) % (images * area));
  const dense = randomTensor([outputs, channels, ...kernel], 3, 0.2);
  const mask = randomTensor(dense.shape, 4);
  const columns = dense.values.length / outputs;
  mask.values.forEach((value, i) => mask.values[i] = value > 0 ? 1 : 0);
  // The first row keeps all, the second nothing.
  mask.values.fill(1, 0, columns).fill(0, columns, 2 * columns);
  const skipDense = randomTensor(y.shape, 5), skipPruned = randomTensor(y.shape, 6);
  const alpha = randomTensor([outputs], 7);
  alpha.values[outputs - 1] = Math.fround(5e-4);
  const geometry: RefitGeometry = {
    name: "layer",
    inChannels: channels,
    inSize: [height, width],
    outChannels: outputs,
    outSize: [outHeight, outWidth],
    kernel,
    stride,
    padding,
    ...(paddingAfter ? { paddingAfter } : {}),
    dilation,
  };
  return { x, y, positions, dense, mask, skipDense, skipPruned, alpha, geometry };
}

/** What a device made of a case, weights and signals in the order of OIHW. */
export interface RefitResult {
  readonly weights: Float64Array;
  readonly signals: Float64Array;
  readonly quads: Float32Array;
  readonly shift: Float32Array;
  readonly report: LayerSolution;
}

/** Refits a case on a device. With a skip connection targets are given as gathered lines, else whole. */
export async function refitOnDevice(
  gpu: Gpu,
  each: RefitCase,
  tensors: ReturnType<typeof refitTensors> = refitTensors(each),
): Promise<RefitResult> {
  const { x, y, positions, dense, mask, skipDense, skipPruned, alpha, geometry } = tensors;
  const held: ReturnType<Gpu["createBuffer"]>[] = [];
  const bufferOf = (name: string, values: Float32Array) => {
    const buffer = gpu.createBuffer(name, values.byteLength);
    held.push(buffer);
    buffer.write(values);
    return { buffer, quads: buffer.sizeBytes / 16 };
  };
  const weightQuads = dense.shape[0] * dense.values.length / dense.shape[0] / dense.shape[1] *
    countQuads(dense.shape[1]);
  const arenaOf = (name: string, offset: number, values?: Float32Array) => {
    const arena = new Float32Array(4 * (offset + weightQuads)).fill(NaN);
    if (values) arena.set(values, 4 * offset);
    return { buffer: bufferOf(name, arena).buffer, offset };
  };
  try {
    const gathered = (tensor: RefTensor, places: Uint32Array) => {
      const rows = channelRows(tensor, places);
      return imagesToQuads(rows.values, [rows.shape[0], rows.shape[1], 1, 1]);
    };
    const input = bufferOf("x", imagesToQuads(x.values, x.shape));
    const targets = bufferOf(
      "targets",
      each.skip ? gathered(y, positions) : imagesToQuads(y.values, y.shape),
    );
    const skip = each.skip
      ? {
        dense: bufferOf("skip dense", gathered(skipDense, positions)),
        pruned: bufferOf("skip pruned", imagesToQuads(skipPruned.values, y.shape)),
        alpha: bufferOf("alpha", imagesToQuads(alpha.values, [1, y.shape[1], 1, 1])),
      }
      : undefined;
    using refit = new RefitLayer(gpu, geometry, {
      samples: each.samples,
      ...(each.scratchBytes === undefined ? {} : { scratchBytes: each.scratchBytes }),
    });
    const lines = Uint32Array.from(positions, (_, i) => i);
    for (let part = 0; part < each.parts; part++) {
      const [start, end] = [part, part + 1].map((i) => Math.floor(i * positions.length / each.parts));
      await refit.accumulate({
        x: input,
        targets,
        positions: positions.subarray(start, end),
        ...(skip ? { skip, targetLines: lines.subarray(start, end) } : {}),
      });
    }
    const values = arenaOf("values", 2), scores = arenaOf("scores", 3);
    const shift = bufferOf("shift", new Float32Array(4 * (1 + countQuads(y.shape[1]))).fill(NaN)).buffer;
    const report = await refit.solve({
      mask: arenaOf("mask", 1, imagesToQuads(mask.values, mask.shape)),
      dense: arenaOf("dense", 4, imagesToQuads(dense.values, dense.shape)),
      values,
      shift: { buffer: shift, offset: 1 },
      scores,
      damping: each.damping,
    });
    const quads = (await readFloats(gpu, values.buffer)).subarray(8);
    const scored = (await readFloats(gpu, scores.buffer)).subarray(12);
    return {
      weights: imagesFromQuads(quads, dense.shape),
      signals: imagesFromQuads(scored, dense.shape),
      quads,
      shift: (await readFloats(gpu, shift)).subarray(4, 4 + y.shape[1]),
      report,
    };
  } finally {
    for (const buffer of held) buffer[Symbol.dispose]();
  }
}

/** Refits a case by the reference. `factors` raise the damping by row. */
export function refitByReference(
  each: RefitCase,
  factors: readonly number[] = [],
  { x, y, positions, dense, mask, skipDense, skipPruned, alpha } = refitTensors(each),
) {
  const u = patchRows(x, positions, each);
  const plain = channelRows(y, positions);
  const t = !each.skip ? plain : addSkip(plain, {
    dense: channelRows(skipDense, positions),
    pruned: channelRows(skipPruned, positions),
    alpha: alpha.values,
  });
  return { u, t, ...refitRows({ u, t, dense, mask, damping: each.damping, factors }) };
}

/** The largest mean square of the columns of rows about the means of the first of them. */
function largestSquare(rows: RefTensor, firstCount: number): number {
  const columns = rows.shape[1];
  const first = meansOf({ shape: [firstCount, columns], values: rows.values.slice(0, firstCount * columns) });
  const squares = new Float64Array(columns);
  rows.values.forEach((value, i) =>
    squares[i % columns] += (value - first[i % columns]) ** 2 / rows.shape[0]
  );
  return maxAbs(squares);
}

/** How far a row's results may be off. */
export interface RefitTolerance {
  /** Of A w - c, in every place. */
  readonly residual: number;
  /** Of |w| / sqrt([A^-1]_jj), by weight. */
  readonly signals: Float64Array;
  /** Of t - w m. */
  readonly shift: number;
}

/**
 * What f32 may make of a row with weights w. An element of H is a sum over n samples of products whose absolute values
 * add up to at most the largest mean square q (Cauchy and Schwarz): e_H. Cholesky's factors are those of a matrix off by
 * sums of so many products of at most a = max diag A (Higham, section 10.1), times the condition of the diagonal blocks
 * whose inverses take the place of substitutions: e_L. The errors of elements are taken as independent, as sumTolerance
 * takes roundings, so the residual A w - c is at most (e_H + e_L) |w|_2 + e_C, from which the error of w follows exactly, and
 * v = [A^-1]_jj is off by at most (e_H + e_L) |column j of A^-1|_2^2, of which the signal's share is half.
 */
export function refitTolerance(
  { support, matrix, inverse }: RefRow,
  { u, t, samples, weights }: {
    readonly u: RefTensor;
    readonly t: RefTensor;
    readonly samples: number;
    readonly weights: Float64Array;
  },
): RefitTolerance {
  const size = support.length, count = u.shape[0], first = Math.min(samples, count);
  const uSquare = largestSquare(u, first), tSquare = largestSquare(t, first);
  const squareSum = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);
  const elementError = sumTolerance(count + 16, uSquare) +
    blockCondition(matrix, 16) * sumTolerance(size + 48, maxAbs(matrix.values));
  const length = Math.sqrt(squareSum(weights));
  const residual = elementError * length + sumTolerance(count + 16, Math.sqrt(uSquare * tSquare));
  const signals = weights.map((w, a) => {
    const v = inverse.values[a * size + a];
    const column = Float64Array.from({ length: size }, (_, b) => inverse.values[b * size + a]);
    const share = elementError * squareSum(column) / v / 2 + sumTolerance(size + 16, 1);
    return share * Math.abs(w) / Math.sqrt(v);
  });
  const means = meansOf(u), targetMean = maxAbs(meansOf(t));
  const products = weights.reduce((sum, w, a) => sum + Math.abs(w * means[support[a]]), targetMean);
  const meanError = (square: number, mean: number) =>
    sumTolerance(count + 16, Math.sqrt(square)) + 4 * F32_ROUNDOFF * mean;
  const shift = length * meanError(uSquare, maxAbs(means)) + meanError(tSquare, targetMean) +
    sumTolerance(size + 2, products);
  return { residual, signals, shift };
}
