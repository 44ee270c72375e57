/**
 * A whole graph in f64, forward and backward, put together from the references of its layers.
 *
 * @module
 */
import type { Graph } from "../../src/model/graph.ts";
import {
  batchNorm2dBackward,
  batchNorm2dEval,
  batchNorm2dEvalBackward,
  batchNorm2dTrain,
} from "../reference/batchnorm2d.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { crossEntropy } from "../reference/cross_entropy.ts";
import { linearBackward, linearForward } from "../reference/linear.ts";
import {
  averagePool2dBackward,
  averagePool2dForward,
  maxPool2dBackward,
  maxPool2dForward,
} from "../reference/pool2d.ts";
import { reluBackward, reluForward } from "../reference/relu.ts";
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

/** Runs a graph on images (N, C, H, W) with labels (N); with `trains`, batch norm takes the batch's statistics. */
export function referencePass(
  graph: Graph,
  parameters: Tensors,
  { images, labels, trains }: {
    readonly images: RefTensor;
    readonly labels: ArrayLike<number>;
    readonly trains: boolean;
  },
): ReferencePass {
  const gradients: Tensors = {}, statistics: Tensors = {};
  const backward: ((dy: RefTensor) => RefTensor)[] = [];
  let x = images;
  for (const layer of graph.layers) {
    const input = x, of = (name: string) => parameters[`${layer.name}.${name}`];
    const keep = (name: string, gradient: RefTensor) => gradients[`${layer.name}.${name}`] = gradient;
    switch (layer.kind) {
      case "conv2d":
        x = conv2dForward(input, of("weight"), of("bias"), layer);
        backward.push((dy) => {
          const { dx, dw, db } = conv2dBackward(input, of("weight"), dy, layer);
          keep("weight", dw);
          if (layer.bias) keep("bias", db);
          return dx;
        });
        break;
      case "linear":
        x = linearForward(input, of("weight"), of("bias"));
        backward.push((dy) => {
          const { dx, dw, db } = linearBackward(input, of("weight"), dy);
          keep("weight", dw);
          if (layer.bias) keep("bias", db);
          return dx;
        });
        break;
      case "batchnorm2d": {
        const state = {
          gamma: of("weight"),
          beta: of("bias"),
          runningMean: of("running_mean"),
          runningVar: of("running_var"),
        };
        const eps = layer.epsilon, [batch, channels, height = 1, width = 1] = input.shape;
        const map = tensorOf([batch, channels, height, width], input.values);
        if (trains) {
          const result = batchNorm2dTrain(map, state, { eps, momentum: layer.momentum });
          statistics[`${layer.name}.running_mean`] = result.runningMean;
          statistics[`${layer.name}.running_var`] = result.runningVar;
          x = tensorOf(input.shape, result.y.values);
        } else x = tensorOf(input.shape, batchNorm2dEval(map, state, { eps }).values);
        backward.push((dy) => {
          const { dx, dgamma, dbeta } = trains
            ? batchNorm2dBackward(map, state.gamma, tensorOf(map.shape, dy.values), { eps })
            : batchNorm2dEvalBackward(map, state, tensorOf(map.shape, dy.values), { eps });
          keep("weight", dgamma);
          keep("bias", dbeta);
          return tensorOf(input.shape, dx.values);
        });
        break;
      }
      case "relu":
        x = reluForward(input);
        backward.push((dy) => reluBackward(input, dy));
        break;
      case "maxpool2d":
        x = maxPool2dForward(input, layer);
        backward.push((dy) => maxPool2dBackward(input, dy, layer));
        break;
      case "avgpool2d":
        x = averagePool2dForward(input, layer);
        backward.push((dy) => averagePool2dBackward(input, dy, layer));
        break;
      case "flatten":
        x = tensorOf([input.shape[0], input.values.length / input.shape[0]], input.values);
        backward.push((dy) => tensorOf(input.shape, dy.values));
    }
  }
  const { loss, dlogits } = crossEntropy(x, labels);
  let dy = dlogits;
  for (const step of backward.toReversed()) dy = step(dy);
  return { loss, logits: x, gradients, statistics };
}
