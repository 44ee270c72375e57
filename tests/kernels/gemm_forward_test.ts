/**
 * Holds the convolution's forward product against the f64 reference on every core. Tolerance: sumTolerance over the
 * products of one output and its bias, the magnitude being the largest sum of absolute terms; a batch norm scales that
 * error and adds the roundings of its formula by precision.ts, a residual one more.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { coreBlock, usableCores } from "../../src/kernels/cores.ts";
import { dispatchProduct } from "../../src/kernels/gemm.ts";
import { coreTable } from "../../src/kernels/core_table.ts";
import { batchNorm2dEval } from "../reference/batchnorm2d.ts";
import { conv2dForward } from "../reference/conv2d.ts";
import { linearForward } from "../reference/linear.ts";
import { reluForward } from "../reference/relu.ts";
import {
  absoluteOf,
  assertClose,
  F32_ROUNDOFF,
  maxAbs,
  randomTensor,
  sumTolerance,
  tensorOf,
} from "../reference/tensor.ts";
import { fromQuads, imagesFromQuads, imagesToQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, divisionRoundings, sqrtRoundings, unwritten } from "./precision.ts";
import {
  type Convolution,
  convolutions,
  coresOf,
  forwardProduct,
  fusedConvolutions,
  normEpsilon,
  normOf,
  operandsOf,
  statisticsArena,
  valueArena,
} from "./products.ts";

/** What is fused into a product. */
interface Variant {
  readonly HAS_BIAS: 0 | 1;
  readonly HAS_NORM: 0 | 1;
  readonly HAS_RESIDUAL: 0 | 1;
  readonly RELU: 0 | 1;
}

const plain: Variant = { HAS_BIAS: 1, HAS_NORM: 0, HAS_RESIDUAL: 0, RELU: 0 };
const whole: Variant = { HAS_BIAS: 1, HAS_NORM: 1, HAS_RESIDUAL: 1, RELU: 1 };

/** What is tested of the fused: all at once on every core, and on one core, since all call one `store_block`, others. */
function variantsOf(core: string): readonly Variant[] {
  const others = [
    { ...plain, HAS_BIAS: 0, RELU: 1 },
    { ...plain, RELU: 1 },
    { ...plain, HAS_BIAS: 0, HAS_NORM: 1 },
    { ...plain, HAS_RESIDUAL: 1 },
  ] as const;
  return core === "gemm/software/register_8x8" ? [whole, ...others] : [whole];
}

/** What a variant must give, and how far f32 may be off. */
function wantedOf(convolution: Convolution, { HAS_BIAS, HAS_NORM, HAS_RESIDUAL, RELU }: Variant) {
  const { x, w, b, residual } = operandsOf(convolution);
  const magnitude = maxAbs(conv2dForward(absoluteOf(x), absoluteOf(w), absoluteOf(b), convolution).values);
  let tolerance = sumTolerance(w.values.length / w.shape[0] + 1, magnitude);
  let y = conv2dForward(x, w, HAS_BIAS ? b : undefined, convolution);
  if (HAS_NORM) {
    const norm = normOf(convolution), gamma = maxAbs(norm.gamma.values);
    const normed = batchNorm2dEval(y, norm, { eps: normEpsilon });
    const deviation = Math.sqrt(Math.min(...norm.runningVar.values));
    const size = gamma * (maxAbs(y.values) + maxAbs(norm.runningMean.values)) / deviation +
      maxAbs(norm.beta.values);
    // A difference, a sum under the root, the root, a division, a product and a sum, on what bounds |y|.
    const roundings = 4 + sqrtRoundings + divisionRoundings;
    tolerance = tolerance * gamma / deviation + roundings * F32_ROUNDOFF * size;
    y = normed;
  }
  if (HAS_RESIDUAL) {
    y = { shape: y.shape, values: y.values.map((value, i) => value + residual.values[i]) };
    tolerance += F32_ROUNDOFF * maxAbs(y.values);
  }
  return { want: RELU ? reluForward(y) : y, tolerance };
}

