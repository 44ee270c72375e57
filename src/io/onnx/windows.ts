/**
 * Operators with windows over a map: pooling, and the sizes that convolutions share with it.
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
  refuseNode,
} from "./builder.ts";
import { readChannelsLast } from "./channels_last.ts";
import { readAxes } from "./fold_moves.ts";
import { type OnnxNode, readInt, readInts, readText } from "./graph.ts";

/** Windows along height and width, in pixels. */
export interface OnnxWindows {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** Above and left. */
  readonly padding: readonly [number, number];
  /** Below and right. */
  readonly paddingAfter: readonly [number, number];
}

/** Two numbers of a list along height and width. */
function readPair(
  node: OnnxNode,
  name: string,
  otherwise: readonly [number, number],
): readonly [number, number] {
  const [height, width, ...others] = readInts(node, name) ?? otherwise;
  return others.length === 0 && width !== undefined ? [height, width] : [NaN, NaN];
}

/** Values of `auto_pad`. */
const paddings: readonly string[] = ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"];

/** The windows of a convolution or pooling, with zeros that a Pad before it added. */
export function readWindows(
  builder: GraphBuilder,
  node: OnnxNode,
  input: FeatureValue,
  kernelSize?: readonly [number, number],
): OnnxWindows {
  const { shape, pending } = input;
  const kernel = kernelSize ?? readPair(node, "kernel_shape", [NaN, NaN]);
  const stride = readPair(node, "strides", [1, 1]), dilation = readPair(node, "dilations", [1, 1]);
  const zeros = pending && "zeros" in pending ? pending.zeros : [0, 0, 0, 0];
  const automatic = readText(node, "auto_pad", "NOTSET");
  const hasPads = readInts(node, "pads")?.some((pad) => pad !== 0) === true;
  const isRounded = readInt(node, "ceil_mode", 0) !== 0, isAutomatic = automatic !== "NOTSET";
  if (!paddings.includes(automatic) || isAutomatic && (hasPads || isRounded)) {
    const current = `auto_pad ${automatic}${hasPads ? " beside pads" : isRounded ? " beside ceil_mode" : ""}`;
    refuseNode(builder, node, [input], current, `${paddings.join(", ")}, alone`);
  }
  const own = automatic === "SAME_UPPER" || automatic === "SAME_LOWER"
    ? padToSame([shape.height, shape.width], { kernel, stride, dilation }, automatic === "SAME_UPPER")
    : readInts(node, "pads") ?? [0, 0, 0, 0];
  const pads = own.map((pad, i) => pad + zeros[i]);
  return { kernel, stride, dilation, padding: [pads[0], pads[1]], paddingAfter: [pads[2], pads[3]] };
}

