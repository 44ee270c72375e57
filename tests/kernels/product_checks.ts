/**
 * Holds the three products of a convolution against the f64 reference, on the cores that a test names. Tolerance:
 * sumTolerance over the products of one result, the magnitude being the largest sum of absolute terms; a split sum meets
 * one more addition a split. A batch norm scales that error and adds the roundings of its formula by precision.ts, a
 * residual or an addend one more.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/device.ts";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { dispatchProduct } from "../../src/kernels/gemm.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { sumSplits } from "../../src/kernels/reduce.ts";
import { countQuads } from "../../src/shape.ts";
import { batchNorm2dEval, type BatchNorm2dState } from "../reference/batchnorm2d.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { reluForward } from "../reference/relu.ts";
import {
  absoluteOf,
  assertClose,
  dot,
  F32_ROUNDOFF,
  maxAbs,
  randomTensor,
  type RefTensor,
  sumTolerance,
} from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, runKernels } from "./harness.ts";
import { assertPadding, divisionRoundings, sqrtRoundings, unwritten } from "./precision.ts";
import {
  type Convolution,
  forwardProduct,
  inputProducts,
  normEpsilon,
  normOf,
  operandsOf,
  outputSides,
  statisticsArena,
  valueArena,
  weightProduct,
} from "./products.ts";

/** Where and on what a product is checked. */
export interface ProductCase {
  readonly path: ReadPath;
  readonly convolution: Convolution;
  /** The device, if it is not to be the one that all tests of a file share. */
  readonly gpu?: Gpu;
}

/** What a forward product applies to its output, by the kernel's overrides. */
export type ForwardFusion = Readonly<Record<"HAS_BIAS" | "HAS_NORM" | "HAS_RESIDUAL" | "RELU", 0 | 1>>;

/** A bias alone, and all else: together they have both values of every override. */
export const plainForward: ForwardFusion = { HAS_BIAS: 1, HAS_NORM: 0, HAS_RESIDUAL: 0, RELU: 0 };
export const wholeForward: ForwardFusion = { HAS_BIAS: 0, HAS_NORM: 1, HAS_RESIDUAL: 1, RELU: 1 };

/** Every combination of what a forward product applies. */
export const forwardFusions: readonly ForwardFusion[] = Array.from({ length: 16 }, (_, number) => {
  const bit = (index: number) => (number >> index & 1) as 0 | 1;
  return { HAS_BIAS: bit(0), HAS_NORM: bit(1), HAS_RESIDUAL: bit(2), RELU: bit(3) };
});

/** What a product of the input's gradient applies to it, by the kernel's overrides. */
export type InputFusion = Readonly<Record<"HAS_ADDEND" | "GATED", 0 | 1>>;

/** Nothing, all at once, and every combination. */
export const plainInput: InputFusion = { HAS_ADDEND: 0, GATED: 0 };
export const wholeInput: InputFusion = { HAS_ADDEND: 1, GATED: 1 };
export const inputFusions: readonly InputFusion[] = [plainInput, wholeInput, { HAS_ADDEND: 0, GATED: 1 }, {
  HAS_ADDEND: 1,
  GATED: 0,
}];

/** Runs on a core each, by the same fusion. */
export function runsOn<Fusion>(cores: readonly string[], ...fusions: readonly Fusion[]) {
  return cores.flatMap((core) => fusions.map((fusion) => ({ core, fusion })));
}

/** How far f32 may be off in the sum of products and bias that a convolution is. */
function sumError(convolution: Convolution): number {
  const { x, w, b } = operandsOf(convolution);
  const magnitude = maxAbs(conv2dForward(absoluteOf(x), absoluteOf(w), absoluteOf(b), convolution).values);
  return sumTolerance(w.values.length / w.shape[0] + 1, magnitude);
}

/**
 * What a fusion makes of a convolution, and how far f32 may be off.
 *
 * @param y The convolution, with its bias where the fusion has one.
 * @param error How far f32 may be off in that.
 */
