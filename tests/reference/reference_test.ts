/**
 * Holds the f64 reference of each operation against PyTorch's values in ../shared/goldens/ops.safetensors.
 * Every tolerance is the goldens' own: 1e-5 * max(1, max|want|), which covers their storage in f32.
 */
import { batchNorm2dBackward, batchNorm2dEval, batchNorm2dTrain } from "./batchnorm2d.ts";
import { conv2dBackward, conv2dForward } from "./conv2d.ts";
import { crossEntropy } from "./cross_entropy.ts";
import { type Goldens, goldenTolerance, openGoldens } from "./goldens.ts";
import { linearBackward, linearForward } from "./linear.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  maxPool2dBackward,
  maxPool2dForward,
} from "./pool2d.ts";
import { assertClose, type RefTensor } from "./tensor.ts";

const goldens = openGoldens("ops");

/** One case of the goldens: its tensors by their short names, and its parameters. */
interface Case {
  readonly at: (tensor: string) => RefTensor;
  readonly options: Readonly<Record<string, number>>;
}

/** Registers a test that checks what `compute` returns for every case of an operation, tensor by tensor. */
function testOperation(
  symbol: string,
  operation: string,
  compute: (operationCase: Case) => Readonly<Record<string, ArrayLike<number>>>,
): void {
  Deno.test({
    name: `${symbol}() matches PyTorch`,
    ignore: !goldens,
    fn() {
      for (const prefix of casesOf(goldens!, operation)) {
        const options = JSON.parse(goldens!.metadata[prefix] ?? "{}");
        const results = compute({ at: (tensor) => goldens!.tensor(`${prefix}.${tensor}`), options });
        for (const [tensor, got] of Object.entries(results)) {
          const name = `${prefix}.${tensor}`;
          const want = goldens!.tensor(name).values;
          assertClose(got, want, { tolerance: goldenTolerance(want), name });
        }
      }
    },
  });
}

/** Returns the prefixes of an operation's cases, such as conv2d.0. */
function casesOf({ names }: Goldens, operation: string): string[] {
  const prefixes = names.filter((name) => name.startsWith(`${operation}.`))
    .map((name) => name.slice(0, name.lastIndexOf(".")));
  if (prefixes.length === 0) {
    throw new RangeError(`Cannot find "${operation}": no case, expected at least one`);
  }
  return [...new Set(prefixes)];
}

testOperation("conv2d", "conv2d", ({ at, options }) => {
  const geometry = { stride: options.stride, padding: options.padding };
  const { dx, dw, db } = conv2dBackward(at("x"), at("w"), at("dy"), geometry);
  const y = conv2dForward(at("x"), at("w"), at("b"), geometry);
  return { y: y.values, dx: dx.values, dw: dw.values, db: db.values };
});

testOperation("linear", "linear", ({ at }) => {
  const { dx, dw, db } = linearBackward(at("x"), at("w"), at("dy"));
  const y = linearForward(at("x"), at("w"), at("b"));
  return { y: y.values, dx: dx.values, dw: dw.values, db: db.values };
});

testOperation("maxPool2d", "maxpool2d", ({ at, options: { kernel, stride, padding } }) => ({
  y: maxPool2dForward(at("x"), { kernel, stride, padding }).values,
  dx: maxPool2dBackward(at("x"), at("dy"), { kernel, stride, padding }).values,
}));

testOperation("averagePool2d", "avgpool2d", ({ at, options: { kernel, stride, padding } }) => ({
  y: averagePool2dForward(at("x"), { kernel, stride, padding }).values,
  dx: averagePool2dBackward(at("x"), at("dy"), { kernel, stride, padding }).values,
}));

testOperation("batchNorm2d", "batchnorm2d", ({ at, options: { eps, momentum } }) => {
  const state = {
    gamma: at("gamma"),
    beta: at("beta"),
    runningMean: at("running_mean"),
    runningVar: at("running_var"),
  };
  const train = batchNorm2dTrain(at("x"), state, { eps, momentum });
  const { dx, dgamma, dbeta } = batchNorm2dBackward(at("x"), state.gamma, at("dy"), { eps });
  return {
    "y_eval": batchNorm2dEval(at("x"), state, { eps }).values,
    "y_train": train.y.values,
    "running_mean_after": train.runningMean.values,
    "running_var_after": train.runningVar.values,
    dx: dx.values,
    dgamma: dgamma.values,
    dbeta: dbeta.values,
  };
});

testOperation("crossEntropy", "cross_entropy", ({ at, options }) => {
  const { loss, dlogits } = crossEntropy(at("logits"), at("labels").values, {
    labelSmoothing: options.label_smoothing,
  });
  return { loss: [loss], dlogits: dlogits.values };
});