/** The padding that gives one output per step; an odd pixel goes after, or before. */
function padToSame(
  sides: readonly number[],
  { kernel, stride, dilation }: Pick<OnnxWindows, "kernel" | "stride" | "dilation">,
  isAfter: boolean,
): readonly number[] {
  const totals = sides.map((side, i) => {
    const reach = (Math.ceil(side / stride[i]) - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1;
    return Math.max(0, reach - side);
  });
  const less = totals.map((total) => Math.floor(total / 2)),
    more = totals.map((total) => Math.ceil(total / 2));
  return isAfter ? [...less, ...more] : [...more, ...less];
}

/** One number for both sides where they are equal, as model files are written. */
export function shortPair([height, width]: readonly [number, number]): number | readonly [number, number] {
  return height === width ? height : [height, width];
}

/** The fields of windows in a model file. */
export function describeWindows({ kernel, stride, padding, paddingAfter }: OnnxWindows) {
  return {
    kernel: shortPair(kernel),
    stride: shortPair(stride),
    padding: shortPair(padding),
    ...(padding.join() === paddingAfter.join() ? {} : { paddingAfter: shortPair(paddingAfter) }),
  };
}

/** The input of a window, which may have zeros of a Pad around it. */
export function readPadded(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const [value] = inputs;
  if (value && !isTensor(value) && value.pending && "zeros" in value.pending) return value;
  return readFeatures(builder, node, inputs);
}

/** A value without what is pending. */
export function dropPending({ layer, shape, sizes }: FeatureValue): FeatureValue {
  return { layer, shape, sizes };
}

/**
 * Windows whose number is rounded up (`ceil_mode`) as windows with padding below and on the right that the last one reaches.
 * A window that would start behind the map is none.
 */
function roundUp(node: OnnxNode, { shape }: FeatureValue, windows: OnnxWindows): OnnxWindows {
  if (readInt(node, "ceil_mode", 0) === 0) return windows;
  const { kernel, stride, dilation, padding, paddingAfter } = windows;
  const [height, width] = [shape.height, shape.width].map((side, i) => {
    const before = side + padding[i], reach = dilation[i] * (kernel[i] - 1) + 1;
    const last = Math.ceil((before + paddingAfter[i] - reach) / stride[i]) * stride[i];
    return Math.max(paddingAfter[i], (last < before ? last : last - stride[i]) + reach - before);
  });
  return { ...windows, paddingAfter: [height, width] };
}

/** Refuses pooling of pixels that are no neighbours. */
function checkDilation(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { dilation }: OnnxWindows,
): void {
  if (dilation.every((step) => step === 1)) return;
  refuseNode(builder, node, inputs, `dilation ${dilation.join(" x ")}`, "dilation 1");
}

/** MaxPool -> maxpool2d. */
export function readMaxPool(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const input = readFeatures(builder, node, inputs),
    windows = roundUp(node, input, readWindows(builder, node, input));
  checkDilation(builder, node, inputs, windows);
  return addLayer(builder, node, {
    layer: { kind: "maxpool2d", ...describeWindows(windows) },
    inputs: [input],
  });
}

/** AveragePool -> avgpool2d, or globalavgpool2d if the window is the whole map. */
export function readAveragePool(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const padded = readPadded(builder, node, inputs), input = dropPending(padded);
  const own = readWindows(builder, node, input), given = readWindows(builder, node, padded);
  checkDilation(builder, node, inputs, own);
  const windows = roundUp(node, input, given), { kernel } = windows;
  const isZero = (pad: number) => pad === 0;
  const isUnpadded = [...windows.padding, ...windows.paddingAfter].every(isZero);
  if (kernel[0] === input.shape.height && kernel[1] === input.shape.width && isUnpadded) {
    return addLayer(builder, node, { layer: { kind: "globalavgpool2d" }, inputs: [input] });
  }
  // Zeros of a Pad always count, those of the node if it says so, and what rounding up adds never.
  const hasZeros = [...given.padding, ...given.paddingAfter].some((pad) => pad > 0);
  const hasOwn = [...own.padding, ...own.paddingAfter].some((pad) => pad > 0);
  const isRounded = windows.paddingAfter.join() !== given.paddingAfter.join();
  const counts = hasZeros && (!hasOwn || readInt(node, "count_include_pad", 0) === 1);
  if (counts && isRounded || hasOwn && !counts && padded.pending) {
    const current = "some padding that counts as zeros, and some that does not";
    refuseNode(
      builder,
      node,
      inputs,
      current,
      "either, by count_include_pad, and ceil_mode 0 beside padding that counts",
    );
  }
  const countsPadding = counts || isUnpadded ? {} : { countsPadding: false };
  const layer = { kind: "avgpool2d", ...describeWindows(windows), ...countsPadding } as const;
  return addLayer(builder, node, { layer, inputs: [input] });
}

/** GlobalAveragePool -> globalavgpool2d. */
export function readGlobalAveragePool(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
): FeatureValue {
  const input = readFeatures(builder, node, inputs);
  return addLayer(builder, node, { layer: { kind: "globalavgpool2d" }, inputs: [input] });
}

/** GlobalMaxPool -> maxpool2d of one window. */
export function readGlobalMaxPool(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const input = readFeatures(builder, node, inputs), { height, width } = input.shape;
  const side = shortPair([height, width]);
  const layer = { kind: "maxpool2d", kernel: side, stride: side, padding: 0 } as const;
  return addLayer(builder, node, { layer, inputs: [input] });
}

/** ReduceMean over height and width -> globalavgpool2d. */
export function readReduceMean(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const last = readChannelsLast(inputs), { channels, height, width } = last?.shape ?? {};
  const input = last
    ? { ...dropPending(last), sizes: [channels!, height!, width!] }
    : readFeatures(builder, node, inputs);
  const numbers = inputs.map((value) => value && isTensor(value) ? value : undefined);
  const axes = readAxes(numbers, node)?.map((axis) => axis < 0 ? axis + 1 + input.sizes.length : axis);
  if (input.sizes.length !== 3 || axes?.toSorted().join() !== (last ? "1,2" : "2,3")) {
    return refuseNode(
      builder,
      node,
      inputs,
      `a mean over axes ${axes?.join(", ") ?? "of all"}`,
      "height and width of a map",
    );
  }
  const keepsRank = readInt(node, "keepdims", 1) === 1;
  const sizes = keepsRank ? [input.shape.channels, 1, 1] : [input.shape.channels];
  const mean = addLayer(builder, node, { layer: { kind: "globalavgpool2d" }, inputs: [input], sizes });
  if (!last || !keepsRank) return mean;
  return { ...mean, sizes: sizes.toReversed(), pending: { node, isChannelsLast: true } };
}