export function fuse(
  y: RefTensor,
  { HAS_NORM, HAS_RESIDUAL, RELU }: ForwardFusion,
  { norm, residual, error }: {
    readonly norm: BatchNorm2dState;
    readonly residual: RefTensor;
    readonly error: number;
  },
): { readonly want: RefTensor; readonly tolerance: number } {
  let tolerance = error;
  if (HAS_NORM) {
    const gamma = maxAbs(norm.gamma.values), deviation = Math.sqrt(Math.min(...norm.runningVar.values));
    const size = gamma * (maxAbs(y.values) + maxAbs(norm.runningMean.values)) / deviation +
      maxAbs(norm.beta.values);
    // A difference, a sum under the root, the root, a division, a product and a sum, on what bounds |y|.
    const roundings = 4 + sqrtRoundings + divisionRoundings;
    tolerance = tolerance * gamma / deviation + roundings * F32_ROUNDOFF * size;
    y = batchNorm2dEval(y, norm, { eps: normEpsilon });
  }
  if (HAS_RESIDUAL) {
    y = { shape: y.shape, values: y.values.map((value, i) => value + residual.values[i]) };
    tolerance += F32_ROUNDOFF * maxAbs(y.values);
  }
  return { want: RELU ? reluForward(y) : y, tolerance };
}

/** What a fusion must give on a convolution's random operands where the sum of products is off by so much. */
export function wantedForward(convolution: Convolution, fusion: ForwardFusion, error: number) {
  const { x, w, b, residual } = operandsOf(convolution);
  const y = conv2dForward(x, w, fusion.HAS_BIAS ? b : undefined, convolution);
  return fuse(y, fusion, { norm: normOf(convolution), residual, error });
}

/** Checks y on cores, with what each is to apply to it. */
export async function checkForward(
  { path, convolution, gpu }: ProductCase,
  runs: readonly { readonly core: string; readonly fusion: ForwardFusion }[],
): Promise<void> {
  const { x, w, b, residual } = operandsOf(convolution);
  const { shape, params } = forwardProduct(convolution);
  const shared = inputRefs({ x: "x", values: "values", statistics: "statistics", residual: "residual" });
  const { floats } = await runKernels({
    path,
    gpu,
    dispatches: runs.map(({ core, fusion }, i) =>
      dispatchProduct(shape, { core, splits: 1 }, {
        label: `${core} ${i}`,
        bindings: { ...shared, y: inputRef(`y${i}`) },
        params,
        constants: fusion,
      })
    ),
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(convolution, w, b),
      statistics: statisticsArena(convolution),
      residual: imagesToQuads(residual.values, residual.shape),
      ...Object.fromEntries(
        runs.map((_, i) => [`y${i}`, unwritten(shape.rows * 4 * countQuads(shape.columns))]),
      ),
    },
  });
  const error = sumError(convolution);
  for (const [i, { core, fusion }] of runs.entries()) {
    const { want, tolerance } = wantedForward(convolution, fusion, error);
    const name = `${path} ${core} ${JSON.stringify({ ...convolution, ...fusion })}`, got = floats(`y${i}`);
    assertClose(imagesFromQuads(got, want.shape), want.values, { tolerance, name });
    assertPadding(got, shape.columns, { name });
  }
}

/** The largest sums of absolute terms in the gradients of a convolution. */
function magnitudesOf(convolution: Convolution): { readonly dx: number; readonly dw: number } {
  const { x, w, dy } = operandsOf(convolution);
  const { dx, dw } = conv2dBackward(absoluteOf(x), absoluteOf(w), absoluteOf(dy), convolution);
  return { dx: maxAbs(dx.values), dw: maxAbs(dw.values) };
}

