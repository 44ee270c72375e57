/**
 * Checks what needs no goldens: error function, priors, selection, masks, masked steps and the assertions themselves.
 */
import { confidenceOf, evidencePrior, matchedPrior } from "./confidence.ts";
import { kthSmallest, pruneMask } from "./criteria.ts";
import { erf, erfc } from "./erf.ts";
import { adamStep, adamwStep, createAdamState, createSgdState, sgdStep } from "./optimizers.ts";
import { assertClose, randomTensor, sumTolerance } from "./tensor.ts";

/** Asserts that a call throws a RangeError whose message holds every part. */
function assertThrows(call: () => unknown, ...parts: string[]): void {
  try {
    call();
  } catch (error) {
    const message = error instanceof RangeError ? error.message : `not a RangeError: ${error}`;
    for (const part of parts) {
      if (!message.includes(part)) {
        throw new RangeError(`Cannot accept "${message}": expected "${part}" in it`);
      }
    }
    return;
  }
  throw new RangeError(`Cannot accept "call": it returned, expected a RangeError`);
}

Deno.test("erf() and erfc() match C's libm", () => {
  const wanted = [ // x, erf, erfc from CPython's math module
    [.1, 0.1124629160182849, 0.8875370839817152],
    [.5, 0.5204998778130465, 0.4795001221869535],
    [1, 0.8427007929497149, 0.15729920705028513],
    [2, 0.9953222650189527, 0.004677734981047265],
    [2.49, 0.9995707121322661, 0.000429287867733913],
    [2.5, 0.999593047982555, 0.0004069520174449589],
    [3, 0.9999779095030014, 2.2090496998585438e-05],
    [5, 0.9999999999984626, 1.5374597944280351e-12],
  ];
  for (const [x, wantErf, wantErfc] of wanted) {
    // Up to a dozen roundings of the last places, each 2^-53 of a value near 1.
    assertClose([erf(x), -erf(-x)], [wantErf, wantErf], { tolerance: 12 * 2 ** -53, name: `erf(${x})` });
    // Above 2.5 the relative error is that of exp(-x^2), x^2 2^-53, and a few roundings; below, 1 - erf's.
    const tolerance = x < 2.5 ? 12 * 2 ** -53 : (x * x + 12) * 2 ** -53 * wantErfc;
    assertClose([erfc(x)], [wantErfc], { tolerance, name: `erfc(${x})` });
  }
  assertClose([erf(0), erf(Infinity), erf(-Infinity), erf(30)], [0, 1, -1, 1], {
    tolerance: 0,
    name: "erf limits",
  });
});

Deno.test("confidenceOf() is the normal law's central probability", () => {
  const got = confidenceOf([0, 1, Math.SQRT2, 1.959963984540054]);
  const want = [0, 0.6826894921370859, 0.8427007929497149, 0.95];
  assertClose(got, want, { tolerance: 1e-15, name: "confidence" });
});

Deno.test("evidencePrior() ends at a fixed point of MacKay's update", () => {
  const mean = randomTensor([50], 1).values, fisher = randomTensor([50], 2).values.map((value) => value ** 2);
  const lambda = evidencePrior(mean, fisher, { exampleCount: 100, rounds: 200 });
  const gamma = fisher.reduce((sum, value) => sum + 100 * value / (100 * value + lambda), 0);
  const squares = mean.reduce((sum, value) => sum + value ** 2, 0);
  // 50 terms a sum, two sums, and the map contracts: 200 rounds leave roundings alone.
  assertClose([lambda], [gamma / squares], { tolerance: 256 * 2 ** -53 * lambda, name: "lambda" });
  const matched = matchedPrior([mean.subarray(0, 20), mean.subarray(20)]);
  assertClose([matched], [50 / squares], { tolerance: 64 * 2 ** -53 * matched, name: "matched lambda" });
});

Deno.test("evidencePrior() keeps within its bounds", () => {
  const options = { exampleCount: 10, lowest: .5, highest: 7 };
  const got = [evidencePrior([0, 0], [1, 1], options), evidencePrior([1, 1], [0, 0], options)];
  assertClose(got, [7, .5], { tolerance: 0, name: "clamped lambda" });
});

