/**
 * Operators that move or view features without computing with them.
 *
 * @module
 */
import {
  addLayer,
  type FeatureValue,
  type GraphBuilder,
  isTensor,
  type NodeInputs,
  type OnnxValue,
  readFeatures,
  readNumbers,
  refuseNode,
} from "./builder.ts";
import { readAxes, readSliceRanges } from "./fold_moves.ts";
import { type OnnxNode, readFloat, readInt, readInts, readText, readType } from "./graph.ts";
import { readChannelsLast, viewChannelsLast } from "./channels_last.ts";
import { readGrouped, sliceChannels, unsqueezeChannel, viewChannels } from "./channels.ts";
import { dropPending } from "./windows.ts";
import { countElements, integerVector, isFloatType, type OnnxTensor } from "./tensor.ts";

/** The inputs that stand in the file. */
function keepNumbers(inputs: NodeInputs): readonly (OnnxTensor | undefined)[] {
  return inputs.map((value) => value && isTensor(value) ? value : undefined);
}

/** Identity, and Cast between floats: nothing. */
export function readIdentity(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): OnnxValue {
  const [value] = inputs;
  return value ?? readFeatures(builder, node, inputs);
}

/** Cast of features: only between types of floats, which all are 32-bit floats here. */
export function readCast(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): OnnxValue {
  const isFloat = isFloatType(readType(node));
  if (isFloat) return readIdentity(builder, node, inputs);
  return refuseNode(builder, node, inputs, "features as integers", "a type of floats");
}

/** Shape: the sizes of features as numbers. */
export function readShape(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): OnnxTensor {
  const sizes = [builder.batch ?? NaN, ...readFeatures(builder, node, inputs).sizes];
  const first = readInt(node, "start", 0),
    last = node.attributes.has("end") ? readInt(node, "end", 0) : sizes.length;
  return integerVector(sizes.slice(first, last));
}

/** Features of the same numbers in other sizes; they must still be a map, its channels, or a flattened map. */
function viewFeatures(
  builder: GraphBuilder,
  node: OnnxNode,
  { value, sizes }: { readonly value: FeatureValue; readonly sizes: readonly number[] },
): FeatureValue {
  if (readChannelsLast([value])) {
    return viewChannelsLast(builder, node, value, sizes) ?? readFeatures(builder, node, [value]);
  }
  const { shape } = value, { channels, height, width, taps } = shape;
  const isPixel = height === 1 && width === 1 && taps === 1;
  if (sizes.join() === value.sizes.join()) return value;
  if (sizes.length === 1 && sizes[0] === countElements(value.sizes)) {
    if (isPixel) return { ...value, sizes };
    return addLayer(builder, node, { layer: { kind: "flatten" }, inputs: [value] });
  }
  if (isPixel && sizes.join() === `${channels},1,1`) return { ...value, sizes };
  const current = `(${value.sizes.join(", ")}) as (${sizes.join(", ")})`;
  return refuseNode(
    builder,
    node,
    [value],
    current,
    "a map, its channels where it has one pixel, or all its features",
  );
}

/** Flatten -> flatten. */
export function readFlatten(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const last = readChannelsLast(inputs), value = last ?? readFeatures(builder, node, inputs);
  const rank = value.sizes.length + 1, axis = readInt(node, "axis", 1);
  if ((axis < 0 ? axis + rank : axis) !== 1) {
    return refuseNode(builder, node, inputs, `axis ${axis}`, "axis 1, which keeps the batch");
  }
  return viewFeatures(builder, node, { value, sizes: [countElements(value.sizes)] });
}

/** Reshape that keeps the batch -> flatten, shuffle, or nothing. */
export function readReshape(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const value = readGrouped(inputs) ?? readChannelsLast(inputs) ?? readFeatures(builder, node, inputs);
  const features = countElements(value.sizes);
  const target = [...readNumbers(builder, node, inputs, 1).values];
  if (readInt(node, "allowzero", 0) !== 0 && target.includes(0)) {
    refuseNode(builder, node, inputs, "a size of 0 (allowzero)", "sizes from 1 on");
  }
  const [batch, ...others] = target.map((size, i) => size === 0 ? [NaN, ...value.sizes][i] : size);
  const known = countElements(others.filter((size) => size !== -1));
  const sizes = others.map((size) => size === -1 ? features / known : size);
  // The batch is copied, the one of the file, or what is left.
  const keepsBatch = Number.isNaN(batch) || batch === builder.batch || batch === -1;
  if (!keepsBatch || countElements(sizes) !== features || !sizes.every(Number.isInteger)) {
    const text = target.map((size) => Number.isNaN(size) ? "N" : size).join(", ");
    return refuseNode(builder, node, inputs, `it reshapes to (${text})`, "a shape that keeps the batch");
  }
  return readChannelsLast([value])
    ? viewFeatures(builder, node, { value, sizes })
    : viewChannels(builder, node, { value, sizes }) ?? viewFeatures(builder, node, { value, sizes });
}

/** Refuses axes that are none, that are there twice, and that of the batch. */
function checkAxes(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { axes, rank }: { readonly axes: readonly number[]; readonly rank: number },
): void {
  const isFitting = new Set(axes).size === axes.length && axes.every((axis) => axis > 0 && axis < rank);
  if (isFitting) return;
  const current = `axes ${axes.join(", ")} of ${rank} dimensions`;
  refuseNode(builder, node, inputs, current, "each axis once, and not that of the batch");
}

