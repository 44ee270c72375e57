/**
 * ReLU: y = max(x, 0). It is fused into the layer before it and the layer after it if they can compute it.
 *
 * @module
 */
import { z } from "zod";
import { dispatchOver } from "../../kernels/dispatch.ts";
import { quadsPerExample } from "../../shape.ts";
import { channelwise } from "../channels.ts";
import { type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A ReLU in a model file. */
export interface ReluSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "relu";
}

/** Validates a ReLU. */
export const reluSchema = z.strictObject({ kind: z.literal("relu"), ...layerFields });

/** The ReLU, any shape. */
export const relu: LayerType<ReluSpec> = {
  channels: channelwise({
    ofConstant: (value) => Math.max(value, 0),
    sign: "never negative",
    onlyRearranges: false,
  }),
  isRelu: true,

  outputShape: (_spec, [input]) => input,

  parameters: () => [],

  forward({ name, batch, output, x, y, emit }) {
    const quads = batch * quadsPerExample(output);
    const kernel = "layer/relu_forward";
    emit(dispatchOver(quads, { kernel, label: `${name} forward`, bindings: { x, y }, params: { quads } }));
  },

  backward({ name, batch, output, y, dy, dx, emit }) {
    if (!dx) return;
    const quads = batch * quadsPerExample(output);
    const kernel = "layer/relu_backward";
    emit(
      dispatchOver(quads, { kernel, label: `${name} backward`, bindings: { y, dy, dx }, params: { quads } }),
    );
  },
};
