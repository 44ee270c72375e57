/**
 * Multiplication of a feature map by another one, pixel by pixel, or by a gate of one number per channel, as
 * squeeze-and-excitation does (Hu et al. 2017, arXiv 1709.01507).
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import type { BufferRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import { type FeatureShape, quadsPerExample, quadsPerPixel, shapeText } from "../../shape.ts";
import { type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A product in a model file; `inputs` names the map, and then its factor. */
export interface MultiplySpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "multiply";
}

/** Validates a product. */
export const multiplySchema = z.strictObject({ kind: z.literal("multiply"), ...layerFields });

type MultiplyContext = Pick<LayerContext<MultiplySpec>, "name" | "batch" | "inputs" | "output">;

/** The sizes that both kernels read: a factor's pixel belongs to `pixels` of the map. */
function makeParams({ inputs: [, factor], output }: MultiplyContext) {
  const { height, width } = factor.shape, pixels = output.height * output.width / (height * width);
  return { quads: quadsPerPixel(output), pixels };
}

/** y = map * factor. */
function multiplyBy(
  context: MultiplyContext,
  { pass, ...bindings }: {
    readonly pass: string;
    readonly map: BufferRef;
    readonly factor: BufferRef;
    readonly y: BufferRef;
  },
): Dispatch {
  const quadsTotal = context.batch * quadsPerExample(context.output);
  return dispatchOver(quadsTotal, {
    kernel: "layer/multiply",
    label: `${context.name} ${pass}`,
    bindings,
    params: { quads_total: quadsTotal, ...makeParams(context) },
  });
}

/** The product: x (N, C, H, W) and a factor (N, C, H, W) or (N, C) -> y of x's shape. */
export const multiply: LayerType<MultiplySpec> = {
  arity: "several",

  channels: {
    sign: "kept",
    onlyRearranges: false,

    labels(_layer, [map, factor], labels) {
      for (const [c, label] of factor.entries()) labels.unite(map[c], label);
      return map;
    },

    constants: (_layer, [map, factor]) =>
      map.map((value, c) => {
        const other = factor[c];
        if (value === 0 || other === 0) return 0;
        return value === undefined || other === undefined ? undefined : value * other;
      }),
    narrow: ({ spec }) => spec,
  },

  outputShape(_spec, inputs, name) {
    const [map, factor, ...others] = inputs;
    const isSame = (a: FeatureShape, b: FeatureShape) => a.height === b.height && a.width === b.width;
    const isGate = map.taps === 1 && factor?.height === 1 && factor.width === 1;
    const fits = factor && others.length === 0 && map.channels === factor.channels &&
      map.taps === factor.taps &&
      (isGate || isSame(map, factor));
    if (fits) return map;
    const current = `inputs ${inputs.map(shapeText).join(" and ")}`;
    const wanted = "a map, and a factor of its shape or of one number per channel";
    throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
  },

  parameters: () => [],

  forward(context) {
    const { inputs: [map, factor], y, emit } = context;
    emit(multiplyBy(context, { pass: "forward", map: map.x, factor: factor.x, y }));
  },

  backward(context) {
    const { name, batch, inputs: [map, factor], dy, emit } = context;
    if (map.dx) emit(multiplyBy(context, { pass: "backward", map: dy, factor: factor.x, y: map.dx }));
    if (!factor.dx) return;
    const quadsTotal = batch * quadsPerExample(factor.shape);
    emit(dispatchOver(quadsTotal, {
      kernel: "layer/multiply_backward_factor",
      label: `${name} backward`,
      bindings: { map: map.x, dy, dx: factor.dx },
      params: { quads_total: quadsTotal, ...makeParams(context) },
    }));
  },
};
