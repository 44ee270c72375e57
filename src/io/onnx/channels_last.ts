/**
 * Maps with their channels in the last dimension (N, H, W, C), as TensorFlow and Keras have them: files turn them to (N, C, H, W)
 * for convolutions and back. Layers are the same; only the weights after a flattened map change their order.
 *
 * @module
 */
import { addLayer, type FeatureValue, type GraphBuilder, isTensor, type NodeInputs } from "./builder.ts";
import { type OnnxGraph, type OnnxNode, readInts } from "./graph.ts";
import { countElements } from "./tensor.ts";

/** The orders that turn channels from the last dimension to the first behind the batch, and back. */
const toFirst = "0,3,1,2", toLast = "0,2,3,1";

/** True if all that reads the images of a graph turns their channels to the first dimension. */
export function hasChannelsLast({ nodes, input }: Pick<OnnxGraph, "nodes" | "input">): boolean {
  const readers = nodes.filter(({ inputs }) => inputs.includes(input.name));
  return readers.length > 0 &&
    readers.every((node) => node.op === "Transpose" && readInts(node, "perm")?.join() === toFirst);
}

/** The sizes of the images, channels before height and width. */
export function imageSizes(graph: Pick<OnnxGraph, "nodes" | "input">): readonly (number | undefined)[] {
  const { sizes } = graph.input, [batch, height, width, channels] = sizes;
  return hasChannelsLast(graph) ? [batch, channels, height, width] : sizes;
}

/** An input with its channels in the last dimension, or flattened from such a map. */
export function readChannelsLast([value]: NodeInputs): FeatureValue | undefined {
  const isLast = value && !isTensor(value) && value.pending && "isChannelsLast" in value.pending;
  return isLast ? value : undefined;
}

/** Transpose of a map's channels to the last dimension or back: nothing; undefined for others. */
export function turnChannels(node: OnnxNode, inputs: NodeInputs): FeatureValue | undefined {
  const [value] = inputs, order = readInts(node, "perm")?.join(), last = readChannelsLast(inputs);
  if (!value || isTensor(value)) return undefined;
  const { layer, shape } = value, { channels, height, width } = shape;
  if (last && last.sizes.length === 3 && order === toFirst) {
    return { layer, shape, sizes: [channels, height, width] };
  }
  const isMap = !value.pending && value.sizes.length === 3 && order === toLast;
  return isMap
    ? { ...value, sizes: [height, width, channels], pending: { node, isChannelsLast: true } }
    : undefined;
}

/**
 * A map of channels in the last dimension in other sizes without the batch: its channels where it has one pixel, or all
 * features, whose order the next layer's weight takes; undefined for others.
 */
export function viewChannelsLast(
  builder: GraphBuilder,
  node: OnnxNode,
  value: FeatureValue,
  sizes: readonly number[],
): FeatureValue | undefined {
  const { layer, shape } = value, { channels, height, width } = shape, features = countElements(value.sizes);
  if (sizes.join() === value.sizes.join()) return value;
  if (sizes.length !== 1 || sizes[0] !== features) return undefined;
  if (height === 1 && width === 1) return { layer, shape, sizes: [channels] };
  const map = { layer, shape, sizes: [channels, height, width] };
  const flat = addLayer(builder, node, { layer: { kind: "flatten" }, inputs: [map] });
  return { ...flat, pending: { node, isChannelsLast: true } };
}

/** Rows of a weight over features of a flattened map, from the order (H, W, C) to (C, H, W). */
export function reorderRows(
  values: Float32Array,
  { channels, taps }: { readonly channels: number; readonly taps: number },
): Float32Array {
  const columns = channels * taps, ordered = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const column = i % columns, channel = column % channels, tap = Math.floor(column / channels);
    ordered[i - column + channel * taps + tap] = values[i];
  }
  return ordered;
}
