/**
 * A whole graph in f64, forward and backward, put together from the references of its layers. A layer takes the output
 * of the one before it, or of those that it names; a tensor that several layers read has the sum of their gradients.
 * Dropout passes on what it is given, and is refused in training.
 *
 * @module
 */
import type { Graph } from "../../src/model/graph.ts";
import type { Batchnorm2dSpec } from "../../src/model/layers/batchnorm2d.ts";
import type { LayerSpec } from "../../src/model/layers/index.ts";
import {
  batchNorm2dBackward,
  batchNorm2dEval,
  batchNorm2dEvalBackward,
  batchNorm2dTrain,
} from "../reference/batchnorm2d.ts";
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
import { channelShuffle, channelSlice } from "../reference/channels.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { crossEntropy } from "../reference/cross_entropy.ts";
import { featureDistance } from "../reference/features.ts";
import { linearBackward, linearForward } from "../reference/linear.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  maxPool2dBackward,
  maxPool2dForward,
} from "../reference/pool2d.ts";
import { reluBackward, reluForward } from "../reference/relu.ts";
import {
  addForward,
  concatBackward,
  concatForward,
  multiplyBackward,
  multiplyForward,
  subsampleBackward,
  subsampleForward,
} from "../reference/shortcut.ts";
import { type RefTensor, tensorOf } from "../reference/tensor.ts";

/** Tensors by full name, such as `conv1.weight`. */
export type Tensors = Record<string, RefTensor>;

/** What a pass gives: the mean loss, the gradient of every trained parameter, and the moved running statistics. */
export interface ReferencePass {
  readonly loss: number;
  readonly logits: RefTensor;
  readonly gradients: Tensors;
  readonly statistics: Tensors;
}

/** What a layer does to its inputs, and the gradients that it gives for one of its output. */
export interface LayerPass {
  readonly y: RefTensor;
  /** The gradient of each input, in order, and those of the layer's trained parameters by their last names. */
  readonly backward: (
    dy: RefTensor,
  ) => { readonly dxs: readonly RefTensor[]; readonly parameters?: Tensors };
  /** Moved running statistics by their last names. */
  readonly statistics?: Tensors;
}

/** Runs a layer of a graph's own in f64. */
export type OwnPass = (
  layer: LayerSpec,
  inputs: readonly RefTensor[],
  of: (part: string) => RefTensor,
) => LayerPass;

/** A layer whose output is to be near to a teacher's features, and by what weight. */
export interface ComparedFeatures {
  readonly layer: string;
  readonly teacher: RefTensor;
  readonly weight: number;
}

/**
 * Runs a graph on images (N, C, H, W) with labels (N), or without and their cross-entropy; with `trains`, batch norm takes
 * the batch's statistics, and with `compared` the distances from features enter the loss.
 */
export function referencePass(
  graph: Graph,
  parameters: Tensors,
  { images, labels, trains, compared = [], own = {} }: {
    readonly images: RefTensor;
    readonly labels: ArrayLike<number> | undefined;
    readonly trains: boolean;
    readonly compared?: readonly ComparedFeatures[];
    /** Runs layers of the graph's own, by kind. */
    readonly own?: Readonly<Record<string, OwnPass>>;
  },
): ReferencePass {
  const gradients: Tensors = {}, statistics: Tensors = {};
  const outputs = new Map([["input", images]]);
  const passes: { readonly name: string; readonly sources: readonly string[]; readonly pass: LayerPass }[] =
    [];
  let last = "input";
  for (const layer of graph.layers) {
    const { name, inputs: sources = [last] } = layer;
    const inputs = sources.map((source) => outputs.get(source)!);
    const of = (part: string) => parameters[`${name}.${part}`];
    const pass = own[layer.kind]?.(layer, inputs, of) ?? layerPass(layer, inputs, { trains, of });
    for (const [part, moved] of Object.entries(pass.statistics ?? {})) statistics[`${name}.${part}`] = moved;
    outputs.set(name, pass.y);
    passes.push({ name, sources, pass });
    last = name;
  }
  const logits = outputs.get(last)!, hard = labels && crossEntropy(logits, labels);
  const nothing = (name: string) => {
    const { shape, values } = outputs.get(name)!;
    return tensorOf(shape, new Float64Array(values.length));
  };
  const shares = new Map(hard ? [[last, [hard.dlogits]]] : []);
  let loss = hard?.loss ?? 0;
  for (const { layer, teacher, weight } of compared) {
    const distance = featureDistance(outputs.get(layer)!, teacher, weight);
    loss += distance.loss;
    shares.set(layer, [...shares.get(layer) ?? [], distance.dfeatures]);
  }
  for (const { name, sources, pass } of passes.toReversed()) {
    const { dxs, parameters: given = {} } = pass.backward(addForward(shares.get(name) ?? [nothing(name)]));
    for (const [part, gradient] of Object.entries(given)) gradients[`${name}.${part}`] = gradient;
    for (const [i, source] of sources.entries()) shares.set(source, [...shares.get(source) ?? [], dxs[i]]);
  }
  return { loss, logits, gradients, statistics };
}