async function checkForward(
  path: ReadPath,
  convolution: Convolution,
  variants: (core: string) => readonly Variant[],
  cores: readonly string[] = coresOf(path),
): Promise<void> {
  const { x, w, b, residual } = operandsOf(convolution);
  const { shape, params } = forwardProduct(convolution);
  const runs = cores.flatMap((core) => variants(core).map((constants) => ({ core, constants })));
  const outputs = runs.map((_, i) => [`y${i}`, unwritten(shape.rows * 4 * Math.ceil(shape.columns / 4))]);
  const result = await runKernels({
    path,
    dispatches: runs.map(({ core, constants }, i) =>
      dispatchProduct(shape, { core, splits: 1 }, {
        label: `${core} ${i}`,
        bindings: {
          x: inputRef("x"),
          values: inputRef("values"),
          statistics: inputRef("statistics"),
          residual: inputRef("residual"),
          y: inputRef(`y${i}`),
        },
        params,
        constants: { ...constants },
      })
    ),
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(convolution, w, b),
      statistics: statisticsArena(convolution),
      residual: imagesToQuads(residual.values, residual.shape),
      ...Object.fromEntries(outputs),
    },
  });
  for (const [i, { core, constants }] of runs.entries()) {
    const { want, tolerance } = wantedOf(convolution, constants);
    const name = `${path} ${core} ${JSON.stringify({ ...convolution, ...constants })}`;
    const got = result.floats(`y${i}`);
    assertClose(imagesFromQuads(got, want.shape), want.values, { tolerance, name });
    assertPadding(got, shape.columns, { name });
  }
}

Deno.test("coresOf() leaves no core untested", () => {
  const registers = [
    "gemm/software/register_8x8",
    "gemm/software/register_8x16",
    "gemm/software/register_16x8",
    "gemm/software/register_32x4",
    "gemm/software/register_16x16",
  ];
  const tested = [...new Set(readPaths.flatMap(coresOf))].sort();
  assert.deepEqual(tested, [...registers, "gemm/gpu/tile_64x64"].sort());
  const ofRows = Object.keys(coreTable).filter((name) => coreBlock(name).subgroupSize === undefined).sort();
  assert.deepEqual(ofRows, [...tested, stripCore].sort());
});

const stripCore = "gemm/software/register_32x4_strips";

/** Maps of one strip a line and several, blocks that end within, filters of one to five lines, and several of columns. */
const stripConvolutions: readonly Convolution[] = [
  { x: [1, 1, 1, 8], outputs: 1, kernel: [3, 3], stride: 1, padding: 1 },
  { x: [2, 9, 5, 16], outputs: 4, kernel: [3, 3], stride: 1, padding: 1 },
  { x: [3, 5, 7, 10], outputs: 9, kernel: [3, 3], stride: 1, padding: 0 },
  { x: [1, 3, 6, 22], outputs: 2, kernel: [1, 3], stride: 1, padding: 2 },
  { x: [2, 4, 9, 24], outputs: 5, kernel: [5, 3], stride: [2, 1], padding: [2, 1], dilation: [2, 1] },
];

for (const path of readPaths) {
  Deno.test(`${stripCore} agrees with the reference, ${path} path`, async () => {
    for (const convolution of stripConvolutions) {
      const { shape } = forwardProduct(convolution);
      assert(usableCores("texture", undefined, shape).includes(stripCore));
      await checkForward(path, convolution, () => [plain, whole], [stripCore]);
    }
  });
}

Deno.test("usableCores() offers the core for strips only where rows and taps lie so, and dispatchProduct() refuses it elsewhere", () => {
  const base: Convolution = { x: [1, 4, 8, 8], outputs: 4, kernel: [3, 3], stride: 1, padding: 1 };
  for (
    const convolution of [
      { ...base, kernel: [3, 5] as const, padding: [1, 2] as const },
      { ...base, padding: 0 },
      { ...base, x: [1, 4, 8, 16] as const, stride: 2 },
      { ...base, dilation: 2, padding: 2 },
    ]
  ) {
    const { shape, params, spare } = forwardProduct(convolution), name = JSON.stringify(convolution);
    assert(!usableCores("texture", undefined, shape).includes(stripCore), name);
    const dispatch = {
      label: name,
      bindings: { ...spare, x: inputRef("x"), values: inputRef("values"), y: inputRef("y") },
      params,
    };
    assert.throws(
      () => dispatchProduct(shape, { core: stripCore, splits: 1 }, dispatch),
      /register_32x4_strips:gemm\/conv2d_forward/,
    );
  }
});

for (const path of readPaths) {
  Deno.test(`conv2d_forward() agrees with the reference on every core, ${path} path`, async () => {
    for (const convolution of convolutions) await checkForward(path, convolution, () => [plain]);
  });

  Deno.test(`conv2d_forward() stores batch norm, residual and ReLU, ${path} path`, async () => {
    for (const convolution of fusedConvolutions) await checkForward(path, convolution, variantsOf);
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
    const { shape, params, spare } = forwardProduct(convolution);
    const result = await runKernels({
      path,
      dispatches: coresOf(path).map((core, i) =>
        dispatchProduct(shape, { core, splits: 1 }, {
          label: core,
          bindings: { ...spare, x: inputRef("x"), values: inputRef("values"), y: inputRef(`y${i}`) },
          params,
          constants: { ...plain },
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
