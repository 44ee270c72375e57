/**
 * Holds the cores that share operands through subgroups against the f64 reference on all three products, on both read
 * paths, where a helper process found that subgroups work: product_checks.ts.
 */
import assert from "node:assert/strict";
import { openGpu } from "../../src/gpu/device.ts";
import { measureSubgroups } from "../../src/gpu/measure_subgroups.ts";
import { coreSubgroupSize, type SubgroupOffer, trustSubgroups } from "../../src/gpu/subgroups.ts";
import {
  coreBlock,
  deviceCores,
  subgroupCores as coresOfSubgroups,
  usableCores,
} from "../../src/kernels/cores.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { assembleKernel } from "../../src/kernels/assemble.ts";
import { backwardWeightShape, forwardShape } from "../../src/model/convolution.ts";
import { readPaths } from "./harness.ts";
import { type Convolution, convolutions, fusedConvolutions } from "./products.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";
import {
  checkForward,
  checkInput,
  checkWeight,
  plainForward,
  plainInput,
  type ProductCase,
  runsOn,
  wholeForward,
  wholeInput,
} from "./product_checks.ts";

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

const checks: Readonly<Record<string, (each: ProductCase) => Promise<void>>> = {
  forward: (each) => checkForward(each, runsOn(subgroupCores, plainForward)),
  "backward input": (each) => checkInput(each, runsOn(subgroupCores, plainInput)),
  "backward weight": (each) => checkWeight(each, subgroupCores),
};

const fusedChecks: typeof checks = {
  forward: (each) => checkForward(each, runsOn(subgroupCores, wholeForward)),
  "backward input": (each) => checkInput(each, runsOn(subgroupCores, wholeInput)),
};

for (const path of readPaths) {
  for (const [product, check] of Object.entries(checks)) {
    const name = `subgroup cores agree with the reference on ${product}, ${path} path`;
    Deno.test(name, { ignore }, async () => {
      for (const convolution of sizes) await check({ path, convolution, gpu });
    });
  }
  for (const [product, check] of Object.entries(fusedChecks)) {
    const name = `subgroup cores store all that is fused on ${product}, ${path} path`;
    Deno.test(name, { ignore }, async () => {
      for (const convolution of fusedConvolutions) await check({ path, convolution, gpu });
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
