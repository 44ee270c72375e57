import { assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import {
  formatChoices,
  type ProductChoices,
  readChoices,
  rememberingChooser,
  shapeKey,
} from "../../src/kernels/product_choices.ts";
import { coreBlock } from "../../src/kernels/cores.ts";
import type { ProductChoice, ProductShape } from "../../src/kernels/product.ts";
import { backwardWeightShape, forwardShape } from "../../src/model/convolution.ts";

const geometry = {
  ...{ images: 5, inQuads: 3, inHeight: 9, inWidth: 7, outChannels: 18, outHeight: 9, outWidth: 7 },
  ...{ kernelHeight: 3, kernelWidth: 3, stride: 1, padding: 1 },
};
const shape = forwardShape(geometry), other = forwardShape({ ...geometry, images: 6 });

Deno.test("rememberingChooser() asks once for a product, and not at all for one that is known", () => {
  const known = { core: "gemm/software/register_16x8", splits: 1 }, asked: string[] = [];
  const choices: ProductChoices = { [shapeKey(shape)]: known };
  const choose = rememberingChooser(choices, (shape) => {
    asked.push(shapeKey(shape));
    return { core: "gemm/software/register_8x8", splits: asked.length };
  });
  assertEquals([choose(shape), choose(other).splits, choose({ ...other }).splits], [known, 1, 1]);
  assertEquals(asked, [shapeKey(other)]);
  assertEquals(Object.keys(choices), [shapeKey(shape), shapeKey(other)]);
});

Deno.test("rememberingChooser() refuses what does not compute a product", () => {
  const weight = backwardWeightShape(geometry);
  // 45 lines of the output: 7 splits have 7 each but the last, 23 have 2 but the last; in 40 some would be empty.
  const cases: readonly (readonly [ProductShape, ProductChoice, string | undefined])[] = [
    [weight, { core: "gemm/software/register_8x8", splits: 7 }, undefined],
    [weight, { core: "gemm/software/register_8x8", splits: 45 }, undefined],
    [weight, { core: "gemm/software/register_8x8", splits: 40 }, "its sum in 40 splits, expected at most 45"],
    [weight, { core: "gemm/software/register_8x8", splits: 46 }, "its sum in 46 splits, expected at most 45"],
    [weight, { core: "gemm/software/register_8x8", splits: 1.5 }, "its sum in 1.5 splits"],
    [
      shape,
      { core: "gemm/software/register_8x8", splits: 7 },
      "its sum in 7 splits, expected 1, since it cannot be split",
    ],
    [shape, { core: "gemm/software/register_9x9", splits: 1 }, "there is no core gemm/software/register_9x9"],
    [shape, { core: "winograd/backward_weight", splits: 1 }, "winograd/backward_weight does not serve it"],
    [
      shape,
      { core: "gemm/software/subgroup_8x32_windows", splits: 1 },
      "gemm/software/subgroup_8x32_windows does not serve it, whose rows lie otherwise",
    ],
  ];
  for (const [product, choice, fault] of cases) {
    const choose = rememberingChooser({ [shapeKey(product)]: choice }, () => choice);
    if (fault === undefined) assertEquals(choose(product), choice);
    else {
      const message = `Cannot compute as before product "${shapeKey(product)}": ${fault}`;
      assertThrows(() => choose(product), FormatError, message);
    }
  }
});

Deno.test("readChoices() reads what formatChoices() makes, which is in the order of the products", () => {
  const choices: ProductChoices = {
    [shapeKey(other)]: { core: "gemm/software/register_8x8", splits: 4, path: "storage" },
    [shapeKey(shape)]: { core: "gemm/gpu/tile_64x64", splits: 1 },
  };
  const texts = formatChoices(choices);
  assertEquals(Object.values(texts), [
    "gemm/gpu/tile_64x64, 1 split",
    "gemm/software/register_8x8, 4 splits, storage",
  ]);
  assertEquals(Object.keys(texts), Object.keys(texts).toSorted());
  assertEquals(readChoices(texts), choices);
  for (
    const text of [
      "",
      "gemm/gpu/tile_64x64",
      "gemm/gpu/tile_64x64, 0 splits",
      "a, 1 split, disk",
      "a b, 1 split",
    ]
  ) {
    const message = `Cannot compute product "p": "${text}", expected a core and its splits`;
    assertThrows(() => readChoices({ p: text }), FormatError, message);
  }
});

Deno.test("readChoices() knows the cores of reports from before they had folders", () => {
  const earlier = {
    a: "gemm/tile_64x64, 1 split",
    b: "gemm/register_32x4_strips, 1 split, texture",
    c: "gemm/subgroup_8x32_windows, 2 splits",
    d: "winograd/product, 1 split",
  };
  const cores = Object.values(readChoices(earlier)).map(({ core }) => core);
  assertEquals(cores, [
    "gemm/gpu/tile_64x64",
    "gemm/software/register_32x4_strips",
    "gemm/software/subgroup_8x32_windows",
    "winograd/product",
  ]);
  for (const core of cores) assertEquals(coreBlock(core).blocksPerWorkgroup > 0, true);
});
