/**
 * Refit of a whole network in f64, and the small networks that it is tried on. Every position of every example is
 * a sample.
 *
 * @module
 */
import type { Graph } from "../../src/model/graph.ts";
import type { Conv2dSpec } from "../../src/model/layers/conv2d.ts";
import { toPair } from "../../src/shape.ts";
import { referenceOutputs, type Tensors } from "../plan/reference_graph.ts";
import { channelRows, meansOf, patchRows, refitRows } from "../reference/refit.ts";
import { addForward } from "../reference/shortcut.ts";
import { randomTensor, type RefTensor, tensorOf, zeros } from "../reference/tensor.ts";

/** A network, and what its layers' outputs meet, said by hand. */
export interface ReplaceCase {
  readonly graph: Graph;
  /** The batch norm that takes a layer's shift where it has no bias. */
  readonly norms: Readonly<Record<string, string>>;
  /** The other terms of the sum that a layer's output goes into, where they are made before it. */
  readonly terms: Readonly<Record<string, readonly string[]>>;
}

const conv = { kind: "conv2d", kernel: 3, stride: 1, padding: 1, bias: false } as const;
const norm = { kind: "batchnorm2d", epsilon: 1e-3, momentum: 0.1 } as const;
const input = { channels: 5, height: 6, width: 5 };

/** Residual blocks with and without batch norm, groups, depthwise filters, three terms, projections, linear layers. */
export const refitCases: readonly ReplaceCase[] = [{
  graph: {
    name: "batch norm, a skip connection, groups, a linear layer after flatten",
    input,
    layers: [
      { ...conv, name: "conv1", outChannels: 6 },
      { ...norm, name: "bn1" },
      { kind: "relu", name: "relu1" },
      { ...conv, name: "conv2", outChannels: 6 },
      { ...norm, name: "bn2" },
      { kind: "add", name: "sum", inputs: ["bn2", "relu1"] },
      { kind: "relu", name: "relu2" },
      { ...conv, name: "conv3", outChannels: 4, stride: 2, groups: 2 },
      { ...norm, name: "bn3" },
      { kind: "relu", name: "relu3" },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "fc", outFeatures: 3, bias: true },
    ],
  },
  norms: { conv1: "bn1", conv2: "bn2", conv3: "bn3" },
  terms: { conv2: ["relu1"] },
}, {
  graph: {
    name: "no batch norm, a projection, nothing that takes the projection's or the logits' shift",
    input,
    layers: [
      { ...conv, name: "conv1", outChannels: 7, bias: true },
      { kind: "relu", name: "relu1" },
      { ...conv, name: "conv2", outChannels: 5, bias: true },
      { ...conv, name: "projection", inputs: ["relu1"], outChannels: 5, kernel: 1, padding: 0 },
      { kind: "add", name: "sum", inputs: ["conv2", "projection"] },
      { kind: "relu", name: "relu2" },
      { kind: "globalavgpool2d", name: "pool" },
      { kind: "linear", name: "fc", outFeatures: 4, bias: false },
    ],
  },
  norms: {},
  terms: { projection: ["conv2"] },
}, {
  graph: {
    name: "depthwise filters in a sum of three with the images, bias and batch norm in one",
    input,
    layers: [
      { ...conv, name: "conv1", outChannels: 5, bias: true },
      { ...norm, name: "bn1" },
      { kind: "relu", name: "relu1" },
      { ...conv, name: "conv2", outChannels: 5, groups: 5 },
      { ...norm, name: "bn2" },
      { kind: "add", name: "sum", inputs: ["relu1", "bn2", "input"] },
      { kind: "maxpool2d", name: "pool", kernel: 2, stride: 2, padding: 0 },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "fc1", outFeatures: 6, bias: true },
      { kind: "relu", name: "relu2" },
      { kind: "linear", name: "fc2", outFeatures: 3, bias: true },
    ],
  },
  norms: { conv1: "bn1", conv2: "bn2" },
  terms: { conv2: ["relu1", "input"] },
}];

/** Some groups' channels of maps (N, C, H, W). */
function channelsOf({ shape: [n, c, h, w], values }: RefTensor, first: number, count: number): RefTensor {
  const out = zeros([n, count, h, w]);
  for (let i = 0; i < out.values.length; i++) {
    const pixel = i % (h * w),
      channel = Math.floor(i / (h * w)) % count,
      image = Math.floor(i / (count * h * w));
    out.values[i] = values[(image * c + first + channel) * h * w + pixel];
  }
  return out;
}

/** Rows and their negatives, whose means are zero and whose covariances the mean products. */
function aboutZero({ shape: [n, columns], values }: RefTensor): RefTensor {
  return tensorOf([2 * n, columns], [...values, ...values.map((value) => -value)]);
}

