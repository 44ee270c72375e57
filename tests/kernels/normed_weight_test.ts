/**
 * Holds the passes of a weight together with the batch norm after it against the f64 reference. The factor of a row, a
 * scale by the root of a sum, is off by the roundings of a sum, a root and a division, and products by one more each. The
 * gradient of the scale is a sum of as many terms as a row has weights and one for the shift, divided by the root.
 */
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { backwardNorm, type NormedWeight, readNormed } from "../../src/model/fused_norm.ts";
import { countQuads } from "../../src/shape.ts";
import type { Dispatch } from "../../src/kernels/dispatch.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, assertRoundings, assertSame, divisionRoundings, sqrtRoundings } from "./precision.ts";

/** A single weight; rows that fill no quad; more quads a row than a workgroup has invocations, and several workgroups. */
const sizes = [{ rows: 1, rowQuads: 1 }, { rows: 5, rowQuads: 3 }, { rows: 38, rowQuads: 71 }];

const epsilon = 1e-3;

/** Quads in front of the weight, which nothing may touch. */
const before = 2;

async function checkNorm(path: ReadPath, { rows, rowQuads, hasBias }: {
  readonly rows: number;
  readonly rowQuads: number;
  readonly hasBias: boolean;
}): Promise<void> {
  const weightQuads = rows * rowQuads, vectorQuads = countQuads(rows), bias = before + weightQuads;
  const layer: NormedWeight = {
    ...{ name: "layer", rows, rowQuads, weight: before, bias: hasBias ? bias : undefined },
    norm: {
      mean: 0,
      variance: vectorQuads,
      gamma: bias + vectorQuads,
      beta: bias + 2 * vectorQuads,
      epsilon,
    },
  };
  const f32 = (length: number, seed: number) => Float32Array.from(randomTensor([length], seed).values);
  const join = (...parts: readonly Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
  const [front, w, h] = [f32(4 * before, 1), f32(4 * weightQuads, 2), f32(4 * weightQuads, 3)];
  const [b, gamma, mean, e] = [f32(rows, 4), f32(rows, 5), f32(rows, 6), f32(rows, 7)];
  const variance = f32(rows, 8).map((value) => value + 1.5), none = new Float32Array(rows).fill(-3);
  const lay = (...vectors: readonly Float32Array[]) => vectors.map((vector) => toQuads(vector, 1, rows));
  const dispatches: Dispatch[] = [];
  readNormed(layer, {
    scratch: () => inputRef("normed"),
    emit: (...emitted) => void dispatches.push(...emitted),
  });
  const { floats } = await runKernels({
    path,
    dispatches: [...dispatches, backwardNorm(layer)],
    buffers: {
      values: join(front, w, ...lay(b, gamma, none)),
      statistics: join(...lay(mean, variance)),
      gradients: join(front, h, ...lay(none, none, e)),
      normed: 4 * weightQuads,
    },
  });
  const deviation = Float64Array.from(variance, (value) => Math.sqrt(value + Math.fround(epsilon)));
  const scale = deviation.map((root, row) => gamma[row] / root),
    rowOf = (i: number) => Math.floor(i / (4 * rowQuads));
  const scaled = (values: Float32Array) => Float64Array.from(values, (value, i) => value * scale[rowOf(i)]);
  const factor = 1 + sqrtRoundings + divisionRoundings, roundings = factor + 1;
  const name = `${path} ${JSON.stringify({ rows, rowQuads, hasBias })}`, gradients = floats("gradients");
  assertRoundings(floats("normed"), scaled(w), { roundings, name: `${name} normed` });
  const [ownFront, own] = [gradients.subarray(0, 4 * before), gradients.subarray(4 * before, 4 * bias)];
  assertSame(ownFront, front, `${name} front`);
  assertRoundings(own, scaled(h), { roundings, name: `${name} weight` });
  const [ownBias, ownGamma, ownBeta] = [0, 1, 2].map((i) => {
    const start = 4 * (bias + i * vectorQuads), vector = gradients.subarray(start, start + 4 * vectorQuads);
    assertPadding(vector, rows, { name: `${name} vector ${i}` });
    return vector.subarray(0, rows);
  });
  assertSame(ownBeta, e, `${name} shift`);
  if (hasBias) {
    assertRoundings(ownBias, e.map((sum, row) => sum * scale[row]), {
      roundings: roundings + 1,
      name: `${name} bias`,
    });
  } else assertSame(ownBias, none, `${name} bias`);
  const centre = Float64Array.from(e, (sum, row) => ((hasBias ? b[row] : 0) - mean[row]) * sum);
  const products = Float64Array.from(h, (value, i) => value * w[i]);
  const sums = centre.map((shift, row) =>
    products.subarray(4 * rowQuads * row, 4 * rowQuads * (row + 1)).reduce((sum, value) => sum + value, shift)
  );
  const terms = 4 * rowQuads + 2, magnitude = 4 * rowQuads * maxAbs(products) + 2 * maxAbs(e);
  const root = Math.min(...deviation), wanted = sums.map((sum, row) => sum / deviation[row]);
  const tolerance = sumTolerance(terms, magnitude) / root + factor * F32_ROUNDOFF * maxAbs(wanted);
  assertClose(ownGamma, wanted, { tolerance, name: `${name} scale` });
}

for (const path of readPaths) {
  Deno.test(`layer/normed_weight() and layer/normed_weight_backward() agree with the reference, ${path} path`, async () => {
    for (const size of sizes) {
      for (const hasBias of [false, true]) await checkNorm(path, { ...size, hasBias });
    }
  });
}
