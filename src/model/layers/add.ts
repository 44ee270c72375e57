/**
 * Addition of two or more feature maps of one shape, such as a residual block and its shortcut.
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { dispatchOver } from "../../kernels/dispatch.ts";
import { type FeatureShape, quadsPerExample, shapeText } from "../../shape.ts";
import { type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A sum in a model file; `inputs` names its terms. */
export interface AddSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "add";
}

/** Validates a sum. */
export const addSchema = z.strictObject({ kind: z.literal("add"), ...layerFields });

/** Shapes with the same text may differ in their layout after a flatten. */
function describe(shape: FeatureShape): string {
  return shape.taps === 1 ? shapeText(shape) : `${shapeText(shape)}, flattened from ${shape.taps} pixels`;
}

/** The sum: two or more x (N, C, H, W) -> y of the same shape. */
export const add: LayerType<AddSpec> = {
  arity: "several",
  isSum: true,
  fusesRelu: true,

  channels: {
    sign: "any",
    onlyRearranges: false,

    labels(_layer, [first, ...others], labels) {
      for (const other of others) {
        for (const [c, label] of other.entries()) labels.unite(first[c], label);
      }
      return first;
    },

    constants: (_layer, inputs) =>
      inputs.reduce((sums, input) =>
        sums.map((sum, channel) => {
          const value = input[channel];
          return sum === undefined || value === undefined ? undefined : sum + value;
        })
      ),
    narrow: ({ spec }) => spec,
  },

  outputShape(_spec, inputs, name) {
    const [first, ...others] = inputs;
    if (others.length === 0) {
      const current = `one input, ${describe(first)}`;
      throw new ShapeError({ act: "apply layer", thing: name, current, wanted: "two or more to add" });
    }
    for (const other of others) {
      const isSame = other.channels === first.channels && other.height === first.height &&
        other.width === first.width && other.taps === first.taps;
      if (isSame) continue;
      const current = `inputs ${describe(first)} and ${describe(other)}`;
      throw new ShapeError({ act: "apply layer", thing: name, current, wanted: "inputs of one shape" });
    }
    return first;
  },

  parameters: () => [],

  forward({ name, batch, inputs, output, y, relu, scratch, emit }) {
    const quads = batch * quadsPerExample(output);
    const last = inputs.length - 1;
    let total = inputs[0].x;
    for (let i = 1; i <= last; i++) {
      // A partial sum is read while the next is written, so partial sums alternate between two tensors; the last one
      // is y.
      const sum = (last - i) % 2 === 0 ? y : scratch("sum", quads);
      emit(dispatchOver(quads, {
        kernel: "layer/add_forward",
        label: `${name} forward`,
        bindings: { a: total, b: inputs[i].x, gate: total, y: sum },
        params: { quads },
        constants: { RELU: relu && i === last ? 1 : 0, GATED: 0 },
      }));
      total = sum;
    }
  },

  // The gradient of every input is that of the output; the plan passes it on.
  backward: () => {},
};
