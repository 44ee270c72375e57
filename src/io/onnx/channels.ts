/**
 * Operators that move channels: a shuffle, which files spell out, and parts of a map.
 *
 * @module
 */
import {
  addLayer,
  type FeatureValue,
  type GraphBuilder,
  isTensor,
  type NodeInputs,
  readFeatures,
  readNumbers,
  refuseNode,
} from "./builder.ts";
import { turnChannels } from "./channels_last.ts";
import { type OnnxNode, readInt, readInts } from "./graph.ts";
import { dropPending } from "./windows.ts";

/** An input whose channels lie in two dimensions. */
export function readGrouped([value]: NodeInputs): FeatureValue | undefined {
  const isGrouped = value && !isTensor(value) && value.pending && "groups" in value.pending;
  return isGrouped ? value : undefined;
}

/** A map (C, H, W) as (groups, C / groups, H, W), or back, which is a shuffle if both changed places; else undefined. */
export function viewChannels(
  builder: GraphBuilder,
  node: OnnxNode,
  { value, sizes }: { readonly value: FeatureValue; readonly sizes: readonly number[] },
): FeatureValue | undefined {
  const { shape: { channels, height, width, taps }, pending } = value, area = `${height},${width}`;
  const isMap = taps === 1 && value.sizes.slice(-2).join() === area && sizes.slice(-2).join() === area;
  if (!isMap) return undefined;
  if (!pending && sizes.length === 4 && sizes[0] * sizes[1] === channels) {
    return { ...value, sizes, pending: { node, groups: sizes[0], isTurned: false } };
  }
  if (!pending || !("groups" in pending) || sizes.length !== 3 || sizes[0] !== channels) return undefined;
  const map = { ...dropPending(value), sizes };
  if (!pending.isTurned) return map;
  return addLayer(builder, node, { layer: { kind: "shuffle", groups: pending.groups }, inputs: [map] });
}

/** Transpose of channels to another dimension; of groups and positions, which a Reshape makes a shuffle. */
export function readTranspose(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const turned = turnChannels(node, inputs);
  if (turned) return turned;
  const value = readGrouped(inputs), order = readInts(node, "perm")?.join() ?? "reversed";
  if (!value || order !== "0,2,1,3,4") {
    const current = `the order (${order})`;
    return refuseNode(
      builder,
      node,
      inputs,
      current,
      "channels to the last dimension or back, or groups and positions of channels that change places",
    );
  }
  const [groups, positions, ...area] = value.sizes, pending = value.pending as { readonly isTurned: boolean };
  return {
    ...value,
    sizes: [positions, groups, ...area],
    // Turned twice is not turned.
    pending: { node, groups: pending.isTurned ? positions : groups, isTurned: !pending.isTurned },
  };
}

/** Neighbouring channels of a map -> slice. */
export function sliceChannels(
  builder: GraphBuilder,
  node: OnnxNode,
  value: FeatureValue,
  { first, count }: { readonly first: number; readonly count: number },
): FeatureValue {
  const { shape: { taps }, pending } = value;
  if (taps !== 1 || pending || count < 1) {
    refuseNode(builder, node, [value], `channels ${first} to ${first + count - 1}`, "some channels of a map");
  }
  return addLayer(builder, node, { layer: { kind: "slice", first, outChannels: count }, inputs: [value] });
}

/** Gather of one channel -> slice; an Unsqueeze must give its dimension back. */
export function readGather(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const value = readFeatures(builder, node, inputs),
    { values: [index], shape } = readNumbers(builder, node, inputs, 1);
  const { channels, taps } = value.shape,
    first = index < 0 ? index + channels : index,
    axis = readInt(node, "axis", 0);
  const [, ...area] = value.sizes;
  if (
    taps !== 1 || axis !== 1 || shape.length > 0 || area.length !== 2 || !(first >= 0 && first < channels)
  ) {
    refuseNode(builder, node, inputs, `elements along axis ${axis}`, "one channel of a map");
  }
  const slice = sliceChannels(builder, node, value, { first, count: 1 });
  return { ...slice, sizes: area, pending: { node, isSqueezed: true } };
}

/** One channel with the dimension that an Unsqueeze gives back; undefined for other features. */
export function unsqueezeChannel([value]: NodeInputs, axes: readonly number[]): FeatureValue | undefined {
  const isOne = value && !isTensor(value) && value.pending && "isSqueezed" in value.pending;
  if (!isOne || axes.length !== 1 || ![1, -3].includes(axes[0])) return undefined;
  return { ...dropPending(value), sizes: [1, ...value.sizes] };
}

/** Split along the channels -> a slice for each part; its sizes are an attribute, since version 13 an input. */
export function readSplit(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
): readonly FeatureValue[] {
  const value = readFeatures(builder, node, inputs), { channels } = value.shape, [, given] = inputs;
  const axis = readInt(node, "axis", 0), rank = value.sizes.length + 1;
  const parts = node.outputs.length, equal = Math.ceil(channels / parts);
  const sizes = given && isTensor(given)
    ? [...given.values]
    : readInts(node, "split") ?? node.outputs.map((_, i) => Math.min(equal, channels - i * equal));
  const isWhole = sizes.length === parts && readInt(node, "num_outputs", parts) === parts &&
    sizes.reduce((sum, size) => sum + size, 0) === channels;
  if ((axis < 0 ? axis + rank : axis) !== 1 || !isWhole) {
    const current = `parts of ${sizes.join(", ")} along axis ${axis}`;
    return refuseNode(builder, node, inputs, current, "all channels along axis 1");
  }
  let first = 0;
  return sizes.map((count) => {
    const part = sliceChannels(builder, node, value, { first, count });
    first += count;
    return part;
  });
}
