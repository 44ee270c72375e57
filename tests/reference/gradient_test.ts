/**
 * Holds every backward pass against central differences and the convolutions against the adjoint identity; needs no
 * goldens. Each loss is <dy, f(x)> with a random dy, so that its gradient is the backward pass of dy.
 */
import {
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
} from "./activations.ts";
import {
  batchNorm2dBackward,
  batchNorm2dEval,
  batchNorm2dEvalBackward,
  batchNorm2dTrain,
} from "./batchnorm2d.ts";
import { conv2dBackward, conv2dForward, type Conv2dOptions } from "./conv2d.ts";
import { crossEntropy } from "./cross_entropy.ts";
import { assertGradient } from "./finite_difference.ts";
import { linearBackward, linearForward } from "./linear.ts";
import { lossAndGradients, PARAMETER_NAMES, randomParameters } from "./network.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  maxPool2dBackward,
  maxPool2dForward,
  type Pool2dOptions,
  pooledShape,
} from "./pool2d.ts";
import { reluBackward, reluForward } from "./relu.ts";
import { channelShuffle, channelSlice } from "./channels.ts";
import {
  concatBackward,
  concatForward,
  multiplyBackward,
  multiplyForward,
  subsampleBackward,
  subsampleForward,
} from "./shortcut.ts";
import { absoluteOf, assertClose, dot, randomTensor, type RefTensor, tensorOf } from "./tensor.ts";

const CONVOLUTIONS: readonly (Conv2dOptions & { readonly x: number[]; readonly w: number[] })[] = [
  { x: [2, 3, 5, 4], w: [4, 3, 3, 3], stride: 1, padding: 1 },
  { x: [1, 2, 7, 6], w: [3, 2, 3, 3], stride: 2, padding: 1 },
  { x: [2, 1, 6, 6], w: [1, 1, 1, 1], stride: 2, padding: 0 },
  { x: [1, 2, 5, 6], w: [2, 2, 5, 3], stride: 1, padding: 2 },
  { x: [1, 1, 1, 1], w: [1, 1, 3, 3], stride: 3, padding: 1 },
  { x: [1, 2, 7, 6], w: [3, 2, 3, 2], stride: [1, 2], padding: [2, 0], dilation: [2, 1] },
  { x: [2, 6, 4, 5], w: [9, 2, 2, 3], stride: [2, 1], padding: [0, 1], groups: 3 },
  { x: [1, 3, 5, 5], w: [3, 1, 3, 3], stride: 1, padding: 2, dilation: 2, groups: 3 },
];
const POOLINGS: readonly (Pool2dOptions & { readonly shape: number[] })[] = [
  { shape: [2, 2, 4, 4], kernel: 2, stride: 2, padding: 0 },
  { shape: [1, 3, 5, 7], kernel: 2, stride: 2, padding: 0 },
  { shape: [1, 2, 6, 6], kernel: 3, stride: 2, padding: 1 },
  { shape: [1, 1, 1, 1], kernel: 1, stride: 1, padding: 0 },
  { shape: [1, 2, 5, 7], kernel: [3, 2], stride: [1, 2], padding: [1, 0] },
];

/** Moves values away from 0 by 1e-2, farther than any step, so that no difference straddles ReLU's kink. */
function awayFromZero(x: RefTensor): RefTensor {
  return { shape: x.shape, values: x.values.map((value) => value + (value < 0 ? -1e-2 : 1e-2)) };
}

/** Makes a random order of 0, .1, .2, ... so that no difference changes which pixel of a window is the largest. */
function distinctTensor(shape: readonly number[], seed: number): RefTensor {
  const { values } = randomTensor(shape, seed);
  return { shape, values: values.map((value) => .1 * values.filter((other) => other < value).length) };
}

Deno.test("conv2dBackward() agrees with central differences", () => {
  for (const { x: xShape, w: wShape, ...options } of CONVOLUTIONS) {
    const x = randomTensor(xShape, 1), w = randomTensor(wShape, 2), b = randomTensor([wShape[0]], 3);
    const dy = randomTensor(conv2dForward(x, w, b, options).shape, 4);
    const { dx, dw, db } = conv2dBackward(x, w, dy, options);
    const evaluate = () => dot(dy.values, conv2dForward(x, w, b, options).values);
    assertGradient(evaluate, x, dx, { name: "conv2d dx" });
    assertGradient(evaluate, w, dw, { name: "conv2d dw" });
    assertGradient(evaluate, b, db, { name: "conv2d db" });
  }
});