/** Runs one layer. */
function layerPass(layer: LayerSpec, inputs: readonly RefTensor[], { trains, of }: {
  readonly trains: boolean;
  readonly of: (part: string) => RefTensor;
}): LayerPass {
  const [x] = inputs;
  const onInput = (y: RefTensor, dx: (dy: RefTensor) => RefTensor): LayerPass => ({
    y,
    backward: (dy) => ({ dxs: [dx(dy)] }),
  });
  const activation = (activated: Activation) =>
    onInput(activationForward(x, activated), (dy) => activationBackward(x, dy, activated));
  switch (layer.kind) {
    case "conv2d":
      return {
        y: conv2dForward(x, of("weight"), of("bias"), layer),
        backward(dy) {
          const { dx, dw, db } = conv2dBackward(x, of("weight"), dy, layer);
          return { dxs: [dx], parameters: { weight: dw, ...(layer.bias ? { bias: db } : {}) } };
        },
      };
    case "linear":
      return {
        y: linearForward(x, of("weight"), of("bias")),
        backward(dy) {
          const { dx, dw, db } = linearBackward(x, of("weight"), dy);
          return { dxs: [dx], parameters: { weight: dw, ...(layer.bias ? { bias: db } : {}) } };
        },
      };
    case "batchnorm2d":
      return normPass(layer, x, { trains, of });
    case "relu":
      return onInput(reluForward(x), (dy) => reluBackward(x, dy));
    case "maxpool2d":
      return onInput(maxPool2dForward(x, layer), (dy) => maxPool2dBackward(x, dy, layer));
    case "avgpool2d":
      return onInput(averagePool2dForward(x, layer), (dy) => averagePool2dBackward(x, dy, layer));
    case "globalavgpool2d": {
      const [batch, channels, height, width] = x.shape, whole = [batch, channels, 1, 1];
      const windows = { kernel: [height, width], stride: 1, padding: 0 } as const;
      const mean = averagePool2dForward(x, windows);
      return onInput(
        tensorOf([batch, channels], mean.values),
        (dy) => averagePool2dBackward(x, tensorOf(whole, dy.values), windows),
      );
    }
    case "flatten": {
      const shape = [x.shape[0], x.values.length / x.shape[0]];
      return onInput(tensorOf(shape, x.values), (dy) => tensorOf(x.shape, dy.values));
    }
    case "add":
      return { y: addForward(inputs), backward: (dy) => ({ dxs: inputs.map(() => dy) }) };
    case "multiply": {
      const [map, factor] = inputs;
      return {
        y: multiplyForward(map, factor),
        backward: (dy) => ({ dxs: multiplyBackward(map, factor, dy) }),
      };
    }
    case "concat":
      return { y: concatForward(inputs), backward: (dy) => ({ dxs: concatBackward(inputs, dy) }) };
    case "leakyrelu":
      return activation(leakyRelu(layer.negativeSlope));
    case "prelu":
      return {
        y: preluForward(x, of("weight")),
        backward(dy) {
          const { dx, dSlopes } = preluBackward(x, of("weight"), dy);
          return { dxs: [dx], parameters: { weight: dSlopes } };
        },
      };
    case "clip":
      return activation(clip(layer.min, layer.max));
    case "elu":
      return activation(elu(layer.alpha));
    case "hardsigmoid":
      return activation(hardSigmoid(layer.alpha, layer.beta));
    case "hardswish":
    case "mish":
    case "sigmoid":
    case "silu":
    case "tanh":
      return activation({ hardswish: hardSwish, mish, sigmoid, silu, tanh }[layer.kind]);
    case "gelu":
      return activation(layer.approximate === "tanh" ? geluTanh : gelu);
    case "dropout":
      if (trains) {
        throw new RangeError(`Cannot train "${layer.name}": a dropout, expected layers without chance`);
      }
      return onInput(x, (dy) => dy);
    case "shuffle":
    case "slice": {
      const move = layer.kind === "shuffle"
        ? channelShuffle(layer.groups)
        : channelSlice(layer.first, layer.outChannels);
      return onInput(move.forward(x), (dy) => move.backward(x, dy));
    }
    case "subsample":
      return onInput(subsampleForward(x, layer), (dy) => subsampleBackward(x, dy, layer));
    default:
      throw new RangeError(
        `Cannot run "${layer.name}": a ${layer.kind}, expected a reference of it in "own"`,
      );
  }
}

/** Batch norm of maps (N, C, H, W) or vectors (N, C). */
function normPass(layer: Batchnorm2dSpec, x: RefTensor, { trains, of }: {
  readonly trains: boolean;
  readonly of: (part: string) => RefTensor;
}): LayerPass {
  const state = {
    gamma: of("weight"),
    beta: of("bias"),
    runningMean: of("running_mean"),
    runningVar: of("running_var"),
  };
  const eps = layer.epsilon, [batch, channels, height = 1, width = 1] = x.shape;
  const map = tensorOf([batch, channels, height, width], x.values);
  const backward: LayerPass["backward"] = (dy) => {
    const mapped = tensorOf(map.shape, dy.values);
    const { dx, dgamma, dbeta } = trains
      ? batchNorm2dBackward(map, state.gamma, mapped, { eps })
      : batchNorm2dEvalBackward(map, state, mapped, { eps });
    return { dxs: [tensorOf(x.shape, dx.values)], parameters: { weight: dgamma, bias: dbeta } };
  };
  if (!trains) return { y: tensorOf(x.shape, batchNorm2dEval(map, state, { eps }).values), backward };
  const { y, runningMean, runningVar } = batchNorm2dTrain(map, state, { eps, momentum: layer.momentum });
  return {
    y: tensorOf(x.shape, y.values),
    backward,
    statistics: { "running_mean": runningMean, "running_var": runningVar },
  };
}

/** The output of every layer by its name, and the images as `input`, with batch norm by its running statistics. */
export function referenceOutputs(
  graph: Graph,
  parameters: Tensors,
  images: RefTensor,
): ReadonlyMap<string, RefTensor> {
  const outputs = new Map([["input", images]]);
  let last = "input";
  for (const layer of graph.layers) {
    const { name, inputs = [last] } = layer;
    const of = (part: string) => parameters[`${name}.${part}`];
    outputs.set(
      name,
      layerPass(layer, inputs.map((source) => outputs.get(source)!), { trains: false, of }).y,
    );
    last = name;
  }
  return outputs;
}
