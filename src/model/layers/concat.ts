/**
 * Joining of feature maps along their channels, as DenseNet and Inception do.
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { dispatchOver } from "../../kernels/dispatch.ts";
import { countQuads, mapShape, quadsPerExample, shapeText } from "../../shape.ts";
import { type LayerFields, layerFields, type LayerInput, type LayerType } from "../layer.ts";

/** A join in a model file; `inputs` names its parts, in order. */
export interface ConcatSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "concat";
}

/** Validates a join. */
export const concatSchema = z.strictObject({ kind: z.literal("concat"), ...layerFields });

/** Each input with its first channel in the output. */
function placeParts(inputs: readonly LayerInput[]): readonly (LayerInput & { readonly offset: number })[] {
  let offset = 0;
  return inputs.map((input) => {
    const part = { ...input, offset };
    offset += input.shape.channels;
    return part;
  });
}

/** The join: x (N, C_i, H, W) -> y (N, sum of C_i, H, W). */
export const concat: LayerType<ConcatSpec> = {
  arity: "several",

  channels: {
    sign: "any",
    onlyRearranges: false,
    labels: (_layer, inputs) => inputs.flat(),
    constants: (_layer, inputs) => inputs.flat(),
    narrow: ({ spec }) => spec,
  },

  outputShape(_spec, inputs, name) {
    const [first] = inputs;
    for (const input of inputs) {
      // The channels of a flattened pixel repeat tap by tap, so those of two inputs would have to alternate.
      if (input.taps !== 1) {
        const current = `input ${shapeText(input)} that was flattened`;
        const wanted = "feature maps (flatten their join), or linear layers' outputs";
        throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
      }
      if (input.height !== first.height || input.width !== first.width) {
        const current = `inputs ${shapeText(first)} and ${shapeText(input)}`;
        throw new ShapeError({ act: "apply layer", thing: name, current, wanted: "one height and width" });
      }
    }
    const channels = inputs.reduce((sum, input) => sum + input.channels, 0);
    return mapShape(channels, first.height, first.width);
  },

  parameters: () => [],

  forward({ name, batch, inputs, output, y, emit }) {
    const pixels = batch * output.height * output.width;
    for (const { shape, x, offset } of placeParts(inputs)) {
      const span = countQuads(offset % 4 + shape.channels), items = pixels * span;
      emit(dispatchOver(items, {
        kernel: "layer/concat_forward",
        label: `${name} forward`,
        bindings: { x, y },
        params: {
          items,
          x_quads: countQuads(shape.channels),
          y_quads: countQuads(output.channels),
          offset,
          span,
        },
      }));
    }
  },

  backward({ name, batch, inputs, output, dy, emit }) {
    for (const { shape, dx, offset } of placeParts(inputs)) {
      if (!dx) continue;
      const quads = batch * quadsPerExample(shape);
      emit(dispatchOver(quads, {
        kernel: "layer/slice_channels",
        label: `${name} backward`,
        bindings: { x: dy, y: dx },
        params: {
          quads_total: quads,
          in_channels: output.channels,
          channels: shape.channels,
          in_height: shape.height,
          in_width: shape.width,
          out_height: shape.height,
          out_width: shape.width,
          stride: 1,
          shift: offset,
        },
      }));
    }
  },
};
