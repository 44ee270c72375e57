/**
 * Holds the f64 training, confidence and criteria against PyTorch's values in ../shared/goldens/training.safetensors.
 * The reference and the goldens compute in f64 and differ by what their storage in f32 rounds off, 2^-24, in the
 * results and, carried on through the sums, in the inputs: 2^-20 of the largest value is allowed. The README's
 * looser lines, meant for f32 training, would let a forgotten weight decay pass (1e-5 a step in adamw).
 */
import {
  accumulateFisher,
  confidenceOf,
  matchedPrior,
  signalToNoise,
  updateRunningMean,
} from "./confidence.ts";
import {
  gradientScores,
  kthSmallest,
  magnitudeScores,
  obdScores,
  pruneMask,
  taylorScores,
} from "./criteria.ts";
import { type Goldens, openGoldens } from "./goldens.ts";
import {
  copyParameters,
  type LabeledBatch,
  lossAndGradients,
  mapParameters,
  PARAMETER_NAMES,
  type ParameterTensors,
  trainStep,
} from "./network.ts";
import {
  adamStep,
  adamwStep,
  createAdamState,
  createSgdState,
  type SgdOptions,
  sgdStep,
} from "./optimizers.ts";
import { assertClose, maxAbs, type RefTensor, tensorOf } from "./tensor.ts";

const BATCH_SIZE = 16;
const EXAMPLE_COUNT = 192;
const goldens = openGoldens("training");

/** Makes one step in place on one parameter's values. */
type Update = (values: Float64Array, gradients: Float64Array) => void;

/** The goldens' optimizers: for one parameter's length, its update with fresh state. */
const RECIPES: Readonly<Record<string, (length: number) => Update>> = {
  "sgd": sgd({ learningRate: .01 }),
  "sgd_momentum_wd": sgd({ learningRate: .01, momentum: .9, weightDecay: 5e-4 }),
  "sgd_nesterov": sgd({ learningRate: .01, momentum: .9, nesterov: true }),
  "adam": (length) => {
    const state = createAdamState(length);
    return (values, gradients) => adamStep(values, gradients, state, { learningRate: 1e-3 });
  },
  "adamw": (length) => {
    const state = createAdamState(length);
    const options = { learningRate: 1e-3, weightDecay: 1e-2 };
    return (values, gradients) => adamwStep(values, gradients, state, options);
  },
};

/** Makes the recipe of SGD with these options. */
function sgd(options: SgdOptions): (length: number) => Update {
  return (length) => {
    const state = createSgdState(length);
    return (values, gradients) => sgdStep(values, gradients, state, options);
  };
}

/** Reads one tensor a parameter, PREFIX.NAME. */
function readParameters({ tensor }: Goldens, prefix: string): ParameterTensors {
  return Object.fromEntries(
    PARAMETER_NAMES.map((name) => [name, tensor(`${prefix}.${name}`)]),
  ) as unknown as ParameterTensors;
}

/** Asserts that values are the golden of that name, up to what f32 storage rounds off. */
function assertStored({ tensor }: Goldens, name: string, got: ArrayLike<number>): void {
  const want = tensor(name).values;
  assertClose(got, want, { tolerance: 2 ** -20 * maxAbs(want), name });
}

/** Cuts batch t, rows 16t to 16t + 15, out of images and labels. */
function batchAt(images: RefTensor, labels: RefTensor, t: number): LabeledBatch {
  const [, ...imageShape] = images.shape;
  const imageSize = images.values.length / images.shape[0];
  const [start, end] = [t * BATCH_SIZE, (t + 1) * BATCH_SIZE];
  return {
    images: tensorOf([BATCH_SIZE, ...imageShape], images.values.subarray(start * imageSize, end * imageSize)),
    labels: labels.values.subarray(start, end),
  };
}