Deno.test("conv2dBackward() is the adjoint of conv2dForward(), in x and in w", () => {
  for (const { x: xShape, w: wShape, ...options } of CONVOLUTIONS) {
    const x = randomTensor(xShape, 5), w = randomTensor(wShape, 6);
    const y = conv2dForward(x, w, undefined, options);
    const dy = randomTensor(y.shape, 7);
    const { dx, dw } = conv2dBackward(x, w, dy, options);
    const want = dot(dy.values, y.values);
    // gamma_n of f64 times the sum of |dy w x|; n counts every product and addition on the longest path.
    const sizes = conv2dForward(absoluteOf(x), absoluteOf(w), undefined, options);
    const roundings = x.values.length + w.values.length + dy.values.length;
    const tolerance = roundings * 2 ** -52 * dot(absoluteOf(dy).values, sizes.values);
    assertClose([dot(dx.values, x.values)], [want], { tolerance, name: "<dx, x>" });
    assertClose([dot(dw.values, w.values)], [want], { tolerance, name: "<dw, w>" });
  }
});

Deno.test("linearBackward() agrees with central differences", () => {
  for (const [batch, inputs, outputs] of [[3, 5, 4], [1, 1, 1], [2, 7, 1]]) {
    const x = randomTensor([batch, inputs], 1), w = randomTensor([outputs, inputs], 2);
    const b = randomTensor([outputs], 3), dy = randomTensor([batch, outputs], 4);
    const { dx, dw, db } = linearBackward(x, w, dy);
    const evaluate = () => dot(dy.values, linearForward(x, w, b).values);
    assertGradient(evaluate, x, dx, { name: "linear dx" });
    assertGradient(evaluate, w, dw, { name: "linear dw" });
    assertGradient(evaluate, b, db, { name: "linear db" });
  }
});

Deno.test("reluBackward() agrees with central differences, and is 0 at 0", () => {
  const x = awayFromZero(randomTensor([3, 7], 1)), dy = randomTensor([3, 7], 2);
  assertGradient(() => dot(dy.values, reluForward(x).values), x, reluBackward(x, dy), { name: "relu dx" });
  const zero = { shape: [1], values: Float64Array.of(0) }, one = { shape: [1], values: Float64Array.of(1) };
  assertClose(reluBackward(zero, one).values, [0], { tolerance: 0, name: "relu dx at 0" });
});

Deno.test("activationBackward() agrees with central differences, and leakyRelu() has its slope at 0", () => {
  const x = awayFromZero(randomTensor([3, 7], 1, 4)), dy = randomTensor([3, 7], 2);
  for (
    const [name, activation] of Object.entries({
      leaky: leakyRelu(.2),
      silu,
      gelu,
      geluTanh,
      elu: elu(2),
      clip: clip(-.5, .25),
      hardSigmoid: hardSigmoid(.7, .25),
      hardSwish,
      mish,
      sigmoid,
      tanh,
    })
  ) {
    const evaluate = () => dot(dy.values, activationForward(x, activation).values);
    assertGradient(evaluate, x, activationBackward(x, dy, activation), { name: `${name} dx` });
  }
  // Phi(1), 1 / (1 + exp(-1)), and (1 + tanh(1.044715 sqrt(2 / pi))) / 2.
  const wanted = [0.8413447460685429, 0.7310585786300049, 0.8411919906082768];
  for (const channels of [1, 3]) {
    const map = randomTensor([2, 3, 2, 4], 5), slopes = randomTensor([channels], 6);
    const dMap = randomTensor(map.shape, 7), { dx, dSlopes } = preluBackward(map, slopes, dMap);
    const evaluate = () => dot(dMap.values, preluForward(map, slopes).values);
    assertGradient(evaluate, map, dx, { name: "prelu dx" });
    assertGradient(evaluate, slopes, dSlopes, { name: "prelu slopes" });
  }
  const ofOne = [gelu, silu, geluTanh].map(({ value }) => value(1));
  assertClose(ofOne, wanted, { tolerance: 1e-15, name: "activations of 1" });
  assertClose([leakyRelu(.2).slope(0)], [.2], { tolerance: 0, name: "leaky ReLU's slope at 0" });
});