Deno.test("kthSmallest() counts equal scores and refuses what has no answer", () => {
  const scores = [3, 1, 2, 1, Infinity, 0];
  const got = [1, 2, 3, 4, 5, 6].map((k) => kthSmallest(scores, k));
  assertClose(got, [0, 1, 1, 2, 3, Infinity], { tolerance: 0, name: "order" });
  assertThrows(() => kthSmallest(scores, 0), '"k": 0', "[1, 6]");
  assertThrows(() => kthSmallest(scores, 7), '"k": 7');
  assertThrows(() => kthSmallest([1, NaN], 1), "scores[1]");
});

Deno.test("pruneMask() removes exactly the asked count, of ties the lower index", () => {
  const scores = [2, 1, 1, -0, 1, 0];
  const masks = [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1], [1, 1, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0], [
    1,
    0,
    0,
    0,
    1,
    0,
  ]];
  masks.forEach((want, count) =>
    assertClose(pruneMask(scores, count), want, { tolerance: 0, name: `mask without ${count}` })
  );
  assertClose(pruneMask(scores, 6), [0, 0, 0, 0, 0, 0], { tolerance: 0, name: "mask without all" });
  assertThrows(() => pruneMask(scores, 7), '"removeCount": 7');
});

Deno.test("sgdStep() and adamwStep() keep a masked value at 0", () => {
  const mask = [1, 0, 1], gradients = [.5, -.5, .25], unmasked = Float64Array.of(1, 0, -1);
  const sgd = unmasked.slice(), masked = unmasked.slice(), adamw = unmasked.slice();
  const states = [createSgdState(3), createSgdState(3)], adamState = createAdamState(3);
  for (let step = 0; step < 3; step++) {
    sgdStep(sgd, gradients, states[0], { learningRate: .1, momentum: .9 });
    sgdStep(masked, gradients, states[1], { learningRate: .1, momentum: .9, mask });
    adamwStep(adamw, gradients, adamState, { learningRate: .1, weightDecay: .01, mask });
  }
  assertClose(masked, [sgd[0], 0, sgd[2]], { tolerance: 0, name: "masked sgd" });
  assertClose([adamw[1]], [0], { tolerance: 0, name: "masked adamw" });
});

Deno.test("sgdStep(), adamStep() and adamwStep() apply weight decay each in its way", () => {
  const [sgd, adam, adamw] = [Float64Array.of(4), Float64Array.of(4), Float64Array.of(4)];
  sgdStep(sgd, [0], createSgdState(1), { learningRate: .25, weightDecay: .5 });
  // A first Adam step is learningRate * sign(g): decay makes g = 2 there, and leaves g = 0 in AdamW.
  adamStep(adam, [0], createAdamState(1), { learningRate: .25, weightDecay: .5, eps: 0 });
  adamwStep(adamw, [0], createAdamState(1), { learningRate: .25, weightDecay: .5 });
  // A dozen roundings of values up to 4.
  const tolerance = 12 * 2 ** -51;
  assertClose([sgd[0], adam[0], adamw[0]], [3.5, 3.75, 3.5], { tolerance, name: "decayed" });
});

Deno.test("assertClose() names the worst value and refuses NaN and other lengths", () => {
  const options = { tolerance: .5, name: "y" };
  assertClose([1.5, Infinity], [1, Infinity], options);
  assertThrows(
    () => assertClose([1, 4, 9], [1, 3, 2], options),
    '"y": 9 at index 2',
    "expected 2",
    "error 7",
    "0.5",
  );
  assertThrows(() => assertClose([1, NaN], [5, 2], options), "NaN at index 1");
  assertThrows(() => assertClose([1], [1, 2], options), "1 values, expected 2");
});

Deno.test("sumTolerance() covers f32 sums and grows with their length", () => {
  for (const length of [1, 2, 100, 10_000]) {
    const terms = randomTensor([length], length).values.map(Math.abs);
    let single = 0, exact = 0;
    for (const term of terms) {
      single = Math.fround(single + term);
      exact += term;
    }
    assertClose([single], [exact], { tolerance: sumTolerance(length, exact), name: `sum of ${length}` });
  }
  assertClose([sumTolerance(0, 1)], [2 ** -24], { tolerance: 2 ** -47, name: "no additions, one rounding" });
});
