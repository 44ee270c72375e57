/**
 * Holds dropout against the f64 reference: what is dropped is exact, and what is kept has the roundings of 1 / (1 - p)
 * and of a product. Counts lie within five standard deviations of a binomial, which a fair draw misses once in 1.7
 * million.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { getLayerType, layerSchema } from "../../src/model/layers/index.ts";
import { dropout, isKept } from "../reference/dropout.ts";
import { randomTensor, type RefTensor, tensorOf } from "../reference/tensor.ts";
import { imagesFromQuads, readPaths } from "./harness.ts";
import { runLayer } from "./layers.ts";
import { assertRoundings, assertSame } from "./precision.ts";

interface Draw {
  readonly path: ReadPath;
  readonly p: number;
  readonly seed: number;
  readonly name?: string;
}

/** Runs a dropout on x and as the gradient of its output on dy. */
async function drop(x: RefTensor, dy: RefTensor, { path, p, seed, name = "drop" }: Draw) {
  const spec = { kind: "dropout", name, p } as const;
  const { y, dxs: [dx], dispatches } = await runLayer({ path, spec, inputs: [x], dy, step: { seed } });
  assert.deepEqual(dispatches.map(({ kernel }) => kernel), ["layer/dropout", "layer/dropout"]);
  return { y, dx, stream: dispatches[0].params.stream };
}

/** Asserts that a count of n draws of probability p is likely; draws may share their halves, which widens it. */
function assertLikely(count: number, { n, p, name, widening = 1 }: {
  readonly n: number;
  readonly p: number;
  readonly name: string;
  readonly widening?: number;
}): void {
  const deviation = Math.sqrt(n * p * (1 - p) * widening);
  assert(Math.abs(count - n * p) <= 5 * deviation, `${name}: ${count} of ${n}, expected ${n * p}`);
}

/** So many ones as a map of 4 channels, whose quads have no padding. */
function ones(pixels: number): RefTensor {
  return tensorOf([1, 4, 1, pixels], new Float64Array(4 * pixels).fill(1));
}

for (const path of readPaths) {
  Deno.test(`dropout() drops the same elements forward and backward, and scales the rest, ${path} path`, async () => {
    for (const [p, seed] of [[0, 1], [.3, 2], [.5, 0], [.5, 0xfedcba98], [.99, 3], [1 - 2 ** -40, 4]]) {
      for (const shape of [[1, 1, 1, 1], [2, 5, 3, 7], [3, 6, 9, 5]]) {
        const x = randomTensor(shape, 1), dy = randomTensor(shape, 2);
        const { y, dx, stream } = await drop(x, dy, { path, p, seed });
        const [batch, channels, height, width] = shape;
        const words = batch * height * width * 4 * Math.ceil(channels / 4);
        const places = imagesFromQuads(Array.from({ length: words }, (_, i) => i), shape);
        const keeps = Array.from(places, (index) => isKept(index, { p, seed, stream }));
        const options = { roundings: 2, name: `${path} p ${p}, seed ${seed}` };
        assertRoundings(y.values, dropout(x, keeps, p).values, options);
        assertRoundings(dx.values, dropout(dy, keeps, p).values, options);
      }
    }
  });

  Deno.test(`dropout() keeps a share of 1 - p, alike in seeds and layers that know nothing of each other, ${path} path`, async () => {
    const pixels = 2500, n = 4 * pixels, x = ones(pixels);
    for (const p of [.1, .5, .8]) {
      const masks = [];
      for (const [seed, name] of [[7, "drop"], [8, "drop"], [7, "other"]] as const) {
        const { y } = await drop(x, x, { path, p, seed, name });
        masks.push(y.values.map((value) => value === 0 ? 0 : 1));
        const kept = masks.at(-1)!.reduce((sum, value) => sum + value, 0);
        assertLikely(kept, { n, p: 1 - p, name: `kept by seed ${seed} in ${name}` });
      }
      const [first, ...others] = masks;
      for (const other of others) {
        const both = first.reduce((sum, value, i) => sum + value * other[i], 0);
        assertLikely(both, { n, p: (1 - p) ** 2, name: "kept in both of two masks" });
      }
      // Neighbours in a channel and between channels. Pairs that share an element of probability q are counted with
      // the variance of others times 1 + 2 q / (1 + q), below 2.
      for (const distance of [pixels, 1]) {
        const both = first.reduce((sum, value, i) => sum + value * first[(i + distance) % n], 0);
        assertLikely(both, {
          n,
          p: (1 - p) ** 2,
          name: `kept with the neighbour at ${distance}`,
          widening: 2,
        });
      }
    }
  });

  Deno.test(`dropout() gives the same mask for the same seed, ${path} path`, async () => {
    const x = ones(70), of = async (seed: number) => (await drop(x, x, { path, p: .5, seed })).y.values;
    assertSame(await of(5), await of(5), "mask");
    assert.notDeepEqual(await of(5), await of(6));
  });
}

Deno.test("dropout is a view outside training, and its p lies in [0, 1)", () => {
  const spec = layerSchema.parse({ kind: "dropout", name: "d" });
  assert.deepEqual(spec, { kind: "dropout", name: "d", p: 0.5 });
  const isView = getLayerType(spec).isView!;
  assert.deepEqual((["train", "score", "evaluate"] as const).map(isView), [false, true, true]);
  for (const p of [-.1, 1, NaN]) {
    assert(!layerSchema.safeParse({ kind: "dropout", name: "d", p }).success, `${p}`);
  }
});