/** Trains the twelve steps of a recipe; `means` is the running mean of the parameters after each step. */
function trainGolden(
  values: Goldens,
  recipe: string,
): { losses: number[]; final: ParameterTensors; means: Record<string, Float64Array> } {
  const final = copyParameters(readParameters(values, "init"));
  const updates = mapParameters(final, (_, tensor) => RECIPES[recipe](tensor.values.length));
  const means = mapParameters(final, (_, tensor) => new Float64Array(tensor.values.length));
  const losses: number[] = [];
  for (let t = 0; t < 12; t++) {
    const batch = batchAt(values.tensor("images"), values.tensor("labels"), t);
    losses.push(trainStep(final, batch, (name, parameter, gradients) => {
      updates[name](parameter, gradients);
      updateRunningMean(means[name], parameter, t + 1);
    }));
  }
  return { losses, final, means };
}

for (const recipe of Object.keys(RECIPES)) {
  Deno.test({
    name: `trainStep() follows PyTorch's ${recipe}`,
    ignore: !goldens,
    fn() {
      const { losses, final } = trainGolden(goldens!, recipe);
      assertStored(goldens!, `${recipe}.losses`, losses);
      for (const name of PARAMETER_NAMES) {
        assertStored(goldens!, `${recipe}.final.${name}`, final[name].values);
      }
    },
  });
}

Deno.test({
  name: "updateRunningMean() follows PyTorch's mean of the weights",
  ignore: !goldens,
  fn() {
    const { means } = trainGolden(goldens!, "sgd_momentum_wd");
    for (const name of PARAMETER_NAMES) assertStored(goldens!, `confidence.mean.${name}`, means[name]);
  },
});

Deno.test({
  name: "signalToNoise() and the criteria match PyTorch at the running mean",
  ignore: !goldens,
  fn() {
    const { tensor } = goldens!;
    const means = readParameters(goldens!, "confidence.mean");
    const fisher = mapParameters(means, (_, { values }) => new Float64Array(values.length));
    const meanGradient = mapParameters(means, (_, { values }) => new Float64Array(values.length));
    for (let t = 0; t < 16; t++) {
      const images = tensor("confidence.calibration_images"),
        labels = tensor("confidence.calibration_labels");
      const { gradients } = lossAndGradients(means, batchAt(images, labels, t));
      for (const name of PARAMETER_NAMES) {
        accumulateFisher(fisher[name], gradients[name].values, { batchSize: BATCH_SIZE, count: t + 1 });
        updateRunningMean(meanGradient[name], gradients[name].values, t + 1);
      }
    }
    const weights = PARAMETER_NAMES.filter((name) => name.endsWith(".weight"));
    const priorPrecision = matchedPrior(weights.map((name) => means[name].values));
    const check = (name: string, got: ArrayLike<number>) => assertStored(goldens!, name, got);
    check("confidence.prior_precision", [priorPrecision]);
    const allZ = weights.flatMap((name) => {
      const mean = means[name].values;
      const z = signalToNoise(mean, fisher[name], { exampleCount: EXAMPLE_COUNT, priorPrecision });
      check(`confidence.fisher.${name}`, fisher[name]);
      check(`confidence.z.${name}`, z);
      check(`confidence.confidence.${name}`, confidenceOf(z));
      check(`criteria.magnitude.${name}`, magnitudeScores(mean));
      check(`criteria.gradient.${name}`, gradientScores(meanGradient[name]));
      check(`criteria.taylor.${name}`, taylorScores(mean, meanGradient[name]));
      check(`criteria.obd.${name}`, obdScores(mean, fisher[name]));
      return [...z];
    });
    const removeCount = Math.floor(allZ.length / 2);
    const threshold = kthSmallest(allZ, removeCount + 1);
    check("confidence.keep_half_threshold_z", [threshold]);
    const mask = pruneMask(allZ, removeCount);
    const wantMask = weights.flatMap((name) => [...tensor(`confidence.keep_half_mask.${name}`).values]);
    // Where z is too near the threshold to tell, either side passes.
    const settled = (_: number, i: number) => Math.abs(allZ[i] - threshold) > 1e-4 * threshold;
    assertClose([...mask].filter(settled), wantMask.filter(settled), {
      tolerance: 0,
      name: "keep_half_mask",
    });
  },
});
