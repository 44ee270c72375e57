/**
 * Max and average pooling.
 *
 * @module
 */
import { z } from "zod";
import type { BufferRef } from "../../kernels/buffer_ref.ts";
import { ShapeError } from "../../errors.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import {
  countQuads,
  mapShape,
  type Pair,
  quadsPerExample,
  shapeText,
  toPair,
  windowedSides,
  type Windows,
} from "../../shape.ts";
import { channelwise, keepZero } from "../channels.ts";
import {
  type FusedPool,
  type LayerContext,
  type LayerFields,
  layerFields,
  type LayerType,
} from "../layer.ts";
import { isSquare, isUnpadded, pairField, stepParams } from "../window.ts";

/** A pooling layer in a model file. */
export interface Pool2dSpec extends LayerFields {
  /** Whether a window gives its maximum or its mean. */
  readonly kind: "maxpool2d" | "avgpool2d";
  /** Sides of the window, in pixels. */
  readonly kernel: Pair;
  /** Pixels between two windows. */
  readonly stride: Pair;
  /** Padding on each side, in pixels, at most half the window; with `paddingAfter` above and on the left. */
  readonly padding: Pair;
  /** Padding below and on the right, in which no window starts. Default: padding. */
  readonly paddingAfter?: Pair | undefined;
  /** False if a mean is over the pixels of the map alone. Default: true, padding counts as zeros. Only of an average. */
  readonly countsPadding?: boolean | undefined;
}

const fields = {
  ...layerFields,
  kernel: pairField(1),
  stride: pairField(1),
  padding: pairField(0).default(0),
  paddingAfter: pairField(0).optional(),
};

/** Validates a max-pooling layer. */
export const maxpool2dSchema = z.strictObject({ kind: z.literal("maxpool2d"), ...fields });

/** Validates an average-pooling layer. */
export const avgpool2dSchema = z.strictObject({
  kind: z.literal("avgpool2d"),
  ...fields,
  countsPadding: z.boolean().optional(),
});

/** A pass of pooling over windows. */
type PoolContext = Pick<
  LayerContext<unknown>,
  "name" | "batch" | "input" | "output" | "x" | "y" | "dy" | "gated" | "emit"
>;

function params({ input, output }: PoolContext, windows: Windows, quadsTotal: number) {
  const [kernelHeight, kernelWidth] = toPair(windows.kernel);
  return {
    quads_total: quadsTotal,
    quads: countQuads(input.channels),
    in_height: input.height,
    in_width: input.width,
    out_height: output.height,
    out_width: output.width,
    kernel_height: kernelHeight,
    kernel_width: kernelWidth,
    ...stepParams(windows),
  };
}

const outputShape: LayerType<Pool2dSpec>["outputShape"] = (spec, [input], name) => {
  const { height, width } = windowedSides(input, spec), kernel = toPair(spec.kernel);
  const padding = toPair(spec.padding), stride = toPair(spec.stride);
  const isWide = kernel.some((side, i) => 2 * padding[i] > side);
  // Where the last window starts.
  const isBeside = [height, width].some((count, i) =>
    (count - 1) * stride[i] - padding[i] >= [input.height, input.width][i]
  );
  if (height < 1 || width < 1 || input.taps !== 1 || isWide || isBeside) {
    const wanted = `a feature map of at least ${
      kernel.join(" x ")
    }, padding at most half the window, every window on the map`;
    const after = spec.paddingAfter === undefined
      ? ""
      : ` and ${[...new Set(toPair(spec.paddingAfter))].join(" x ")} after`;
    const current = `input ${shapeText(input)}, padding ${[...new Set(padding)].join(" x ")}${after}`;
    throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
  }
  return mapShape(input.channels, height, width);
};

/** Windows of an average, which may leave padding out. */
type PoolWindows = Windows & Pick<Pool2dSpec, "countsPadding">;

/** Of an average whose padding does not count. */
function uncounted({ countsPadding = true }: PoolWindows): Record<string, number> {
  return countsPadding ? {} : { COUNTS_PADDING: 0 };
}

/** The forward pass of pooling by a kernel. */
export function poolForward(context: PoolContext, windows: PoolWindows, kind: Pool2dSpec["kind"]): void {
  const { name, batch, output, x, y } = context;
  const quads = batch * quadsPerExample(output);
  context.emit(dispatchOver(quads, {
    kernel: `layer/${kind}_forward`,
    label: `${name} forward`,
    bindings: { x, y },
    params: params(context, windows, quads),
    constants: uncounted(windows),
  }));
}

