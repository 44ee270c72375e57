/**
 * Holds the cores that share operands through subgroups against the f64 reference on all three products, on both read
 * paths, where a helper process found that subgroups work. Tolerance: sumTolerance over the products of one result, the
 * magnitude being the largest sum of absolute terms; a split sum meets one more addition a split.
 */
import assert from "node:assert/strict";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { runOnce } from "../../src/gpu/run_once.ts";
import { measureSubgroups } from "../../src/gpu/measure_subgroups.ts";
import { coreSubgroupSize, type SubgroupOffer, trustSubgroups } from "../../src/gpu/subgroups.ts";
import {
  coreBlock,
  deviceCores,
  subgroupCores as coresOfSubgroups,
  usableCores,
} from "../../src/kernels/cores.ts";
import { defaultChooser, dispatchProduct } from "../../src/kernels/gemm.ts";
import { assembleKernel } from "../../src/kernels/assemble.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { sumSplits } from "../../src/kernels/reduce.ts";
import { backwardWeightShape, forwardShape } from "../../src/model/convolution.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { absoluteOf, assertClose, maxAbs, sumTolerance } from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";
import {
  type Convolution,
  convolutions,
  forwardProduct,
  inputProduct,
  operandsOf,
  outputSides,
  valueArena,
  weightProduct,
} from "./products.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";

/** Beside the sizes of the other cores: rows and columns around 32 and 64, odd and even quads of the sum. */
const sizes: readonly Convolution[] = [
  ...convolutions,
  { x: [1, 9, 5, 13], outputs: 64, kernel: [3, 3], stride: 1, padding: 1 },
  { x: [2, 20, 4, 9], outputs: 65, kernel: [1, 1], stride: 1, padding: 0 },
  { x: [3, 12, 8, 8], outputs: 31, kernel: [3, 3], stride: 1, padding: 1 },
];

/** The cores that serve every product. */
const subgroupCores = coresOfSubgroups(coreSubgroupSize);

/** The device with subgroups that all tests share. */
const { gpu, ignore } = await openWithSubgroups();

