/** Holds what moves channels against the f64 reference, bit by bit. */
import assert from "node:assert/strict";
import { ShapeError } from "../../src/errors.ts";
import { getLayerType, type LayerSpec } from "../../src/model/layers/index.ts";
import { mapShape } from "../../src/shape.ts";
import { type ChannelMove, channelShuffle, channelSlice } from "../reference/channels.ts";
import { randomTensor } from "../reference/tensor.ts";
import { readPaths } from "./harness.ts";
import { runLayer } from "./layers.ts";
import { assertSame } from "./precision.ts";

const shuffle = (groups: number) => ({ kind: "shuffle", name: "shuffle", groups }) as const;
const slice = (first: number, outChannels: number) =>
  ({ kind: "slice", name: "slice", first, outChannels }) as const;

for (const path of readPaths) {
  const check = async (spec: LayerSpec, shape: readonly number[], move: ChannelMove) => {
    const x = randomTensor(shape, 1), want = move.forward(x), dy = randomTensor(want.shape, 2);
    const name = `${path} ${JSON.stringify(spec)} of ${shape}`;
    const { y, dxs: [dx] } = await runLayer({ path, spec, inputs: [x], dy });
    assert.deepEqual(y.shape, want.shape);
    assertSame(y.values, want.values, `y, ${name}`);
    assertSame(dx.values, move.backward(x, dy).values, `dx, ${name}`);
    assert.deepEqual((await runLayer({ path, spec, inputs: [x], dy, wanted: [false] })).dxs, []);
  };

  Deno.test(`shuffle mixes the channels of groups, and back, ${path} path`, async () => {
    const cases = [[[1, 1, 1, 1], 1], [[2, 6, 3, 5], 2], [[2, 6, 3, 5], 3], [[1, 9, 4, 7], 3], [
      [3, 16, 5, 4],
      4,
    ], [[
      1,
      10,
      2,
      2,
    ], 10]] as const;
    for (const [shape, groups] of cases) await check(shuffle(groups), shape, channelShuffle(groups));
  });

  Deno.test(`slice takes channels, and gives them their gradient, ${path} path`, async () => {
    const cases = [[[1, 1, 1, 1], 0, 1], [[2, 8, 3, 5], 4, 4], [[2, 7, 3, 5], 3, 4], [[1, 9, 4, 7], 1, 2], [
      [3, 13, 5, 4],
      6,
      7,
    ]] as const;
    for (const [shape, first, count] of cases) {
      await check(slice(first, count), shape, channelSlice(first, count));
    }
  });
}

Deno.test("shuffle and slice refuse channels that there are not, and flattened maps", () => {
  const flattened = { ...mapShape(6, 1, 1), taps: 4 };
  const refuse = (spec: LayerSpec, shape: typeof flattened, message: RegExp) =>
    assert.throws(() => getLayerType(spec).outputShape(spec, [shape], spec.name), (error: Error) => {
      return error instanceof ShapeError && message.test(error.message);
    });
  refuse(shuffle(4), mapShape(6, 2, 2), /layer "shuffle": input 6 x 2 x 2, expected .* of its 4 groups/);
  refuse(shuffle(2), flattened, /that was flattened/);
  refuse(slice(4, 3), mapShape(6, 2, 2), /layer "slice": channels 4 to 6 of input 6 x 2 x 2, expected/);
  refuse(slice(0, 3), flattened, /that was flattened/);
});