Deno.test("subsampleBackward() and concatBackward() agree with central differences", () => {
  const shortcuts = [[[2, 3, 5, 4], 6, 2], [[1, 2, 3, 3], 2, 1], [[1, 1, 1, 1], 4, 3]] as const;
  for (const [shape, outChannels, stride] of shortcuts) {
    const x = randomTensor(shape, 1), options = { outChannels, stride };
    const dy = randomTensor(subsampleForward(x, options).shape, 2);
    const evaluate = () => dot(dy.values, subsampleForward(x, options).values);
    assertGradient(evaluate, x, subsampleBackward(x, dy, options), { name: "subsample dx" });
  }
  const inputs = [3, 1, 2].map((channels, i) => randomTensor([2, channels, 3, 2], 3 + i));
  const dy = randomTensor([2, 6, 3, 2], 6);
  for (const [i, dx] of concatBackward(inputs, dy).entries()) {
    const evaluate = () => dot(dy.values, concatForward(inputs).values);
    assertGradient(evaluate, inputs[i], dx, { name: `concat dx of input ${i}` });
  }
});

Deno.test("multiplyBackward() agrees with central differences, for a map and for a number per channel", () => {
  for (const shape of [[2, 3, 4, 3], [2, 3, 1, 1], [2, 3]]) {
    const inputs = [randomTensor([2, 3, 4, 3], 1), randomTensor(shape, 2)],
      dy = randomTensor([2, 3, 4, 3], 3);
    const evaluate = () => dot(dy.values, multiplyForward(inputs[0], inputs[1]).values);
    for (const [i, dx] of multiplyBackward(inputs[0], inputs[1], dy).entries()) {
      assertGradient(evaluate, inputs[i], dx, { name: `multiply dx of input ${i}` });
    }
  }
});

Deno.test("channelShuffle() and channelSlice() agree with central differences, and a shuffle by hand", () => {
  const x = randomTensor([2, 6, 2, 3], 1);
  for (const [name, move] of Object.entries({ shuffle: channelShuffle(3), slice: channelSlice(1, 4) })) {
    const dy = randomTensor(move.forward(x).shape, 2);
    const evaluate = () => dot(dy.values, move.forward(x).values);
    assertGradient(evaluate, x, move.backward(x, dy), { name });
  }
  const six = tensorOf([1, 6, 1, 1], [0, 1, 2, 3, 4, 5]);
  assertClose(channelShuffle(2).forward(six).values, [0, 3, 1, 4, 2, 5], { tolerance: 0, name: "by 2" });
});

Deno.test("subsampleForward() and concatForward() match PyTorch on a map of four pixels", () => {
  const x = tensorOf([1, 1, 2, 2], [1, 2, 3, 4]);
  // F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)), and torch.cat([x, x + 4], dim=1).
  assertClose(subsampleForward(x, { outChannels: 4, stride: 2 }).values, [0, 1, 0, 0], {
    tolerance: 0,
    name: "subsample",
  });
  const joined = concatForward([x, tensorOf(x.shape, x.values.map((value) => value + 4))]);
  assertClose(joined.values, [1, 2, 3, 4, 5, 6, 7, 8], { tolerance: 0, name: "concat" });
});

Deno.test("maxPool2dBackward() and averagePool2dBackward() agree with central differences", () => {
  for (const { shape, ...options } of POOLINGS) {
    const x = distinctTensor(shape, 1), dy = randomTensor(pooledShape(shape, options), 2);
    const largest = () => dot(dy.values, maxPool2dForward(x, options).values);
    assertGradient(largest, x, maxPool2dBackward(x, dy, options), { name: "max-pool dx" });
    const mean = () => dot(dy.values, averagePool2dForward(x, options).values);
    assertGradient(mean, x, averagePool2dBackward(x, dy, options), { name: "average-pool dx" });
  }
});