/** Squeeze of height and width. */
export function readSqueeze(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const value = readChannelsLast(inputs) ?? readFeatures(builder, node, inputs), { sizes } = value;
  const axes = readAxes(keepNumbers(inputs), node)?.map((axis) => axis < 0 ? axis + sizes.length + 1 : axis);
  checkAxes(builder, node, inputs, { axes: axes ?? [], rank: sizes.length + 1 });
  const kept = sizes.filter((size, i) => axes ? !axes.includes(i + 1) : size !== 1);
  return viewFeatures(builder, node, { value, sizes: kept });
}

/** Unsqueeze of a vector to a map of one pixel. */
export function readUnsqueeze(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const given = readAxes(keepNumbers(inputs), node) ?? [], channel = unsqueezeChannel(inputs, given);
  if (channel) return channel;
  const value = readFeatures(builder, node, inputs);
  const rank = value.sizes.length + 1 + given.length,
    axes = given.map((axis) => axis < 0 ? axis + rank : axis);
  checkAxes(builder, node, inputs, { axes, rank });
  const left = [...value.sizes];
  const sizes = Array.from({ length: rank - 1 }, (_, i) => axes.includes(i + 1) ? 1 : left.shift() ?? 1);
  return viewFeatures(builder, node, { value, sizes });
}

/** Slice of channels -> slice; of every n-th pixel, which is left to the next operator. */
export function readSlice(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const [first] = inputs;
  const hasStep = first !== undefined && !isTensor(first) && first.pending !== undefined &&
    "step" in first.pending;
  const value = hasStep ? first as FeatureValue : readFeatures(builder, node, inputs);
  const ranges = readSliceRanges([NaN, ...value.sizes], keepNumbers(inputs), node, builder);
  const sizes = [...value.sizes];
  const step: [number, number] = value.pending && "step" in value.pending ? [...value.pending.step] : [1, 1];
  for (const { axis, start, count, step: own } of ranges) {
    const isWhole = start === 0 && own === 1 && count === sizes[axis - 1];
    if (isWhole) continue;
    if (axis === 1 && own === 1 && ranges.length === 1) {
      return sliceChannels(builder, node, value, { first: start, count });
    }
    const isStep = (axis === 2 || axis === 3) && sizes.length === 3 && start === 0 && own > 0 &&
      count === Math.ceil(sizes[axis - 1] / own);
    if (!isStep) {
      const current = `${count} elements from ${start} on at step ${own} along axis ${axis}`;
      return refuseNode(
        builder,
        node,
        inputs,
        current,
        "every n-th pixel along height and width, or channels",
      );
    }
    step[axis - 2] *= own;
    sizes[axis - 1] = count;
  }
  if (step.every((own) => own === 1)) return value;
  return { ...dropPending(value), sizes, pending: { node, step } };
}

/** Pad with zeros: of channels -> subsample; around a map it is left to the convolution or pooling after it. */
export function readPad(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const numbers = keepNumbers(inputs);
  const pads = inputs[1] ? [...readNumbers(builder, node, inputs, 1).values] : readInts(node, "pads") ?? [];
  const mode = readText(node, "mode", "constant"),
    fill = numbers[2]?.values[0] ?? readFloat(node, "value", 0);
  const [first] = inputs, value = first && !isTensor(first) ? first : readFeatures(builder, node, inputs);
  if (pads.every((pad) => pad === 0)) return value;
  const rank = value.sizes.length + 1, [before, after] = [pads.slice(0, rank), pads.slice(rank)];
  const isZeros = mode === "constant" && fill === 0 && !inputs[3] && pads.every((pad) => pad >= 0);
  if (rank !== 4 || pads.length !== 8 || !isZeros || before[0] !== 0 || after[0] !== 0) {
    return refuseNode(
      builder,
      node,
      inputs,
      `padding ${mode} ${pads.join(", ")} by ${fill}`,
      "zeros around a map",
    );
  }
  const hasZeros = before.slice(2).some((pad) => pad > 0) || after.slice(2).some((pad) => pad > 0);
  if (before[1] === 0 && after[1] === 0) {
    const map = readFeatures(builder, node, inputs),
      zeros = [before[2], before[3], after[2], after[3]] as const;
    const [channels, height, width] = map.sizes;
    const sizes = [channels, height + zeros[0] + zeros[2], width + zeros[1] + zeros[3]];
    return { ...map, sizes, pending: { node, zeros } };
  }
  const { pending } = value, step = pending && "step" in pending ? pending.step : [1, 1];
  if (hasZeros || step[0] !== step[1] || pending && "zeros" in pending) {
    return refuseNode(builder, node, inputs, "zeros around a map and more channels", "one of both");
  }
  const { channels } = value.shape, outChannels = channels + before[1] + after[1];
  const isUsual = before[1] === Math.floor((before[1] + after[1]) / 2);
  const layer = {
    kind: "subsample",
    outChannels,
    stride: step[0],
    ...(isUsual ? {} : { before: before[1] }),
  } as const;
  return addLayer(builder, node, { layer, inputs: [dropPending(value)] });
}
