/**
 * Holds batch normalisation against the f64 reference: statistics, forward, running statistics and gradients in one
 * chain of dispatches, as a training step makes them, and both passes of evaluation.
 *
 * The tolerances follow the errors through the chain (`errorsOf`): a mean is off by its sum's tolerance, a variance by
 * its own and the square of the mean's error, and what is made of them by these errors times their derivatives, plus
 * the roundings of each formula by precision.ts.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { type BufferRef, inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { columnStride, type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { columnMoments, dispatchChunks, splitRows, sumSplits } from "../../src/kernels/reduce.ts";
import { countQuads } from "../../src/shape.ts";
import {
  batchNorm2dBackward,
  batchNorm2dEval,
  batchNorm2dEvalBackward,
  batchNorm2dTrain,
} from "../reference/batchnorm2d.ts";
import { reluForward } from "../reference/relu.ts";
import {
  assertClose,
  F32_ROUNDOFF,
  maxAbs,
  randomTensor,
  type RefTensor,
  sumTolerance,
} from "../reference/tensor.ts";
import { arenaOf, eps, errorsOf, momentum, operandsOf, shapes } from "./batchnorm.ts";
import { fromQuads, imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, assertSame, divisionRoundings, sqrtRoundings, unwritten } from "./precision.ts";

/** The dispatches of the gradients of gamma and beta, into `out` at their places. */
function parameterGradients(
  rows: number,
  quads: number,
  { mean, variance, out }: Readonly<Record<"mean" | "variance" | "out", BufferRef>>,
  places: Readonly<Record<"mean" | "variance" | "gamma" | "beta", number>>,
): readonly Dispatch[] {
  const scratch = inputRef("scratch"), splits = splitRows(rows, quads).chunks;
  const sum = { label: "sum", scratch, out, quads, splits, stride: 2 * quads, scale: 1 };
  return [
    dispatchChunks(rows, quads, {
      kernel: "reduce/batchnorm2d_backward",
      label: "chunks",
      bindings: { x: inputRef("x"), dy: inputRef("dy"), mean, variance, sums: scratch },
      params: { mean: places.mean, variance: places.variance, epsilon: eps },
    }),
    sumSplits({ ...sum, offset: places.gamma }),
    sumSplits({ ...sum, offset: places.beta, first: quads }),
  ];
}

/** The dispatches of one training pass, forward and backward. */
function trainingDispatches(rows: number, quads: number): readonly Dispatch[] {
  const statistics = inputRefs({ mean: "mean", variance: "variance" });
  const stride = columnStride(rows * quads, quads);
  const places = {
    "quads_total": rows * quads,
    quads,
    stride,
    mean: 0,
    variance: 0,
    gamma: 1,
    beta: 2 + quads,
  };
  const forward = (RELU: number, RESIDUAL: number, y: string) =>
    dispatchOver(stride, {
      kernel: "layer/batchnorm2d_forward",
      label: y,
      bindings: {
        x: inputRef("x"),
        ...statistics,
        values: inputRef("values"),
        residual: inputRef("residual"),
        y: inputRef(y),
      },
      params: { ...places, epsilon: eps },
      constants: { RELU, RESIDUAL },
    });
  const update = {
    kernel: "reduce/running_statistics",
    bindings: inputRefs({ running: "running", tally: "tally" }),
    params: { running_mean: 1, running_variance: 2 + quads, momentum, correction: rows / (rows - 1) },
  };
  return [
    ...columnMoments({
      label: "moments",
      x: inputRef("x"),
      ...statistics,
      rows,
      quads,
      scratch: inputRef("scratch"),
      update,
    }),
    forward(0, 0, "y"),
    forward(1, 0, "y_relu"),
    forward(0, 1, "y_sum"),
    forward(1, 1, "y_sum_relu"),
    ...parameterGradients(rows, quads, { ...statistics, out: inputRef("gradients") }, places),
    dispatchOver(stride, {
      kernel: "layer/batchnorm2d_backward",
      label: "dx",
      bindings: {
        x: inputRef("x"),
        dy: inputRef("dy"),
        ...statistics,
        values: inputRef("values"),
        gradients: inputRef("gradients"),
        dx: inputRef("dx"),
      },
      params: { ...places, epsilon: eps, inverse_rows: 1 / rows },
    }),
  ];
}

