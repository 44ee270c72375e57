/**
 * Files in the format of ../shared/goldens, made of the f64 references with sizes that those files do not have.
 *
 * @module
 */
import { type NewTensor, writeSafetensors } from "../../src/io/safetensors.ts";
import { batchNorm2dBackward, batchNorm2dEval, batchNorm2dTrain } from "../reference/batchnorm2d.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { crossEntropy } from "../reference/cross_entropy.ts";
import { linearBackward, linearForward } from "../reference/linear.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  maxPool2dBackward,
  maxPool2dForward,
} from "../reference/pool2d.ts";
import { randomTensor, type RefTensor, tensorOf } from "../reference/tensor.ts";

type Case = readonly [
  name: string,
  tensors: Readonly<Record<string, RefTensor>>,
  metadata: Record<string, number>,
];

/** Integers as a tensor of a file. */
export function integerTensor(name: string, values: readonly number[]): NewTensor {
  return { name, dtype: "I32", shape: [values.length], values: Int32Array.from(values) };
}

const convolutions = [
  { x: [2, 3, 11, 7], w: [5, 3, 3, 2], stride: 3, padding: 2, bias: true },
  { x: [1, 1, 4, 9], w: [1, 1, 4, 1], stride: 1, padding: 0, bias: false },
  { x: [3, 6, 5, 5], w: [70, 6, 1, 1], stride: 2, padding: 0, bias: true },
  { x: [2, 17, 6, 6], w: [9, 17, 5, 5], stride: 1, padding: 4, bias: false },
  { x: [1, 2, 1, 1], w: [3, 2, 3, 3], stride: 1, padding: 1, bias: true },
];

function convolutionCases(): Case[] {
  return convolutions.map(({ x: xShape, w: wShape, stride, padding, bias }, i) => {
    const x = randomTensor(xShape, 10 + i), w = randomTensor(wShape, 20 + i, 0.3);
    const b = bias ? randomTensor([wShape[0]], 30 + i) : undefined;
    const y = conv2dForward(x, w, b, { stride, padding }), dy = randomTensor(y.shape, 40 + i);
    const { dx, dw, db } = conv2dBackward(x, w, dy, { stride, padding });
    return [`conv2d.${i}`, { x, w, dy, y, dx, dw, ...(b ? { b, db } : {}) }, { stride, padding }];
  });
}

function linearCases(): Case[] {
  return [[1, 1, 1], [7, 33, 5], [3, 130, 66]].map(([rows, inputs, outputs], i) => {
    const x = randomTensor([rows, inputs], 50 + i), w = randomTensor([outputs, inputs], 60 + i, 0.2);
    const b = randomTensor([outputs], 70 + i), dy = randomTensor([rows, outputs], 80 + i);
    return [`linear.${i}`, { x, w, b, dy, y: linearForward(x, w, b), ...linearBackward(x, w, dy) }, {}];
  });
}

function poolCases(): Case[] {
  const windows = [{ kernel: 3, stride: 2, padding: 1 }, { kernel: 2, stride: 3, padding: 0 }, {
    kernel: 1,
    stride: 1,
    padding: 0,
  }];
  return windows.flatMap((window, i): Case[] => {
    const x = randomTensor([2, 5, 8, 7], 90 + i);
    const top = maxPool2dForward(x, window), mean = averagePool2dForward(x, window);
    const dy = randomTensor(top.shape, 95 + i);
    return [
      [`maxpool2d.${i}`, { x, dy, y: top, dx: maxPool2dBackward(x, dy, window) }, window],
      [`avgpool2d.${i}`, { x, dy, y: mean, dx: averagePool2dBackward(x, dy, window) }, window],
    ];
  });
}

function batchNormCases(): Case[] {
  return [[1, 1, 1, 2], [4, 6, 3, 5]].map((shape, i) => {
    const channels = [shape[1]], eps = 1e-3, momentum = 0.25;
    const x = randomTensor(shape, 100 + i, 2), dy = randomTensor(shape, 110 + i);
    const gamma = randomTensor(channels, 120 + i), beta = randomTensor(channels, 130 + i);
    const runningMean = randomTensor(channels, 140 + i);
    const runningVar = tensorOf(
      channels,
      randomTensor(channels, 150 + i, 0.5).values.map((v) => Math.fround(1 + v)),
    );
    const state = { gamma, beta, runningMean, runningVar };
    const trained = batchNorm2dTrain(x, state, { eps, momentum });
    return [`batchnorm2d.${i}`, {
      ...{ x, gamma, beta, running_mean: runningMean, running_var: runningVar, dy },
      ...{ y_eval: batchNorm2dEval(x, state, { eps }), y_train: trained.y },
      ...batchNorm2dBackward(x, gamma, dy, { eps }),
      ...{ running_mean_after: trained.runningMean, running_var_after: trained.runningVar },
    }, { eps, momentum }];
  });
}

/** A file with cases of every operation. */
export function goldenFile(): Uint8Array {
  const cases = [...convolutionCases(), ...linearCases(), ...poolCases(), ...batchNormCases()];
  const tensors: NewTensor[] = [], metadata: Record<string, string> = {};
  const add = (name: string, { shape, values }: RefTensor) =>
    tensors.push({ name, dtype: "F32", shape: [...shape], values: Float32Array.from(values) });
  for (const [name, parts, parameters] of cases) {
    for (const [part, tensor] of Object.entries(parts)) add(`${name}.${part}`, tensor);
    metadata[name] = JSON.stringify(parameters);
  }
  for (const [i, [rows, classes, smoothing]] of [[3, 1, 0], [70, 5, 0.2], [1, 130, 0]].entries()) {
    const logits = randomTensor([rows, classes], 160 + i, 3), name = `cross_entropy.${i}`;
    const labels = Array.from({ length: rows }, (_, row) => (row * 3) % classes);
    const { loss, dlogits } = crossEntropy(logits, labels, { labelSmoothing: smoothing });
    tensors.push(integerTensor(`${name}.labels`, labels));
    for (const [part, tensor] of Object.entries({ logits, dlogits, loss: tensorOf([1], [loss]) })) {
      add(`${name}.${part}`, tensor);
    }
    metadata[name] = JSON.stringify({ label_smoothing: smoothing });
  }
  return writeSafetensors(tensors, metadata);
}
