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

/** The windows of a convolution or pooling, with zeros that a Pad before it added. */
export function readWindows(
  node: OnnxNode,
  { shape, pending }: FeatureValue,
  kernelSize?: readonly [number, number],
): OnnxWindows {
  const kernel = kernelSize ?? readPair(node, "kernel_shape", [NaN, NaN]);
  const stride = readPair(node, "strides", [1, 1]), dilation = readPair(node, "dilations", [1, 1]);
  const zeros = pending && "zeros" in pending ? pending.zeros : [0, 0, 0, 0];
  const automatic = readText(node, "auto_pad", "NOTSET");
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

/** Refuses windows that are padded on one side only. */
export function checkSymmetric(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  { padding, paddingAfter }: OnnxWindows,
): void {
  if (padding.every((pad, i) => pad === paddingAfter[i])) return;
  const current = `padding ${padding.join(" x ")} before and ${paddingAfter.join(" x ")} after`;
  refuseNode(builder, node, inputs, current, "the same padding on both sides");
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

/** Refuses windows whose last one is larger than the map, which only rounding up counts. */
function checkRounding(
  builder: GraphBuilder,
  node: OnnxNode,
  inputs: NodeInputs,
  windows: OnnxWindows,
): void {
  if (readInt(node, "ceil_mode", 0) === 0) return;
  const { shape } = readFeatures(builder, node, inputs),
    { kernel, stride, dilation, padding, paddingAfter } = windows;
  const isWhole = [shape.height, shape.width].every((side, i) =>
    (side + padding[i] + paddingAfter[i] - dilation[i] * (kernel[i] - 1) - 1) % stride[i] === 0
  );
  if (!isWhole) {
    refuseNode(builder, node, inputs, "sizes rounded up (ceil_mode)", "windows that fit into the map");
  }
}

/** MaxPool -> maxpool2d. */
export function readMaxPool(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const input = readFeatures(builder, node, inputs), windows = readWindows(node, input);
  checkSymmetric(builder, node, inputs, windows);
  checkRounding(builder, node, inputs, windows);
  if (windows.dilation.some((step) => step !== 1)) {
    refuseNode(builder, node, inputs, `dilation ${windows.dilation.join(" x ")}`, "dilation 1");
  }
  const { kernel, stride, padding } = windows;
  const layer = {
    kind: "maxpool2d",
    kernel: shortPair(kernel),
    stride: shortPair(stride),
    padding: shortPair(padding),
  } as const;
  return addLayer(builder, node, { layer, inputs: [input] });
}

/** AveragePool -> avgpool2d, or globalavgpool2d if the window is the whole map. */
export function readAveragePool(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const padded = readPadded(builder, node, inputs), input = dropPending(padded);
  const own = readWindows(node, input),
    windows = readWindows(node, padded),
    { kernel, stride, padding } = windows;
  checkSymmetric(builder, node, inputs, windows);
  const isUnpadded = [...padding, ...windows.paddingAfter].every((pad) => pad === 0);
  if (kernel[0] === input.shape.height && kernel[1] === input.shape.width && isUnpadded) {
    return addLayer(builder, node, { layer: { kind: "globalavgpool2d" }, inputs: [input] });
  }
  checkRounding(builder, node, [input], windows);
  const countsZeros = readInt(node, "count_include_pad", 0) === 1 || own.padding.every((pad) => pad === 0);
  if (!countsZeros) {
    refuseNode(
      builder,
      node,
      inputs,
      "padding that does not count (count_include_pad 0)",
      "padding that counts as zeros",
    );
  }
  const layer = {
    kind: "avgpool2d",
    kernel: shortPair(kernel),
    stride: shortPair(stride),
    padding: shortPair(padding),
  } as const;
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

/** ReduceMean over height and width -> globalavgpool2d. */
export function readReduceMean(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): FeatureValue {
  const input = readFeatures(builder, node, inputs);
  const numbers = inputs.map((value) => value && isTensor(value) ? value : undefined);
  const axes = readAxes(numbers, node)?.map((axis) => axis < 0 ? axis + 1 + input.sizes.length : axis);
  if (input.sizes.length !== 3 || axes?.toSorted().join() !== "2,3") {
    return refuseNode(
      builder,
      node,
      inputs,
      `a mean over axes ${axes?.join(", ") ?? "of all"}`,
      "axes 2, 3 of a map",
    );
  }
  const sizes = readInt(node, "keepdims", 1) === 1 ? [input.shape.channels, 1, 1] : [input.shape.channels];
  return addLayer(builder, node, { layer: { kind: "globalavgpool2d" }, inputs: [input], sizes });
}
