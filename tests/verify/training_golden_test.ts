/**
 * Verification of training files of other widths than those of ../shared/goldens: channels that do not fill quads, a
 * flatten of odd channels, few classes, another batch; the reference values come from the f64 network.
 */
import { assertEquals } from "@std/assert";
import { type NewTensor, writeSafetensors } from "../../src/io/safetensors.ts";
import { verifyGoldens } from "../../src/verify/verify.ts";
import { deviceOf } from "../helpers/devices.ts";
import {
  accumulateFisher,
  confidenceOf,
  matchedPrior,
  signalToNoise,
  updateRunningMean,
} from "../reference/confidence.ts";
import { magnitudeScores, pruneMask, taylorScores } from "../reference/criteria.ts";
import {
  copyParameters,
  lossAndGradients,
  mapParameters,
  PARAMETER_NAMES,
  type ParameterName,
  type ParameterTensors,
  randomParameters,
  trainStep,
} from "../reference/network.ts";
import { adamwStep, createAdamState, createSgdState, sgdStep } from "../reference/optimizers.ts";
import { randomTensor, type RefTensor } from "../reference/tensor.ts";
import { integerTensor } from "./golden_file.ts";

const widths = { inputs: 2, conv1: 5, conv2: 7, fc1: 9, classes: 3, imageSize: 12 };
const batch = 6, steps = 4, calibrationBatches = 3;
const weights = PARAMETER_NAMES.filter((name) => name.endsWith("weight"));

/** Rows of labelled images, and one batch of them. */
function examplesOf(count: number, seed: number) {
  const { inputs, imageSize, classes } = widths, size = inputs * imageSize ** 2;
  const images = randomTensor([count, inputs, imageSize, imageSize], seed);
  const labels = Array.from({ length: count }, (_, i) => (i * 7 + seed) % classes);
  const batchAt = (step: number) => ({
    images: {
      shape: [batch, inputs, imageSize, imageSize],
      values: images.values.slice(step * batch * size, (step + 1) * batch * size),
    },
    labels: labels.slice(step * batch, (step + 1) * batch),
  });
  return { images, labels, batchAt };
}

function floatTensor(name: string, { shape, values }: RefTensor): NewTensor {
  return { name, dtype: "F32", shape: [...shape], values: Float32Array.from(values) };
}

type Update = (name: ParameterName, values: Float64Array, gradients: Float64Array) => void;

/** Trains a copy and returns the tensors of an optimizer's prefix; `visit` sees the parameters after each step. */
function trainedTensors(
  prefix: string,
  init: ParameterTensors,
  update: Update,
  visit: (p: ParameterTensors) => void,
) {
  const { batchAt } = examplesOf(batch * steps, 1), parameters = copyParameters(init);
  const losses = Array.from({ length: steps }, (_, step) => {
    const loss = trainStep(parameters, batchAt(step), update);
    visit(parameters);
    return loss;
  });
  return [
    floatTensor(`${prefix}.losses`, { shape: [steps], values: Float64Array.from(losses) }),
    ...PARAMETER_NAMES.map((name) => floatTensor(`${prefix}.final.${name}`, parameters[name])),
  ];
}

