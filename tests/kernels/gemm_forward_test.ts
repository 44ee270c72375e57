/**
 * Holds the convolution's forward product against the f64 reference on every core. Tolerance: sumTolerance over the
 * products of one output and its bias, the magnitude being the largest sum of absolute terms.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/assemble.ts";
import { dispatchProduct } from "../../src/kernels/gemm.ts";
import { kernelNames } from "../../src/kernels/registry.ts";
import { conv2dForward } from "../reference/conv2d.ts";
import { linearForward } from "../reference/linear.ts";
import { reluForward } from "../reference/relu.ts";
import {
  absoluteOf,
  assertClose,
  maxAbs,
  randomTensor,
  sumTolerance,
  tensorOf,
} from "../reference/tensor.ts";
import { fromQuads, imagesFromQuads, imagesToQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";
import {
  type Convolution,
  convolutions,
  coresOf,
  forwardProduct,
  operandsOf,
  valueArena,
} from "./products.ts";

/** The constants a core is tested with. All cores call one `store`, so one of them stands for its variants. */
function variantsOf(core: string): readonly { readonly HAS_BIAS: number; readonly RELU: number }[] {
  const plain = { HAS_BIAS: 1, RELU: 0 };
  return core === "gemm/register_8x8" ? [plain, { HAS_BIAS: 0, RELU: 1 }, { HAS_BIAS: 1, RELU: 1 }] : [plain];
}

async function checkForward(path: ReadPath, convolution: Convolution): Promise<void> {
  const { x, w, b } = operandsOf(convolution);
  const { shape, params } = forwardProduct(convolution);
  const runs = coresOf(path).flatMap((core) => variantsOf(core).map((constants) => ({ core, constants })));
  const outputs = runs.map((_, i) => [`y${i}`, unwritten(shape.rows * 4 * Math.ceil(shape.columns / 4))]);
  const result = await runKernels({
    path,
    dispatches: runs.map(({ core, constants }, i) =>
      dispatchProduct(shape, { core, splits: 1 }, {
        label: `${core} ${i}`,
        bindings: { x: "x", values: "values", y: `y${i}` },
        params,
        constants,
      })
    ),
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(convolution, w, b),
      ...Object.fromEntries(outputs),
    },
  });
  const magnitude = maxAbs(conv2dForward(absoluteOf(x), absoluteOf(w), absoluteOf(b), convolution).values);
  const tolerance = sumTolerance(w.values.length / w.shape[0] + 1, magnitude);
  for (const [i, { core, constants }] of runs.entries()) {
    const linear = conv2dForward(x, w, constants.HAS_BIAS ? b : undefined, convolution);
    const want = constants.RELU ? reluForward(linear) : linear;
    const name = `${path} ${core} ${JSON.stringify({ ...convolution, ...constants })}`;
    const got = result.floats(`y${i}`);
    assertClose(imagesFromQuads(got, want.shape), want.values, { tolerance, name });
    assertPadding(got, shape.columns, { name });
  }
}

Deno.test("coresOf() leaves no core untested", () => {
  const registers = ["gemm/register_8x8", "gemm/register_8x16", "gemm/register_16x8", "gemm/register_16x16"];
  const tested = [...new Set(readPaths.flatMap(coresOf))].sort();
  assert.deepEqual(tested, [...registers, "gemm/tile_64x64"].sort());
  assert.deepEqual(kernelNames.filter((name) => /^gemm\/(?!conv2d|subgroup)/.test(name)).sort(), tested);
});

for (const path of readPaths) {
  Deno.test(`conv2d_forward() agrees with the reference on every core, ${path} path`, async () => {
    for (const convolution of convolutions) await checkForward(path, convolution);
  });

  Deno.test(`conv2d_forward() is a linear layer over an image of 1 x N, ${path} path`, async () => {
    const [rows, inputs, outputs] = [3, 130, 10];
    const x = randomTensor([rows, inputs], 1), w = randomTensor([outputs, inputs], 2);
    const b = randomTensor([outputs], 3);
    const convolution: Convolution = {
      x: [1, inputs, 1, rows],
      outputs,
      kernel: [1, 1],
      stride: 1,
      padding: 0,
    };
    const { shape, params } = forwardProduct(convolution);
    const result = await runKernels({
      path,
      dispatches: coresOf(path).map((core, i) =>
        dispatchProduct(shape, { core, splits: 1 }, {
          label: core,
          bindings: { x: "x", values: "values", y: `y${i}` },
          params,
          constants: { HAS_BIAS: 1, RELU: 0 },
        })
      ),
      buffers: {
        x: toQuads(x.values, rows, inputs),
        values: valueArena(convolution, tensorOf([outputs, inputs, 1, 1], w.values), b),
        ...Object.fromEntries(coresOf(path).map((_, i) => [`y${i}`, unwritten(rows * 12)])),
      },
    });
    const magnitude = maxAbs(linearForward(absoluteOf(x), absoluteOf(w), absoluteOf(b)).values);
    const tolerance = sumTolerance(inputs + 1, magnitude);
    for (const [i, core] of coresOf(path).entries()) {
      const got = fromQuads(result.floats(`y${i}`), rows, outputs);
      assertClose(got, linearForward(x, w, b).values, { tolerance, name: `${path} ${core} linear` });
    }
  });
}
