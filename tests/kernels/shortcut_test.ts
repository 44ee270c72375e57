/**
 * Holds sums, subsampling and joining against the f64 reference. Moved values are exact; a sum of n terms has n - 1
 * roundings of partial sums of at most n, the terms being at most 1.
 */
import assert from "node:assert/strict";
import { inputRefs } from "../../src/kernels/buffer_ref.ts";
import { ShapeError } from "../../src/errors.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { getLayerType, type LayerSpec } from "../../src/model/layers/index.ts";
import { type FeatureShape, mapShape } from "../../src/shape.ts";
import { reluForward } from "../reference/relu.ts";
import {
  addForward,
  concatBackward,
  concatForward,
  multiplyBackward,
  multiplyForward,
  subsampleBackward,
  subsampleForward,
} from "../reference/shortcut.ts";
import { assertClose, F32_ROUNDOFF, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { runLayer } from "./layers.ts";
import { assertSame, unwritten } from "./precision.ts";

const add = { kind: "add", name: "sum" } as const;

/** The shape that a layer gives to inputs. */
function outputOf(spec: LayerSpec, ...inputs: readonly FeatureShape[]): FeatureShape {
  return getLayerType(spec).outputShape(spec, inputs, spec.name);
}

for (const path of readPaths) {
  Deno.test(`add_forward() adds two to five maps, also before a ReLU, ${path} path`, async () => {
    for (
      const [shape, terms] of [[[1, 1, 1, 1], 2], [[2, 5, 3, 7], 2], [[3, 6, 9, 5], 3], [[1, 3, 2, 2], 5]]
    ) {
      const inputs = Array.from(
        { length: terms as number },
        (_, i) => randomTensor(shape as number[], i + 1),
      );
      const sum = addForward(inputs), tolerance = inputs.length * (inputs.length - 1) * F32_ROUNDOFF;
      for (const relu of [false, true]) {
        const { y, dispatches } = await runLayer({ path, spec: add, inputs, relu });
        const want = relu ? reluForward(sum) : sum;
        assertClose(y.values, want.values, { tolerance, name: `${path} sum of ${terms}` });
        assert.equal(dispatches.length, inputs.length - 1);
      }
    }
  });

  Deno.test(`add_forward() adds a map to itself, and gates a sum, ${path} path`, async () => {
    for (const quads of [1, 133]) {
      const [a, b, gate] = [1, 2, 3].map((seed) => Float32Array.from(randomTensor([4 * quads], seed).values));
      gate.set([0, -0], 1);
      const adds = (bindings: Record<string, string>, GATED: number) =>
        dispatchOver(quads, {
          kernel: "layer/add_forward",
          label: "sum",
          bindings: inputRefs(bindings),
          params: { quads },
          constants: { GATED },
        });
      const { floats } = await runKernels({
        path,
        dispatches: [
          adds({ a: "a", b: "a", gate: "a", y: "twice" }, 0),
          adds({ a: "a", b: "b", gate: "gate", y: "gated" }, 1),
        ],
        buffers: { a, b, gate, twice: unwritten(4 * quads), gated: unwritten(4 * quads) },
      });
      assertSame(floats("twice"), a.map((value) => 2 * value), `${path} a + a`);
      const gated = a.map((value, i) => gate[i] > 0 ? Math.fround(value + b[i]) : 0);
      assertSame(floats("gated"), gated, `${path} gated sum`);
    }
  });

  Deno.test(`multiply() by a map, or a number per channel, agrees with the reference, ${path} path`, async () => {
    const spec = { kind: "multiply", name: "product" } as const;
    for (const shape of [[1, 1, 1, 1], [2, 5, 3, 7], [3, 6, 9, 5], [2, 8, 4, 1]]) {
      for (const side of [[1, 1], shape.slice(2)]) {
        const inputs = [randomTensor(shape, 1), randomTensor([...shape.slice(0, 2), ...side], 2)];
        const [map, factor] = inputs,
          dy = randomTensor(shape, 3),
          name = `${path} ${shape} by ${factor.shape}`;
        const { y, dxs: [dMap, dFactor] } = await runLayer({ path, spec, inputs, dy });
        const [wantMap, wantFactor] = multiplyBackward(map, factor, dy);
        const exact = (values: Float64Array) => values.map(Math.fround);
        assertSame(y.values, exact(multiplyForward(map, factor).values), `y, ${name}`);
        assertSame(dMap.values, exact(wantMap.values), `map, ${name}`);
        const terms = shape[2] * shape[3];
        assertClose(dFactor.values, wantFactor.values, {
          tolerance: sumTolerance(terms + 1, terms),
          name: `factor, ${name}`,
        });
        for (const wanted of [[true, false], [false, true], [false, false]]) {
          const { dxs } = await runLayer({ path, spec, inputs, dy, wanted });
          assert.equal(dxs.length, wanted.filter((is) => is).length);
        }
      }
    }
  });

  Deno.test(`subsample moves pixels and channels there and back, ${path} path`, async () => {
    const cases = [
      { shape: [1, 1, 1, 1], outChannels: 1, stride: 1 },
      { shape: [2, 16, 8, 8], outChannels: 32, stride: 2 },
      { shape: [2, 5, 5, 7], outChannels: 7, stride: 2 },
      { shape: [1, 3, 7, 4], outChannels: 8, stride: 2 },
      { shape: [2, 2, 4, 3], outChannels: 9, stride: 3 },
      { shape: [1, 6, 3, 3], outChannels: 17, stride: 1 },
      { shape: [3, 4, 9, 9], outChannels: 12, stride: 4 },
      { shape: [1, 7, 2, 5], outChannels: 7, stride: 2 },
      { shape: [1, 1, 2, 2], outChannels: 40, stride: 2 },
      { shape: [2, 3, 4, 5], outChannels: 9, stride: 2, before: 0 },
      { shape: [1, 5, 3, 3], outChannels: 12, stride: 2, before: 7 },
      { shape: [1, 2, 4, 4], outChannels: 11, stride: 1, before: 6 },
    ];
    for (const { shape, ...options } of cases) {
      const x = randomTensor(shape, 1), want = subsampleForward(x, options);
      const dy = randomTensor(want.shape, 2), name = `${path} ${shape} to ${options.outChannels}`;
      const spec = { kind: "subsample", name: "shortcut", ...options } as const;
      const { y, dxs: [dx], dispatches } = await runLayer({ path, spec, inputs: [x], dy });
      const kernels = ["layer/slice_channels", "layer/subsample_backward"];
      assert.deepEqual(dispatches.map(({ kernel }) => kernel), kernels);
      assert.deepEqual(y.shape, want.shape);
      assertSame(y.values, want.values, `y, ${name}`);
      assertSame(dx.values, subsampleBackward(x, dy, options).values, `dx, ${name}`);
      const { dxs } = await runLayer({ path, spec, inputs: [x], dy, wanted: [false] });
      assert.deepEqual(dxs, []);
    }
  });

  Deno.test(`concat_forward() joins maps, and slice_channels() parts the gradient, ${path} path`, async () => {
    const spec = { kind: "concat", name: "join" } as const;
    const cases = [[1], [1, 1], [1, 2, 1], [4, 8], [5, 7, 3], [3, 4, 8], [2, 1, 1, 1, 6], [8, 1], [
      6,
      2,
      9,
      4,
      3,
    ]];
    for (const [batch, height, width] of [[1, 1, 1], [2, 3, 7]]) {
      for (const channels of cases) {
        const inputs = channels.map((count, i) => randomTensor([batch, count, height, width], i + 1));
        const want = concatForward(inputs), dy = randomTensor(want.shape, 20);
        const name = `${path} ${channels} of ${height} x ${width}`;
        const { y, dxs } = await runLayer({ path, spec, inputs, dy });
        assert.deepEqual(y.shape, want.shape);
        assertSame(y.values, want.values, `y, ${name}`);
        for (const [i, dx] of concatBackward(inputs, dy).entries()) {
          assertSame(dxs[i].values, dx.values, `dx of ${i}, ${name}`);
        }
      }
    }
    const inputs = [3, 2, 4].map((count) => randomTensor([2, count, 3, 3], count));
    const dy = randomTensor([2, 9, 3, 3], 9);
    const { dxs } = await runLayer({ path, spec, inputs, dy, wanted: [true, false, true] });
    const [first, , third] = concatBackward(inputs, dy);
    for (const [i, want] of [first, third].entries()) {
      assertSame(dxs[i].values, want.values, `wanted dx ${i}`);
    }
  });
}

Deno.test("add refuses one input and inputs of several shapes, and names them", () => {
  const map = mapShape(5, 4, 3), flat = { ...mapShape(5, 1, 1), taps: 4 };
  assert.deepEqual(outputOf(add, map, map, map), map);
  assert.deepEqual(outputOf(add, flat, flat), flat);
  const refuse = (message: string, ...inputs: readonly FeatureShape[]) =>
    assert.throws(() => outputOf(add, ...inputs), (error) => {
      assert(error instanceof ShapeError);
      assert.equal(error.message, `Cannot apply layer "sum": ${message}`);
      return true;
    });
  refuse("one input, 5 x 4 x 3, expected two or more to add", map);
  refuse("inputs 5 x 4 x 3 and 6 x 4 x 3, expected inputs of one shape", map, mapShape(6, 4, 3));
  refuse("inputs 5 x 4 x 3 and 5 x 3 x 4, expected inputs of one shape", map, map, mapShape(5, 3, 4));
  refuse(
    "inputs 20, flattened from 4 pixels and 20, expected inputs of one shape",
    flat,
    mapShape(20, 1, 1),
  );
});

Deno.test("multiply refuses one input, three, and a factor of another shape", () => {
  const spec = { kind: "multiply", name: "product" } as const, map = mapShape(5, 4, 3);
  const refuse = (message: RegExp, ...inputs: readonly FeatureShape[]) =>
    assert.throws(() => outputOf(spec, ...inputs), { name: "ShapeError", message });
  refuse(/layer "product": inputs 5 x 4 x 3, expected a map, and a factor/, map);
  refuse(/inputs 5 x 4 x 3 and 5 x 4 x 3 and 5 x 4 x 3, expected/, map, map, map);
  refuse(/inputs 5 x 4 x 3 and 5 x 4 x 1, expected/, map, mapShape(5, 4, 1));
  refuse(/inputs 5 x 4 x 3 and 4, expected/, map, mapShape(4, 1, 1));
  refuse(/inputs 5 and 5 x 4 x 3, expected/, mapShape(5, 1, 1), map);
});

Deno.test("subsample refuses fewer channels out than in, and flattened maps", () => {
  const spec = { kind: "subsample", name: "shortcut", outChannels: 4, stride: 2 } as const;
  const refuse = (input: FeatureShape, message: RegExp) =>
    assert.throws(() => outputOf(spec, input), { name: "ShapeError", message });
  refuse(mapShape(5, 2, 2), /"shortcut": input 5 x 2 x 2, outChannels 4, expected at least 5 channels out/);
  refuse({ ...mapShape(2, 1, 1), taps: 4 }, /"shortcut": input 8 that was flattened/);
  assert.throws(() => outputOf({ ...spec, before: 2 }, mapShape(3, 2, 2)), {
    name: "ShapeError",
    message: /outChannels 4, 2 of zeros before it, expected at least 5 channels out/,
  });
});

Deno.test("concat refuses other heights or widths, and flattened maps, and names them", () => {
  const spec = { kind: "concat", name: "join" } as const;
  const refuse = (message: RegExp, ...inputs: readonly FeatureShape[]) =>
    assert.throws(() => outputOf(spec, ...inputs), { name: "ShapeError", message });
  const map = mapShape(5, 4, 3);
  refuse(
    /layer "join": inputs 5 x 4 x 3 and 5 x 3 x 3, expected one height and width/,
    map,
    mapShape(5, 3, 3),
  );
  refuse(/layer "join": inputs 5 x 4 x 3 and 2 x 4 x 4, expected/, map, map, mapShape(2, 4, 4));
  refuse(/layer "join": input 8 that was flattened/, mapShape(3, 1, 1), { ...mapShape(2, 1, 1), taps: 4 });
});
