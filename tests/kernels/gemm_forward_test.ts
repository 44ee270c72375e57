/**
 * Holds the convolution's forward product against the f64 reference on every core: product_checks.ts. A linear layer
 * has sumTolerance over the products of one output and its bias.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { coreBlock, usableCores } from "../../src/kernels/cores.ts";
import { dispatchProduct } from "../../src/kernels/gemm.ts";
import { coreTable } from "../../src/kernels/core_table.ts";
import { linearForward } from "../reference/linear.ts";
import {
  absoluteOf,
  assertClose,
  maxAbs,
  randomTensor,
  sumTolerance,
  tensorOf,
} from "../reference/tensor.ts";
import { fromQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { unwritten } from "./precision.ts";
import {
  type Convolution,
  convolutions,
  coresOf,
  forwardProduct,
  fusedConvolutions,
  valueArena,
} from "./products.ts";
import { checkForward, forwardFusions, plainForward, runsOn, wholeForward } from "./product_checks.ts";

/** All at once on every core; on one core, since all call one `store_block`, every combination by storage buffers. */
function fusedRuns(path: ReadPath) {
  const all = path === "storage" ? runsOn(["gemm/software/register_8x8"], ...forwardFusions) : [];
  return [...runsOn(coresOf(path), wholeForward), ...all];
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
  { x: [2, 6, 5, 8], outputs: 3, kernel: [3, 3], stride: 1, padding: [2, 0], paddingAfter: [0, 2] },
  { x: [1, 3, 6, 22], outputs: 2, kernel: [1, 3], stride: 1, padding: 2 },
  { x: [2, 4, 9, 24], outputs: 5, kernel: [5, 3], stride: [2, 1], padding: [2, 1], dilation: [2, 1] },
];

for (const path of readPaths) {
  Deno.test(`${stripCore} agrees with the reference, ${path} path`, async () => {
    for (const convolution of stripConvolutions) {
      const { shape } = forwardProduct(convolution);
      assert(usableCores("texture", undefined, shape).includes(stripCore));
      await checkForward({ path, convolution }, runsOn([stripCore], plainForward, wholeForward));
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
    const runs = runsOn(coresOf(path), plainForward);
    for (const convolution of convolutions) await checkForward({ path, convolution }, runs);
  });

  Deno.test(`conv2d_forward() stores batch norm, residual and ReLU, ${path} path`, async () => {
    for (const convolution of fusedConvolutions) await checkForward({ path, convolution }, fusedRuns(path));
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
          constants: plainForward,
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