async function checkTraining(path: ReadPath, shape: readonly number[]): Promise<void> {
  const operands = operandsOf(shape);
  const { x, dy, gamma, beta, runningMean, runningVar } = operands, residual = randomTensor(shape, 7);
  const channels = shape[1], quads = countQuads(channels), rows = x.values.length / channels;
  const { floats, integers } = await runKernels({
    path,
    dispatches: trainingDispatches(rows, quads),
    buffers: {
      x: imagesToQuads(x.values, shape),
      dy: imagesToQuads(dy.values, shape),
      residual: imagesToQuads(residual.values, shape),
      values: arenaOf(gamma, beta),
      running: arenaOf(runningMean, runningVar),
      gradients: unwritten(4 * (2 * quads + 3)),
      scratch: unwritten(8 * quads * splitRows(rows, quads).chunks),
      mean: unwritten(4 * quads),
      variance: unwritten(4 * quads),
      y: unwritten(4 * rows * quads),
      y_relu: unwritten(4 * rows * quads),
      y_sum: unwritten(4 * rows * quads),
      y_sum_relu: unwritten(4 * rows * quads),
      dx: unwritten(4 * rows * quads),
      tally: Uint32Array.of(0, 0, 0, 0xffffffff),
    },
    step: { index: 4 },
  });
  assertSame(integers("tally").subarray(3), [0xffffffff], "nothing is noted");
  const want = batchNorm2dTrain(x, operands, { eps, momentum });
  const { dx, dgamma, dbeta } = batchNorm2dBackward(x, gamma, dy, { eps });
  const errors = errorsOf(operands);
  const vector = (buffer: string, quad: number) =>
    fromQuads(floats(buffer).subarray(4 * quad, 4 * (quad + quads)), 1, channels);
  const check = (name: string, got: ArrayLike<number>, wanted: RefTensor, tolerance: number) =>
    assertClose(got, wanted.values, { tolerance, name: `${path} (${shape}) ${name}` });
  check("mean", vector("mean", 0), want.mean, errors.mean);
  check("variance", vector("variance", 0), want.variance, errors.variance);
  check("running mean", vector("running", 1), want.runningMean, errors.running);
  check("running variance", vector("running", 2 + quads), want.runningVar, errors.running);
  check("dgamma", vector("gradients", 1), dgamma, errors.dgamma);
  check("dbeta", vector("gradients", 2 + quads), dbeta, errors.dbeta);
  check("y", imagesFromQuads(floats("y"), shape), want.y, errors.y);
  check("y_relu", imagesFromQuads(floats("y_relu"), shape), reluForward(want.y), errors.y);
  const sum = { shape, values: want.y.values.map((value, i) => value + residual.values[i]) };
  const sumError = errors.y + F32_ROUNDOFF * maxAbs(sum.values);
  check("y_sum", imagesFromQuads(floats("y_sum"), shape), sum, sumError);
  check("y_sum_relu", imagesFromQuads(floats("y_sum_relu"), shape), reluForward(sum), sumError);
  check("dx", imagesFromQuads(floats("dx"), shape), dx, errors.dx);
  for (const name of ["y", "y_relu", "y_sum", "y_sum_relu", "dx"]) {
    assertPadding(floats(name), channels, { name });
  }
}

async function checkEvaluation(path: ReadPath, shape: readonly number[]): Promise<void> {
  const operands = operandsOf(shape);
  const { x, dy, gamma, beta, runningMean, runningVar } = operands;
  const channels = shape[1], quads = countQuads(channels), items = x.values.length / channels * quads;
  const stride = columnStride(items, quads);
  const places = {
    "quads_total": items,
    quads,
    stride,
    mean: 1,
    variance: 2 + quads,
    gamma: 1,
    beta: 2 + quads,
  };
  const bindings = {
    x: inputRef("x"),
    mean: inputRef("running"),
    variance: inputRef("running"),
    values: inputRef("values"),
  };
  const { floats } = await runKernels({
    path,
    dispatches: [
      dispatchOver(stride, {
        kernel: "layer/batchnorm2d_forward",
        label: "y",
        bindings: { ...bindings, residual: inputRef("x"), y: inputRef("y") },
        params: { ...places, epsilon: eps },
      }),
      dispatchOver(stride, {
        kernel: "layer/batchnorm2d_backward",
        label: "dx",
        bindings: { ...bindings, dy: inputRef("dy"), gradients: inputRef("gradients"), dx: inputRef("dx") },
        params: { ...places, epsilon: eps, inverse_rows: 1 },
        constants: { EVALUATION: 1 },
      }),
      ...parameterGradients(items / quads, quads, { ...bindings, out: inputRef("gradients") }, places),
    ],
    buffers: {
      x: imagesToQuads(x.values, shape),
      dy: imagesToQuads(dy.values, shape),
      values: arenaOf(gamma, beta),
      running: arenaOf(runningMean, runningVar),
      gradients: unwritten(4 * (2 * quads + 3)),
      scratch: unwritten(8 * quads * splitRows(items / quads, quads).chunks),
      y: unwritten(4 * items),
      dx: unwritten(4 * items),
    },
  });
  const y = batchNorm2dEval(x, operands, { eps });
  const { dx, dgamma } = batchNorm2dEvalBackward(x, operands, dy, { eps });
  // A difference, a sum under the root, the root, a division, a product and a sum, on |xhat gamma| + |beta|.
  const roundings = 4 + sqrtRoundings + divisionRoundings;
  const size = maxAbs(y.values) + 2 * maxAbs(beta.values);
  const name = `${path} (${shape}) evaluation`;
  const tolerance = (bound: number) => ({ tolerance: roundings * F32_ROUNDOFF * bound, name });
  assertClose(imagesFromQuads(floats("y"), shape), y.values, tolerance(size));
  assertClose(imagesFromQuads(floats("dx"), shape), dx.values, tolerance(maxAbs(dx.values)));
  // Every term dy xhat is off by these roundings more than its sum; |x - mean| <= 5, |dy| <= 1, variance >= 0.5.
  const rows = items / quads, terms = rows * 5 / Math.sqrt(.5);
  assertClose(fromQuads(floats("gradients").subarray(4, 4 * (1 + quads)), 1, channels), dgamma.values, {
    tolerance: sumTolerance(rows, terms) + roundings * F32_ROUNDOFF * terms,
    name: `${name} dgamma`,
  });
  for (const buffer of ["y", "dx"]) assertPadding(floats(buffer), channels, { name: `${name} ${buffer}` });
}

for (const path of readPaths) {
  Deno.test(`batchnorm2d trains as the reference, from statistics to gradients, ${path} path`, async () => {
    for (const shape of shapes) await checkTraining(path, shape);
  });

  Deno.test(`batchnorm2d evaluates with the running statistics, both passes, ${path} path`, async () => {
    for (const shape of shapes) await checkEvaluation(path, shape);
  });
}