/** Values of all parameters, exact in f32, with scales and variances around 1. */
export function caseParameters(
  shapes: readonly { readonly fullName: string; readonly shape: readonly number[]; readonly role: string }[],
  seed: number,
): Tensors {
  return Object.fromEntries(shapes.map(({ fullName, shape, role }, i) => {
    const isPositive = role === "scale" || fullName.endsWith("running_var");
    const { values } = randomTensor(shape, 100 * seed + i, 0.5);
    return [fullName, tensorOf(shape, values.map((value) => Math.fround(isPositive ? 1 + value : value)))];
  }));
}

/** Replaces the weights under masks, by the names of the weights, and returns all parameters. */
export function replaceByReference(
  { graph, norms, terms }: ReplaceCase,
  { dense, masks, images, damping }: {
    readonly dense: Tensors;
    readonly masks: Tensors;
    readonly images: RefTensor;
    readonly damping: number;
  },
): Tensors {
  const wanted = referenceOutputs(graph, dense, images);
  const now: Tensors = { ...dense };
  for (const [i, layer] of graph.layers.entries()) {
    if (layer.kind !== "conv2d" && layer.kind !== "linear") continue;
    const { name, inputs: [source] = [graph.layers[i - 1]?.name ?? "input"] } = layer;
    const outputs = referenceOutputs(graph, now, images);
    const asMaps = (tensor: RefTensor) =>
      tensor.shape.length === 4 ? tensor : { ...tensor, shape: [...tensor.shape, 1, 1] };
    const weight = dense[`${name}.weight`], bias = dense[`${name}.bias`], normName = norms[name];
    const x = asMaps(outputs.get(source)!), y = asMaps(wanted.get(name)!);
    const all = Uint32Array.from({ length: y.shape[0] * y.shape[2] * y.shape[3] }, (_, place) => place);
    const others = terms[name] ?? [];
    const lack = (from: ReadonlyMap<string, RefTensor>) =>
      channelRows(asMaps(addForward(others.map((term) => from.get(term)!))), all).values;
    const alpha = weight.values.subarray(0, y.shape[1]).map((_, r) =>
      normName === undefined
        ? 1
        : dense[`${normName}.weight`].values[r] / Math.sqrt(dense[`${normName}.running_var`].values[r] + 1e-3)
    );
    const rows = channelRows(y, all);
    if (others.length > 0) {
      const [before, after] = [lack(wanted), lack(outputs)];
      rows.values.forEach((_, place) =>
        rows.values[place] += (before[place] - after[place]) / alpha[place % y.shape[1]]
      );
    }
    const spec = layer.kind === "conv2d" ? layer : undefined, groups = spec?.groups ?? 1;
    const columns = weight.values.length / weight.shape[0], share = y.shape[1] / groups;
    const weights = new Float64Array(weight.values.length), shifts = new Float64Array(y.shape[1]);
    const isCentred = bias !== undefined || normName !== undefined;
    for (let group = 0; group < groups; group++) {
      const slice = (tensor: RefTensor) =>
        tensorOf(
          [share, columns],
          tensor.values.subarray(group * share * columns, (group + 1) * share * columns),
        );
      const own = channelsOf(x, group * x.shape[1] / groups, x.shape[1] / groups);
      const u = patchRows(own, all, windowOf(spec));
      const t = channelRows(
        channelsOf({ shape: [all.length, y.shape[1], 1, 1], values: rows.values }, group * share, share),
        all,
      );
      const [hu, ht] = isCentred ? [u, t] : [aboutZero(u), aboutZero(t)];
      const mask = slice(masks[`${name}.weight`]);
      const solved = refitRows({ u: hu, t: ht, dense: slice(weight), mask, damping });
      const [m, mean] = [meansOf(hu), meansOf(ht)];
      for (const [r, { support, weights: kept }] of solved.rows.entries()) {
        const row = group * share + r;
        support.forEach((column, a) => weights[row * columns + column] = kept[a]);
        shifts[row] = support.reduce((rest, column, a) => rest - kept[a] * m[column], mean[r]);
      }
    }
    now[`${name}.weight`] = tensorOf(weight.shape, weights);
    if (bias) now[`${name}.bias`] = tensorOf(bias.shape, shifts);
    else if (normName !== undefined) {
      const key = `${normName}.running_mean`, means = dense[key];
      now[key] = tensorOf(means.shape, means.values.map((value, r) => value - shifts[r]));
    }
  }
  return now;
}

/** The window of a convolution; a linear layer's is its one pixel. */
function windowOf(spec: Conv2dSpec | undefined) {
  if (!spec) {
    return { kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] } as const;
  }
  const { kernel, stride, padding, dilation = 1 } = spec;
  return {
    kernel: toPair(kernel),
    stride: toPair(stride),
    padding: toPair(padding),
    dilation: toPair(dilation),
  };
}
