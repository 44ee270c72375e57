/**
 * Holds activations against the f64 reference, in units of u = 2^-24 of max(1, |x|). WGSL's exp(z) is off by
 * (6 + 4 |z|) u, division by 5 u. So sigmoid(z) is off by at most s (1 - s) (6 + 4 |z|) + 6 < 9, and 4 s (1 - s) |z| < 1
 * more where z is a cubic; sigmoid'(z) by s (1 - s) (14 + 4 |z|), which times |z| is below 5, and times |x| and the
 * derivative of the cubic below 8. Products and sums add 1 each. erf is right to 1e-6 (distribution_test.ts) and enters by
 * half, beside which x exp(-x^2 / 2) / sqrt(2 pi) is off by at most 4 u. tanh is two sigmoids of 2 z, its slope four
 * times sigmoid', which is below 4 there. The s of Mish is off by (13 + 8 |z|) s, which its quotient takes at most .25 of,
 * its second term below .4 where it is largest. ELU is off by exp(x) (6 + 4 |x|) + 2, which is largest at 0.
 */
import assert from "node:assert/strict";
import { layerSchema, type LayerSpec } from "../../src/model/layers/index.ts";
import {
  type Activation,
  activationBackward,
  activationForward,
  clip,
  elu,
  gelu,
  geluTanh,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  mish,
  preluBackward,
  preluForward,
  sigmoid,
  silu,
  tanh,
} from "../reference/activations.ts";
import { assertClose, F32_ROUNDOFF, randomTensor, sumTolerance, tensorOf } from "../reference/tensor.ts";
import { fromQuads, readPaths, toQuads } from "./harness.ts";
import { runLayer } from "./layers.ts";
import { assertPadding } from "./precision.ts";

const ofErf = 1e-6 / F32_ROUNDOFF;

/** Each with the roundings that its value and its slope may be off by. */
const activations: readonly {
  readonly spec: Record<string, unknown>;
  readonly stem: string;
  readonly want: Activation;
  readonly roundings: readonly [number, number];
  /** True if it takes care of padding. */
  readonly isPadded?: boolean;
}[] = [
  { spec: { kind: "leakyrelu" }, stem: "activation/leakyrelu", want: leakyRelu(.01), roundings: [2, 2] },
  {
    spec: { kind: "leakyrelu", negativeSlope: -.3 },
    stem: "activation/leakyrelu",
    want: leakyRelu(-.3),
    roundings: [2, 2],
  },
  { spec: { kind: "silu" }, stem: "activation/silu", want: silu, roundings: [10, 16] },
  { spec: { kind: "gelu" }, stem: "activation/gelu", want: gelu, roundings: [ofErf, ofErf] },
  {
    spec: { kind: "gelu", approximate: "tanh" },
    stem: "activation/gelu_tanh",
    want: geluTanh,
    roundings: [11, 20],
  },
  { spec: { kind: "clip" }, stem: "activation/clip", want: clip(0, 6), roundings: [0, 1], isPadded: true },
  {
    spec: { kind: "clip", min: .25, max: .5 },
    stem: "activation/clip",
    want: clip(.25, .5),
    roundings: [0, 1],
    isPadded: true,
  },
  { spec: { kind: "elu" }, stem: "activation/elu", want: elu(1), roundings: [8, 8] },
  { spec: { kind: "elu", alpha: -.5 }, stem: "activation/elu", want: elu(-.5), roundings: [8, 8] },
  {
    spec: { kind: "hardsigmoid" },
    stem: "activation/hardsigmoid",
    want: hardSigmoid(1 / 6, .5),
    roundings: [3, 2],
    isPadded: true,
  },
  {
    spec: { kind: "hardsigmoid", alpha: .2, beta: .25 },
    stem: "activation/hardsigmoid",
    want: hardSigmoid(.2, .25),
    roundings: [3, 2],
    isPadded: true,
  },
  { spec: { kind: "hardswish" }, stem: "activation/hardswish", want: hardSwish, roundings: [8, 8] },
  { spec: { kind: "mish" }, stem: "activation/mish", want: mish, roundings: [14, 30] },
  { spec: { kind: "sigmoid" }, stem: "activation/sigmoid", want: sigmoid, roundings: [9, 8], isPadded: true },
  { spec: { kind: "tanh" }, stem: "activation/tanh", want: tanh, roundings: [20, 18] },
];

/** The edges of f32, and what lies at the ends of clamps. */
const edges = [0, -0, 1e-30, -1e-30, 10, -10, 80, -80, 81, -81, 1e13, -1e13, 3e38, -3e38].map(Math.fround);