async function checkForward(path: ReadPath, convolution: Convolution): Promise<void> {
  const { x, w, b } = operandsOf(convolution);
  const { shape, params, spare } = forwardProduct(convolution);
  const result = await runOnce(gpu, {
    path,
    dispatches: subgroupCores.map((core) =>
      dispatchProduct(shape, { core, splits: 1 }, {
        label: core,
        bindings: { ...spare, x: inputRef("x"), values: inputRef("values"), y: inputRef(core) },
        params,
        constants: { HAS_BIAS: 1, RELU: 0 },
      })
    ),
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      values: valueArena(convolution, w, b),
      ...Object.fromEntries(
        subgroupCores.map((core) => [core, unwritten(shape.rows * 4 * Math.ceil(shape.columns / 4))]),
      ),
    },
  });
  const want = conv2dForward(x, w, b, convolution);
  const magnitude = maxAbs(conv2dForward(absoluteOf(x), absoluteOf(w), absoluteOf(b), convolution).values);
  const tolerance = sumTolerance(w.values.length / w.shape[0] + 1, magnitude);
  for (const core of subgroupCores) {
    const name = `${path} ${core} forward ${JSON.stringify(convolution)}`, got = result.floats(core);
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

async function checkInput(path: ReadPath, convolution: Convolution): Promise<void> {
  const { x, w, b, dy } = operandsOf(convolution);
  const { shape, params, spare } = inputProduct(convolution);
  const result = await runOnce(gpu, {
    path,
    dispatches: subgroupCores.map((core) =>
      dispatchProduct(shape, { core, splits: 1 }, {
        label: core,
        bindings: { ...spare, dy: inputRef("dy"), values: inputRef("values"), dx: inputRef(core) },
        params,
        constants: { GATED: 0 },
      })
    ),
    buffers: {
      dy: imagesToQuads(dy.values, dy.shape),
      values: valueArena(convolution, w, b),
      ...Object.fromEntries(
        subgroupCores.map((core) => [core, unwritten(shape.rows * 4 * Math.ceil(shape.columns / 4))]),
      ),
    },
  });
  const { dx } = conv2dBackward(x, w, dy, convolution);
  const tolerance = sumTolerance(w.values.length / w.shape[1], magnitudesOf(convolution).dx);
  for (const core of subgroupCores) {
    const name = `${path} ${core} input ${JSON.stringify(convolution)}`, got = result.floats(core);
    assertClose(imagesFromQuads(got, dx.shape), dx.values, { tolerance, name });
    assertPadding(got, shape.columns, { name });
  }
}

async function checkWeight(path: ReadPath, convolution: Convolution): Promise<void> {
  const { x, w, dy } = operandsOf(convolution);
  const { shape, params } = weightProduct(convolution);
  const quads = shape.rows * shape.columns / 4;
  const splits = [...new Set([1, Math.min(4, shape.segments)])];
  const runs = subgroupCores.flatMap((core) =>
    splits.map((count) => ({ core, count, name: `${core} ${count}` }))
  );
  const result = await runOnce(gpu, {
    path,
    dispatches: runs.flatMap(({ core, count, name }) => {
      const sums = count === 1 ? name : `${name} sums`;
      const product = dispatchProduct(shape, { core, splits: count }, {
        label: name,
        bindings: { dy: inputRef("dy"), x: inputRef("x"), sums: inputRef(sums) },
        params: { ...params, offset: 0 },
      });
      const sum = {
        label: name,
        scratch: inputRef(sums),
        out: inputRef(name),
        offset: 0,
        quads,
        splits: count,
        scale: 1,
      };
      return count === 1 ? [product] : [product, sumSplits(sum)];
    }),
    buffers: {
      dy: imagesToQuads(dy.values, dy.shape),
      x: imagesToQuads(x.values, x.shape),
      ...Object.fromEntries(runs.map(({ name, count }) => [`${name} sums`, unwritten(4 * quads * count)])),
      ...Object.fromEntries(runs.map(({ name }) => [name, unwritten(4 * quads)])),
    },
  });
  const { dw } = conv2dBackward(x, w, dy, convolution);
  const [outHeight, outWidth] = outputSides(convolution);
  const tolerance = sumTolerance(x.shape[0] * outHeight * outWidth + 4, magnitudesOf(convolution).dw);
  for (const { name: run } of runs) {
    const name = `${path} ${run} weight ${JSON.stringify(convolution)}`, got = result.floats(run);
    assertClose(imagesFromQuads(got, dw.shape), dw.values, { tolerance, name });
    assertPadding(got, convolution.x[1], { name });
  }
}

for (const path of readPaths) {
  const products = { forward: checkForward, "backward input": checkInput, "backward weight": checkWeight };
  for (const [product, check] of Object.entries(products)) {
    const name = `subgroup cores agree with the reference on ${product}, ${path} path`;
    Deno.test(name, { ignore }, async () => {
      for (const convolution of sizes) await check(path, convolution);
    });
  }
}

Deno.test(
  "gemm/software/subgroup_probe() shows sizes, lanes and broadcasts that are right",
  { ignore },
  async () => {
    assert(assembleKernel("gemm/software/subgroup_probe", "storage").usesSubgroups);
    assert.equal(await measureSubgroups(gpu), coreSubgroupSize);
  },
);

Deno.test("measureSubgroups() gives undefined on a device without subgroups", async () => {
  using gpu = await openGpu();
  assert.equal(gpu.subgroups, undefined);
  assert.equal(await measureSubgroups(gpu), undefined);
  const pipeline = gpu.pipeline("gemm/software/subgroup_8x32:gemm/conv2d_forward", {
    path: "texture",
    constants: {},
  });
  await assert.rejects(pipeline, /opened without subgroups, expected a device with subgroups/);
});

Deno.test("openGpu() opens without subgroups where the probe finds none", async () => {
  let offered: SubgroupOffer | undefined;
  using gpu = await openGpu({
    subgroups: (offer) => {
      offered = offer;
      return Promise.resolve(undefined);
    },
  });
  assert.equal(gpu.subgroups, undefined);
  assert.equal(offered?.adapter, "auto");
});

Deno.test("trustSubgroups() goes by the feature and a size that is fixed", async () => {
  const offer = { adapter: "auto", hasFeature: true, minSize: 8, maxSize: 8 } as const;
  assert.equal(await trustSubgroups(offer), 8);
  assert.equal(await trustSubgroups({ ...offer, hasFeature: false }), undefined);
  assert.equal(await trustSubgroups({ ...offer, maxSize: 32 }), undefined);
});

Deno.test("usableCores() offers subgroup cores only for their size", () => {
  for (
    const core of [
      "subgroup_4x32",
      "subgroup_4x36",
      "subgroup_8x32",
      "subgroup_16x8",
      "subgroup_32x4",
      "subgroup_64x4",
    ]
  ) {
    assert(usableCores("texture", 8).includes(`gemm/software/${core}`));
    const { rows, columns, lane, subgroupSize } = coreBlock(`gemm/software/${core}`);
    assert.equal(rows * columns, lane.rows * lane.columns * subgroupSize!);
  }
  const forAll = deviceCores("texture", undefined).filter((core) => coreBlock(core).rowsAre === undefined);
  assert.deepEqual(usableCores("texture", undefined), forAll);
  assert.deepEqual(usableCores("storage", 32), ["gemm/gpu/tile_64x64", "gemm/software/register_8x8"]);
});

Deno.test("defaultChooser() takes subgroup cores where there are any, and splits few weights", () => {
  const geometry = { images: 64, inQuads: 8, inHeight: 16, inWidth: 16, outChannels: 64 };
  // Filters of 5 x 5: those of 3 x 3 are Winograd's (winograd_test.ts).
  const window = { outHeight: 16, outWidth: 16, kernelHeight: 5, kernelWidth: 5, stride: 1, padding: 2 };
  const forward = forwardShape({ ...geometry, ...window }),
    weight = backwardWeightShape({ ...geometry, ...window });
  assert.deepEqual(defaultChooser("texture", 8)(forward), { core: "gemm/software/subgroup_8x32", splits: 1 });
  assert.deepEqual(defaultChooser("texture")(forward), { core: "gemm/software/register_16x16", splits: 1 });
  assert.deepEqual(defaultChooser("texture", 8)(weight), { core: "gemm/software/subgroup_8x32", splits: 2 });
  assert.equal(defaultChooser("storage", 8)(forward).core, "gemm/gpu/tile_64x64");
});
