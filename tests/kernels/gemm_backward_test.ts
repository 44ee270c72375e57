/**
 * Holds the convolution's two gradient products against the f64 reference on every core, the weight's with one split
 * and with several. Tolerance: sumTolerance over the products of one gradient, the magnitude being the largest sum of
 * absolute terms; a split sum meets one more addition a split, which the length counts.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchProduct } from "../../src/kernels/gemm.ts";
import { sumSplits } from "../../src/kernels/reduce.ts";
import { quadsOf } from "../../src/shape.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { absoluteOf, assertClose, dot, maxAbs, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";
import {
  type Convolution,
  convolutions,
  coresOf,
  fusedConvolutions,
  inputProduct,
  operandsOf,
  outputSides,
  valueArena,
  weightProduct,
} from "./products.ts";

/** The largest sums of absolute terms in the gradients of a convolution. */
function magnitudes(convolution: Convolution): { readonly dx: number; readonly dw: number } {
  const { x, w, dy } = operandsOf(convolution);
  const { dx, dw } = conv2dBackward(absoluteOf(x), absoluteOf(w), absoluteOf(dy), convolution);
  return { dx: maxAbs(dx.values), dw: maxAbs(dw.values) };
}

/** Addend and gate at once on every core, and on one core, since all call one `store_block`, each alone. */
function fusedRuns(path: ReadPath) {
  return [
    ...coresOf(path).map((core) => ({ core, HAS_ADDEND: 1, GATED: 1 })),
    { core: "gemm/software/register_8x8", HAS_ADDEND: 1, GATED: 0 },
    { core: "gemm/software/register_8x8", HAS_ADDEND: 0, GATED: 1 },
  ];
}

async function checkInput(path: ReadPath, convolution: Convolution): Promise<void> {
  const { x, w, b, dy } = operandsOf(convolution);
  const { shape, params } = inputProduct(convolution);
  const gate = randomTensor(convolution.x, 5);
  gate.values[0] = 0;
  const addend = randomTensor(convolution.x, 6);
  const runs = [
    ...coresOf(path).map((core) => ({ core, HAS_ADDEND: 0, GATED: 0 })),
    ...(fusedConvolutions.includes(convolution) ? fusedRuns(path) : []),
  ];
  const result = await runKernels({
    path,
    dispatches: runs.map(({ core, HAS_ADDEND, GATED }, i) =>
      dispatchProduct(shape, { core, splits: 1 }, {
        label: `${core} ${i}`,
        bindings: {
          dy: inputRef("dy"),
          values: inputRef("values"),
          gate: inputRef("gate"),
          addend: inputRef("addend"),
          dx: inputRef(`dx${i}`),
        },
        params,
        constants: { HAS_ADDEND, GATED },
      })
    ),
    buffers: {
      dy: imagesToQuads(dy.values, dy.shape),
      values: valueArena(convolution, w, b),
      gate: imagesToQuads(gate.values, gate.shape),
      addend: imagesToQuads(addend.values, addend.shape),
      ...Object.fromEntries(
        runs.map((_, i) => [`dx${i}`, unwritten(shape.rows * 4 * quadsOf(shape.columns))]),
      ),
    },
  });
  const { dx } = conv2dBackward(x, w, dy, convolution);
  // An addend of at most 1 is one term more.
  const tolerance = sumTolerance(w.values.length / w.shape[1] + 1, magnitudes(convolution).dx + 1);
  for (const [i, { core, HAS_ADDEND, GATED }] of runs.entries()) {
    const sums = HAS_ADDEND ? dx.values.map((value, j) => value + addend.values[j]) : dx.values;
    const want = GATED ? sums.map((value, j) => gate.values[j] > 0 ? value : 0) : sums;
    const name = `${path} ${core} ${HAS_ADDEND} ${GATED} ${JSON.stringify(convolution)}`;
    const got = result.floats(`dx${i}`);
    assertClose(imagesFromQuads(got, dx.shape), want, { tolerance, name });
    assertPadding(got, shape.columns, { name });
    if (GATED || HAS_ADDEND) continue;
    // The adjoint identity <dy, conv(x)> = <dx, x>; every dx is off by at most the tolerance, and |x| <= 1.
    const forward = dot(dy.values, conv2dForward(x, w, undefined, convolution).values);
    const backward = dot(imagesFromQuads(got, dx.shape), x.values);
    assertClose([backward], [forward], { tolerance: tolerance * x.values.length, name: `${name} adjoint` });
  }
}

/** The splits a core is tested with: none, two, and numbers that leave the last split short; none is left empty. */
function splitsOf({ segments }: { readonly segments: number }): readonly number[] {
  return [...new Set([1, 2, 4, 5].map((splits) => Math.ceil(segments / Math.ceil(segments / splits))))];
}

async function checkWeight(path: ReadPath, convolution: Convolution): Promise<void> {
  const { x, w, dy } = operandsOf(convolution);
  const { shape, params } = weightProduct(convolution);
  const quads = shape.rows * shape.columns / 4;
  const offset = 2;
  const runs = coresOf(path).flatMap((core) => splitsOf(shape).map((splits) => ({ core, splits })));
  const result = await runKernels({
    path,
    // One split writes the gradient itself, several write scratch that a second pass adds.
    dispatches: runs.flatMap(({ core, splits }, i) => {
      const [sums, first] = splits === 1 ? [`dw${i}`, offset] : [`sums${i}`, 0];
      const product = dispatchProduct(shape, { core, splits }, {
        label: `${core} ${splits}`,
        bindings: { dy: inputRef("dy"), x: inputRef("x"), sums: inputRef(sums) },
        params: { ...params, offset: first },
      });
      if (splits === 1) return [product];
      return [
        product,
        sumSplits({
          label: core,
          scratch: inputRef(sums),
          out: inputRef(`dw${i}`),
          offset,
          quads,
          splits,
          scale: 1,
        }),
      ];
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
  const tolerance = sumTolerance(x.shape[0] * outHeight * outWidth + 5, magnitudes(convolution).dw);
  for (const [i, { core, splits }] of runs.entries()) {
    const name = `${path} ${core} ${splits} splits ${JSON.stringify(convolution)}`;
    const got = result.floats(`dw${i}`).subarray(4 * offset);
    assertClose(imagesFromQuads(got, dw.shape), dw.values, { tolerance, name });
    assertPadding(got, convolution.x[1], { name });
  }
}

for (const path of readPaths) {
  Deno.test(`conv2d_backward_input() agrees with the reference on every core, ${path} path`, async () => {
    for (const convolution of convolutions) await checkInput(path, convolution);
  });

  Deno.test(`conv2d_backward_weight() agrees with the reference on every core, ${path} path`, async () => {
    for (const convolution of convolutions) await checkWeight(path, convolution);
  });
}
