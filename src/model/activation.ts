/**
 * Activations: elementwise functions and their derivatives, computed by kernels/activation/.
 *
 * @module
 */
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { quadsPerExample } from "../shape.ts";
import { channelwise } from "./channels.ts";
import type { LayerFields, LayerType } from "./layer.ts";

/** The function: its file in kernels/activation/, and the fields of its Params besides the number of quads. */
export interface Activation {
  readonly stem: string;
  readonly params?: Dispatch["params"];
}

/**
 * Makes the layer of an activation: x, any shape -> y of the same shape.
 *
 * @param ofConstant The function of one number; undefined if it is not known.
 */
export function activationLayer<Spec extends LayerFields>(
  activationOf: (spec: Spec) => Activation,
  ofConstant: (value: number, spec: Spec) => number | undefined,
): LayerType<Spec> {
  return {
    channels: channelwise({ ofConstant, sign: "any", onlyRearranges: false }),

    outputShape: (_spec, [input]) => input,

    parameters: () => [],

    forward({ spec, name, batch, output, x, y, emit }) {
      const { stem, params = {} } = activationOf(spec), quads = batch * quadsPerExample(output);
      emit(dispatchOver(quads, {
        kernel: `activation/forward:activation/${stem}`,
        label: `${name} forward`,
        bindings: { x, y },
        params: { quads, ...params },
      }));
    },

    backward({ spec, name, batch, output, x, dy, dx, emit }) {
      if (!dx) return;
      const { stem, params = {} } = activationOf(spec), quads = batch * quadsPerExample(output);
      emit(dispatchOver(quads, {
        kernel: `activation/backward:activation/${stem}`,
        label: `${name} backward`,
        bindings: { x, dy, dx },
        params: { quads, ...params },
      }));
    },
  };
}
