/**
 * Max and average pooling with square windows.
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import { mapShape, quadsOf, quadsPerExample, shapeText, windowedLength } from "../../shape.ts";
import {
  type FusedPool,
  type LayerContext,
  type LayerFields,
  layerFields,
  type LayerType,
} from "../layer.ts";

/** A pooling layer in a model file. */
export interface Pool2dSpec extends LayerFields {
  /** Whether windows give their largest value or their mean. */
  readonly kind: "maxpool2d" | "avgpool2d";
  /** Side of the square window, in pixels. */
  readonly kernel: number;
  /** Pixels between two windows, along both sides. */
  readonly stride: number;
  /** Padding on each side, in pixels, at most half the window. */
  readonly padding: number;
}

const fields = {
  ...layerFields,
  kernel: z.int().min(1),
  stride: z.int().min(1),
  padding: z.int().min(0).default(0),
};

/** Validates a max-pooling layer. */
export const maxpool2dSchema = z.strictObject({ kind: z.literal("maxpool2d"), ...fields });

/** Validates an average-pooling layer. */
export const avgpool2dSchema = z.strictObject({ kind: z.literal("avgpool2d"), ...fields });

function params({ spec, input, output }: LayerContext<Pool2dSpec>, quadsTotal: number) {
  return {
    quads_total: quadsTotal,
    quads: quadsOf(input.channels),
    in_height: input.height,
    in_width: input.width,
    out_height: output.height,
    out_width: output.width,
    kernel: spec.kernel,
    stride: spec.stride,
    padding: spec.padding,
  };
}

const outputShape: LayerType<Pool2dSpec>["outputShape"] = (spec, [input], name) => {
  const height = windowedLength(input.height, spec), width = windowedLength(input.width, spec);
  if (height < 1 || width < 1 || input.taps !== 1 || 2 * spec.padding > spec.kernel) {
    const wanted =
      `a feature map of at least ${spec.kernel} x ${spec.kernel}, padding at most half the window`;
    const current = `input ${shapeText(input)}, padding ${spec.padding}`;
    throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
  }
  return mapShape(input.channels, height, width);
};

const forward: LayerType<Pool2dSpec>["forward"] = (context) => {
  const { spec, name, batch, output, x, y } = context;
  const quads = batch * quadsPerExample(output);
  context.emit(dispatchOver(quads, {
    kernel: `layer/${spec.kind}_forward`,
    label: `${name} forward`,
    bindings: { x, y },
    params: params(context, quads),
  }));
};

/** The windows of a map and what is left at its edges: sizes that the kernels over them share. */
function cellsOf({ spec: { kernel }, batch, input }: LayerContext<Pool2dSpec>) {
  const cellsHigh = Math.ceil(input.height / kernel), cellsWide = Math.ceil(input.width / kernel);
  const quads = quadsOf(input.channels);
  return {
    cells: batch * cellsHigh * cellsWide * quads,
    cells_high: cellsHigh,
    cells_wide: cellsWide,
    quads,
    in_height: input.height,
    in_width: input.width,
  };
}

/** The backward pass of a pool that the convolution before it took over, from the places of the maxima. */
function placesBackward(
  context: LayerContext<Pool2dSpec>,
  { places, dy, output }: FusedPool,
  dx: string,
): Dispatch {
  const cells = cellsOf(context);
  return dispatchOver(cells.cells, {
    kernel: "layer/maxpool2d_backward_places",
    label: `${context.name} backward`,
    bindings: { dy, places, dx },
    params: { ...cells, pooled_height: output.height, pooled_width: output.width },
  });
}

/** The backward pass of max pooling whose windows do not overlap: every value is read and written once. */
function disjointBackward(
  context: LayerContext<Pool2dSpec>,
  shared: Pick<Dispatch, "label" | "bindings" | "constants">,
): Dispatch {
  const { spec: { kernel }, output } = context;
  const cells = cellsOf(context);
  return dispatchOver(cells.cells, {
    ...shared,
    kernel: "layer/maxpool2d_backward_disjoint",
    params: { ...cells, out_height: output.height, out_width: output.width, kernel },
  });
}

/** Max pooling: x (N, C, H, W) -> y (N, C, OH, OW); padding never wins. */
export const maxpool2d: LayerType<Pool2dSpec> = {
  coupling: "channelwise",
  gatesInput: () => true,
  outputShape,
  parameters: () => [],
  forward,
  backward(context) {
    const { name, batch, input, x, y, dy, dx, gated } = context;
    if (!dx) return;
    if (context.pool) {
      context.emit(placesBackward(context, context.pool, dx));
      return;
    }
    const shared = {
      label: `${name} backward`,
      bindings: { x, y, dy, dx },
      constants: { GATED: gated ? 1 : 0 },
    };
    const { kernel, stride, padding } = context.spec;
    if (stride === kernel && padding === 0) {
      context.emit(disjointBackward(context, shared));
      return;
    }
    const quads = batch * quadsPerExample(input);
    context.emit(dispatchOver(quads, {
      ...shared,
      kernel: "layer/maxpool2d_backward",
      params: params(context, quads),
    }));
  },
};

/** Average pooling: x (N, C, H, W) -> y (N, C, OH, OW); padding counts as zero, as in PyTorch. */
export const avgpool2d: LayerType<Pool2dSpec> = {
  coupling: "channelwise",
  outputShape,
  parameters: () => [],
  forward,
  backward(context) {
    const { name, batch, input, dy, dx } = context;
    if (!dx) return;
    const quads = batch * quadsPerExample(input);
    context.emit(dispatchOver(quads, {
      kernel: "layer/avgpool2d_backward",
      label: `${name} backward`,
      bindings: { dy, dx },
      params: params(context, quads),
    }));
  },
};