/** The backward pass of average pooling. */
export function averageBackward(context: PoolContext, windows: PoolWindows, dx: BufferRef): void {
  const { name, batch, input, x, dy, gated } = context;
  const quads = batch * quadsPerExample(input);
  context.emit(dispatchOver(quads, {
    kernel: "layer/avgpool2d_backward",
    label: `${name} backward`,
    bindings: { dy, gate: gated ? x : dy, dx },
    params: params(context, windows, quads),
    constants: { GATED: gated ? 1 : 0, ...uncounted(windows) },
  }));
}

const forward: LayerType<Pool2dSpec>["forward"] = (context) =>
  poolForward(context, context.spec, context.spec.kind);

/** The windows of a map and the rest at its edges: the sizes that the kernels share. */
function makeCellParams({ spec: { kernel }, batch, input }: LayerContext<Pool2dSpec>) {
  const [kernelHeight, kernelWidth] = toPair(kernel);
  const cellsHigh = Math.ceil(input.height / kernelHeight), cellsWide = Math.ceil(input.width / kernelWidth);
  const quads = countQuads(input.channels);
  return {
    cells: batch * cellsHigh * cellsWide * quads,
    cells_high: cellsHigh,
    cells_wide: cellsWide,
    quads,
    in_height: input.height,
    in_width: input.width,
  };
}

/** The backward pass of a pool that is fused into the convolution before it, from the argmax. */
function argmaxBackward(
  context: LayerContext<Pool2dSpec>,
  { argmax, dy, output }: FusedPool,
  dx: BufferRef,
): Dispatch {
  const cells = makeCellParams(context);
  return dispatchOver(cells.cells, {
    kernel: "layer/maxpool2d_backward_argmax",
    label: `${context.name} backward`,
    bindings: { dy, argmax, dx },
    params: { ...cells, pooled_height: output.height, pooled_width: output.width },
  });
}

/** The backward pass of max pooling whose windows do not overlap: every value is read and written once. */
function disjointBackward(
  context: LayerContext<Pool2dSpec>,
  shared: Pick<Dispatch, "label" | "bindings" | "constants">,
): Dispatch {
  const { spec, output } = context, [kernelHeight, kernelWidth] = toPair(spec.kernel);
  const cells = makeCellParams(context);
  return dispatchOver(cells.cells, {
    ...shared,
    kernel: "layer/maxpool2d_backward_disjoint",
    params: {
      ...cells,
      out_height: output.height,
      out_width: output.width,
      kernel_height: kernelHeight,
      kernel_width: kernelWidth,
    },
  });
}

/** Max pooling: x (N, C, H, W) -> y (N, C, OH, OW); padding never wins. */
export const maxpool2d: LayerType<Pool2dSpec> = {
  channels: channelwise({ ofConstant: (value) => value, sign: "kept", onlyRearranges: true }),
  isHalvingPool: (spec) => isSquare(spec.kernel, 2) && isSquare(spec.stride, 2) && isUnpadded(spec),
  gatesInput: () => true,
  outputShape,
  parameters: () => [],
  forward,
  backward(context) {
    const { name, batch, input, x, y, dy, dx, gated } = context;
    if (!dx) return;
    if (context.pool) {
      context.emit(argmaxBackward(context, context.pool, dx));
      return;
    }
    const shared = {
      label: `${name} backward`,
      bindings: { x, y, dy, dx },
      constants: { GATED: gated ? 1 : 0 },
    };
    const { spec } = context, stride = toPair(spec.stride);
    if (isSquare(spec.padding, 0) && toPair(spec.kernel).every((side, i) => side === stride[i])) {
      context.emit(disjointBackward(context, shared));
      return;
    }
    const quads = batch * quadsPerExample(input);
    context.emit(dispatchOver(quads, {
      ...shared,
      kernel: "layer/maxpool2d_backward",
      params: params(context, spec, quads),
    }));
  },
};

/** Average pooling: x (N, C, H, W) -> y (N, C, OH, OW); padding counts as zeros, as in PyTorch, or not. */
export const avgpool2d: LayerType<Pool2dSpec> = {
  channels: channelwise({
    // At the edges padding counts as zero.
    ofConstant: (value, spec) => isUnpadded(spec) || spec.countsPadding === false ? value : keepZero(value),
    sign: "kept",
    onlyRearranges: true,
  }),
  gatesInput: () => true,
  outputShape,
  parameters: () => [],
  forward,
  backward(context) {
    if (context.dx) averageBackward(context, context.spec, context.dx);
  },
};