Deno.test("maxPool2dBackward() gives the gradient of a tie to the first pixel in row-major order", () => {
  const x = { shape: [1, 1, 2, 2], values: Float64Array.of(-2, -1, -1, -1) };
  const dy = { shape: [1, 1, 1, 1], values: Float64Array.of(3) };
  const dx = maxPool2dBackward(x, dy, { kernel: 2, stride: 2, padding: 0 });
  assertClose(dx.values, [0, 3, 0, 0], { tolerance: 0, name: "max-pool dx of a tie" });
  const padded = maxPool2dForward(x, { kernel: 2, stride: 2, padding: 1 });
  assertClose(padded.values, [-2, -1, -1, -1], { tolerance: 0, name: "max-pool y beside padding" });
});

Deno.test("batchNorm2dBackward() and batchNorm2dEvalBackward() agree with central differences", () => {
  const shape = [3, 2, 3, 4], eps = 1e-5;
  const x = randomTensor(shape, 1), gamma = randomTensor([2], 2), beta = randomTensor([2], 3);
  const runningMean = randomTensor([2], 4), runningVar = absoluteOf(awayFromZero(randomTensor([2], 5)));
  const state = { gamma, beta, runningMean, runningVar };
  const dy = randomTensor(shape, 6);
  const train = batchNorm2dBackward(x, gamma, dy, { eps });
  const evaluateTrain = () => dot(dy.values, batchNorm2dTrain(x, state, { eps, momentum: .1 }).y.values);
  assertGradient(evaluateTrain, x, train.dx, { name: "batch-norm dx" });
  assertGradient(evaluateTrain, gamma, train.dgamma, { name: "batch-norm dgamma" });
  assertGradient(evaluateTrain, beta, train.dbeta, { name: "batch-norm dbeta" });
  const fixed = batchNorm2dEvalBackward(x, state, dy, { eps });
  const evaluateFixed = () => dot(dy.values, batchNorm2dEval(x, state, { eps }).values);
  assertGradient(evaluateFixed, x, fixed.dx, { name: "fixed batch-norm dx" });
  assertGradient(evaluateFixed, gamma, fixed.dgamma, { name: "fixed batch-norm dgamma" });
  assertGradient(evaluateFixed, beta, fixed.dbeta, { name: "fixed batch-norm dbeta" });
});

Deno.test("crossEntropy() has the gradient of its loss and the mean of its losses", () => {
  for (const labelSmoothing of [0, .1]) {
    const logits = randomTensor([4, 5], 1, 3), labels = [0, 4, 2, 2];
    const { loss, losses, dlogits } = crossEntropy(logits, labels, { labelSmoothing });
    const evaluate = () => crossEntropy(logits, labels, { labelSmoothing }).loss;
    assertGradient(evaluate, logits, dlogits, { name: "dlogits" });
    const mean = losses.reduce((sum, value) => sum + value, 0) / 4;
    assertClose([mean], [loss], { tolerance: 8 * 2 ** -53 * loss, name: "mean of losses" });
  }
});

Deno.test("crossEntropy() survives logits that overflow exp", () => {
  const { loss, dlogits } = crossEntropy({ shape: [1, 2], values: Float64Array.of(1e4, 0) }, [1]);
  assertClose([loss, ...dlogits.values], [1e4, 1, -1], { tolerance: 0, name: "loss and dlogits" });
});

Deno.test("networkBackward() agrees with central differences in every parameter", () => {
  const widths = { inputs: 2, conv1: 3, conv2: 2, fc1: 4, classes: 3, imageSize: 8 };
  const parameters = randomParameters(widths, 1);
  const batch = { images: randomTensor([3, 2, 8, 8], 2), labels: [0, 2, 1] };
  const { gradients } = lossAndGradients(parameters, batch);
  for (const name of PARAMETER_NAMES) {
    // A small step, so that no activation crosses a kink of ReLU or max-pool.
    const options = { name, step: 1e-5 };
    assertGradient(
      () => lossAndGradients(parameters, batch).loss,
      parameters[name],
      gradients[name],
      options,
    );
  }
});