/** The chain at the mean: Fisher information, z, confidence, mask of the upper half, and two criteria. */
function confidenceTensors(mean: ParameterTensors): NewTensor[] {
  const { images, labels, batchAt } = examplesOf(batch * calibrationBatches, 2);
  const zeros = () => mapParameters(mean, (_, { values }) => new Float64Array(values.length));
  const fisher = zeros(), gradientMean = zeros(), exampleCount = batch * steps;
  for (let count = 1; count <= calibrationBatches; count++) {
    const { gradients } = lossAndGradients(mean, batchAt(count - 1));
    for (const name of weights) {
      accumulateFisher(fisher[name], gradients[name].values, { batchSize: batch, count });
      updateRunningMean(gradientMean[name], gradients[name].values, count);
    }
  }
  const priorPrecision = matchedPrior(weights.map((name) => mean[name].values));
  const zOf = (name: ParameterName) =>
    signalToNoise(mean[name].values, fisher[name], { exampleCount, priorPrecision });
  const all = Float64Array.from(weights.flatMap((name) => [...zOf(name)]));
  const mask = pruneMask(all, Math.floor(all.length / 2));
  const threshold = Math.min(...all.filter((_, i) => mask[i] === 1));
  let offset = 0;
  const tensors = weights.flatMap((name) => {
    const { shape, values } = mean[name], z = zOf(name);
    const own = [...mask.subarray(offset, offset += values.length)];
    const made = (label: string, made: Float64Array) =>
      floatTensor(`${label}.${name}`, { shape, values: made });
    return [
      made("confidence.fisher", fisher[name]),
      made("confidence.z", z),
      made("confidence.confidence", confidenceOf(z)),
      made("criteria.magnitude", magnitudeScores(values)),
      made("criteria.taylor", taylorScores(values, gradientMean[name])),
      { ...integerTensor(`confidence.keep_half_mask.${name}`, own), shape: [...shape] },
    ];
  });
  const scalar = (name: string, value: number) =>
    floatTensor(name, { shape: [1], values: Float64Array.of(value) });
  return [
    ...tensors,
    ...PARAMETER_NAMES.map((name) => floatTensor(`confidence.mean.${name}`, mean[name])),
    scalar("confidence.prior_precision", priorPrecision),
    scalar("confidence.keep_half_threshold_z", threshold),
    floatTensor("confidence.calibration_images", images),
    integerTensor("confidence.calibration_labels", labels),
  ];
}

function trainingFile(): Uint8Array {
  const init = randomParameters(widths, 3), { images, labels } = examplesOf(batch * steps, 1);
  const sgd = mapParameters(init, (_, { values }) => createSgdState(values.length));
  const adam = mapParameters(init, (_, { values }) => createAdamState(values.length));
  const mean = mapParameters(
    init,
    (_, { shape, values }) => ({ shape, values: new Float64Array(values.length) }),
  );
  let count = 0;
  const average = (parameters: ParameterTensors) => {
    count++;
    for (const name of PARAMETER_NAMES) updateRunningMean(mean[name].values, parameters[name].values, count);
  };
  const sgdOptions = { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 };
  const adamOptions = { learningRate: 1e-3, weightDecay: 1e-2 };
  const tensors = [
    floatTensor("images", images),
    integerTensor("labels", labels),
    ...PARAMETER_NAMES.map((name) => floatTensor(`init.${name}`, init[name])),
    ...trainedTensors("sgd_momentum_wd", init, (name, v, g) => sgdStep(v, g, sgd[name], sgdOptions), average),
    ...trainedTensors("adamw", init, (name, v, g) => adamwStep(v, g, adam[name], adamOptions), () => {}),
  ];
  const metadata = Object.entries({ batch, steps }).map(([key, value]) => [key, `${value}`]);
  const confidence = [
    ["confidence_N", `${batch * steps}`],
    ["confidence_batch", `${batch}`],
    ["confidence_batches", `${calibrationBatches}`],
  ];
  const all = [...tensors, ...confidenceTensors(mean)];
  return writeSafetensors(all, Object.fromEntries([...metadata, ...confidence]));
}

for (const path of ["storage", "texture"] as const) {
  Deno.test(`verifyGoldens() passes training of odd widths, classes and batch, on ${path}`, async () => {
    const gpu = await deviceOf(path);
    const checks = await verifyGoldens(gpu, { bytes: trainingFile(), name: "odd widths" });
    assertEquals(checks.filter(({ passed }) => !passed), []);
    // Two optimizers of 9, 8 means, 5 quantities of 4 weights, the prior, the threshold and the mask.
    assertEquals(checks.length, 2 * 9 + 8 + 5 * 4 + 3);
  });
}