for (const path of readPaths) {
  for (const { spec, stem, want, roundings, isPadded = false } of activations) {
    Deno.test(`activation/forward() and its backward agree on ${JSON.stringify(spec)}, ${path} path`, async () => {
      const layer: LayerSpec = layerSchema.parse({ name: "activation", ...spec });
      for (const shape of [[1, 1, 1, 1], [2, 5, 3, 7], [3, 6, 9, 5]]) {
        const x = randomTensor(shape, 1, 7), dy = randomTensor(shape, 2);
        if (shape[0] === 3) x.values.set(edges);
        const { y, dxs: [dx], dispatches } = await runLayer({ path, spec: layer, inputs: [x], dy });
        const kernels = [
          isPadded ? "activation/forward_padded" : "activation/forward",
          "activation/backward",
        ].map((core) => `${core}:${stem}`);
        assert.deepEqual(dispatches.map(({ kernel }) => kernel), kernels);
        const scaled = (values: Float64Array) =>
          values.map((value, i) => value / Math.max(1, Math.abs(x.values[i])));
        const [ofValue, ofSlope] = roundings;
        assertClose(scaled(y.values), scaled(activationForward(x, want).values), {
          tolerance: ofValue * F32_ROUNDOFF,
          name: `${stem} y, ${path}`,
        });
        assertClose(dx.values, activationBackward(x, dy, want).values, {
          tolerance: ofSlope * F32_ROUNDOFF,
          name: `${stem} dx, ${path}`,
        });
        const { dxs } = await runLayer({ path, spec: layer, inputs: [x], dy, wanted: [false] });
        assert.deepEqual(dxs, []);
      }
    });
  }

  Deno.test(`prelu agrees with the reference, by slopes of channels and by one, ${path} path`, async () => {
    for (const shape of [[1, 1, 1, 1], [2, 5, 3, 7], [3, 6, 9, 5], [2, 40, 11, 12]]) {
      for (const shared of [true, false]) {
        const x = randomTensor(shape, 1),
          dy = randomTensor(shape, 2),
          slopes = randomTensor([shared ? 1 : shape[1]], 3);
        // Padding is 0 in arenas.
        const parameter = toQuads(slopes.values, 1, slopes.values.length);
        const spec = { kind: "prelu", name: "prelu", shared } as const;
        const { y, dxs: [dx], gradient } = await runLayer({ path, spec, inputs: [x], dy, parameter });
        const want = preluBackward(x, slopes, dy), name = `${path} ${shape}, shared ${shared}`;
        assertClose(y.values, preluForward(x, slopes).values, {
          tolerance: F32_ROUNDOFF,
          name: `y, ${name}`,
        });
        assertClose(dx.values, want.dx.values, { tolerance: F32_ROUNDOFF, name: `dx, ${name}` });
        const terms = x.values.length / slopes.values.length;
        assertClose(fromQuads(gradient, 1, slopes.values.length), want.dSlopes.values, {
          tolerance: sumTolerance(terms + 1, terms),
          name: `slopes, ${name}`,
        });
        assertPadding(gradient, slopes.values.length, { name: `slopes, ${name}` });
        const { dxs } = await runLayer({ path, spec, inputs: [x], dy, parameter, wanted: [false] });
        assert.deepEqual(dxs, []);
      }
    }
  });

  Deno.test(`activations pass NaN on, ${path} path`, async () => {
    const x = tensorOf([1, 5, 1, 1], [NaN, 1, NaN, -1, NaN]);
    for (const { spec } of activations) {
      const { y } = await runLayer({ path, spec: layerSchema.parse({ name: "a", ...spec }), inputs: [x] });
      assert.deepEqual(
        [...y.values].map(Number.isNaN),
        [true, false, true, false, true],
        JSON.stringify(spec),
      );
    }
  });

  Deno.test(`elu and tanh keep their digits near 0, ${path} path`, async () => {
    const x = tensorOf([1, 4, 1, 1], [-1e-4, -1e-6, -3e-3, -9e-3]);
    for (const [kind, want] of [["elu", elu(1)], ["tanh", tanh]] as const) {
      const { y } = await runLayer({ path, spec: layerSchema.parse({ name: "a", kind }), inputs: [x] });
      const relative = activationForward(x, want).values.map((value, i) => y.values[i] / value - 1);
      assertClose(relative, relative.map(() => 0), { tolerance: 8 * F32_ROUNDOFF, name: kind });
    }
  });

  Deno.test(`error_function() is odd: GELU below zero, ${path} path`, async () => {
    const x = tensorOf([1, 4, 1, 1], [-4, -3, -1e-3, -6]),
      spec = layerSchema.parse({ kind: "gelu", name: "g" });
    const { y } = await runLayer({ path, spec, inputs: [x] });
    assertClose(y.values, activationForward(x, gelu).values, { tolerance: 3e-6, name: "GELU below zero" });
  });
}

Deno.test("layerSchema gives activations PyTorch's defaults and refuses other approximations", () => {
  assert.deepEqual(layerSchema.parse({ kind: "gelu", name: "g" }), {
    kind: "gelu",
    name: "g",
    approximate: "none",
  });
  const leaky = { kind: "leakyrelu", name: "l" } as const;
  assert.deepEqual(layerSchema.parse(leaky), { ...leaky, negativeSlope: 0.01 });
  assert(!layerSchema.safeParse({ ...leaky, negativeSlope: Infinity }).success);
  assert(!layerSchema.safeParse({ kind: "gelu", name: "g", approximate: "erf" }).success);
  const clip = { kind: "clip", name: "c" } as const;
  assert.deepEqual(layerSchema.parse(clip), { ...clip, min: 0, max: 6 });
  assert(!layerSchema.safeParse({ ...clip, min: 6 }).success);
  const hard = { kind: "hardsigmoid", name: "h" } as const;
  assert.deepEqual(layerSchema.parse(hard), { ...hard, alpha: 1 / 6, beta: 0.5 });
});