/** Checks dx on cores, with what each is to apply to it. */
export async function checkInput(
  { path, convolution, gpu }: ProductCase,
  runs: readonly { readonly core: string; readonly fusion: InputFusion }[],
): Promise<void> {
  const { x, w, b, dy } = operandsOf(convolution);
  const products = inputProducts(convolution);
  const gate = randomTensor(convolution.x, 5);
  gate.values[0] = 0;
  const addend = randomTensor(convolution.x, 6);
  const shared = inputRefs({ dy: "dy", values: "values", gate: "gate", addend: "addend" });
  const { floats } = await runKernels({
    path,
    gpu,
    dispatches: runs.flatMap(({ core, fusion }, i) =>
      products.map(({ shape, params }) =>
        dispatchProduct(shape, { core, splits: 1 }, {
          label: `${core} ${i}`,
          bindings: { ...shared, dx: inputRef(`dx${i}`) },
          params,
          constants: fusion,
        })
      )
    ),
    buffers: {
      dy: imagesToQuads(dy.values, dy.shape),
      values: valueArena(convolution, w, b),
      gate: imagesToQuads(gate.values, gate.shape),
      addend: imagesToQuads(addend.values, addend.shape),
      ...Object.fromEntries(
        runs.map((_, i) => [`dx${i}`, unwritten(imagesToQuads(x.values, x.shape).length)]),
      ),
    },
  });
  const { dx } = conv2dBackward(x, w, dy, convolution);
  // The adjoint identity <dy, conv(x)> = <dx, x>, of what is meant; an addend of at most 1 is one term more.
  const forward = dot(dy.values, conv2dForward(x, w, undefined, convolution).values);
  const tolerance = sumTolerance(w.values.length / w.shape[1] + 1, magnitudesOf(convolution).dx + 1);
  assertClose([dot(dx.values, x.values)], [forward], {
    tolerance: tolerance * x.values.length,
    name: `adjoint ${JSON.stringify(convolution)}`,
  });
  for (const [i, { core, fusion: { HAS_ADDEND, GATED } }] of runs.entries()) {
    const sums = HAS_ADDEND ? dx.values.map((value, j) => value + addend.values[j]) : dx.values;
    const want = GATED ? sums.map((value, j) => gate.values[j] > 0 ? value : 0) : sums;
    const name = `${path} ${core} ${HAS_ADDEND} ${GATED} ${JSON.stringify(convolution)}`;
    const got = floats(`dx${i}`);
    assertClose(imagesFromQuads(got, dx.shape), want, { tolerance, name });
    assertPadding(got, convolution.x[1], { name });
  }
}

/** The splits a core is tested with: none, two, and numbers that leave the last split short; none is left empty. */
function splitsOf({ segments }: { readonly segments: number }): readonly number[] {
  return [...new Set([1, 2, 4, 5].map((splits) => Math.ceil(segments / Math.ceil(segments / splits))))];
}

/** Checks dw on cores, with several splits. */
export async function checkWeight(
  { path, convolution, gpu }: ProductCase,
  cores: readonly string[],
): Promise<void> {
  const { x, w, dy } = operandsOf(convolution);
  const { shape, params } = weightProduct(convolution);
  const quads = shape.rows * shape.columns / 4;
  const offset = 2;
  const runs = cores.flatMap((core) => splitsOf(shape).map((splits) => ({ core, splits })));
  const { floats } = await runKernels({
    path,
    gpu,
    // One split writes the gradient itself, several write scratch that a second pass adds.
    dispatches: runs.flatMap(({ core, splits }, i) => {
      const [sums, first] = splits === 1 ? [`dw${i}`, offset] : [`sums${i}`, 0];
      const product = dispatchProduct(shape, { core, splits }, {
        label: `${core} ${splits}`,
        bindings: { dy: inputRef("dy"), x: inputRef("x"), sums: inputRef(sums) },
        params: { ...params, offset: first },
      });
      if (splits === 1) return [product];
      const sum = { label: core, scratch: inputRef(sums), out: inputRef(`dw${i}`) };
      return [product, sumSplits({ ...sum, offset, quads, splits, scale: 1 })];
    }),
    buffers: {
      dy: imagesToQuads(dy.values, dy.shape),
      x: imagesToQuads(x.values, x.shape),
      ...Object.fromEntries(runs.map(({ splits }, i) => [`sums${i}`, unwritten(4 * quads * splits)])),
      ...Object.fromEntries(runs.map((_, i) => [`dw${i}`, unwritten(4 * (quads + offset))])),
    },
  });
  const { dw } = conv2dBackward(x, w, dy, convolution);
  const [outHeight, outWidth] = outputSides(convolution);
  const tolerance = sumTolerance(x.shape[0] * outHeight * outWidth + 5, magnitudesOf(convolution).dw);
  for (const [i, { core, splits }] of runs.entries()) {
    const name = `${path} ${core} ${splits} splits ${JSON.stringify(convolution)}`;
    const got = floats(`dw${i}`).subarray(4 * offset);
    assertClose(imagesFromQuads(got, dw.shape), dw.values, { tolerance, name });
    assertPadding(got, convolution.x[1], { name });
  }
}
