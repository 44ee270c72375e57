import { assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import {
  formatChoices,
  type ProductChoices,
  readChoices,
  rememberingChooser,
  shapeKey,
} from "../../src/kernels/choices.ts";
import { forwardShape } from "../../src/model/convolution.ts";

const geometry = {
  ...{ images: 5, inQuads: 3, inHeight: 9, inWidth: 7, outChannels: 18, outHeight: 9, outWidth: 7 },
  ...{ kernelHeight: 3, kernelWidth: 3, stride: 1, padding: 1 },
};
const shape = forwardShape(geometry), other = forwardShape({ ...geometry, images: 6 });

Deno.test("rememberingChooser() asks once for a product, and not at all for one that is known", () => {
  const known = { core: "gemm/register_16x8", splits: 3 }, asked: string[] = [];
  const choices: ProductChoices = { [shapeKey(shape)]: known };
  const choose = rememberingChooser(choices, (shape) => {
    asked.push(shapeKey(shape));
    return { core: "gemm/register_8x8", splits: asked.length };
  });
  assertEquals([choose(shape), choose(other).splits, choose({ ...other }).splits], [known, 1, 1]);
  assertEquals(asked, [shapeKey(other)]);
  assertEquals(Object.keys(choices), [shapeKey(shape), shapeKey(other)]);
});

Deno.test("readChoices() reads what formatChoices() makes, which is in the order of the products", () => {
  const choices: ProductChoices = {
    [shapeKey(other)]: { core: "gemm/register_8x8", splits: 4, path: "storage" },
    [shapeKey(shape)]: { core: "gemm/tile_64x64", splits: 1 },
  };
  const texts = formatChoices(choices);
  assertEquals(Object.values(texts), ["gemm/tile_64x64, 1 split", "gemm/register_8x8, 4 splits, storage"]);
  assertEquals(Object.keys(texts), Object.keys(texts).toSorted());
  assertEquals(readChoices(texts), choices);
  for (
    const text of ["", "gemm/tile_64x64", "gemm/tile_64x64, 0 splits", "a, 1 split, disk", "a b, 1 split"]
  ) {
    const message = `Cannot compute product "p": "${text}", expected a core and its splits`;
    assertThrows(() => readChoices({ p: text }), FormatError, message);
  }
});
