/**
 * Activations: elementwise functions and their derivatives, computed by kernels/activation/.
 *
 * @module
 */
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { countQuads, quadsPerExample } from "../shape.ts";
import { channelwise } from "./channels.ts";
import type { LayerContext, LayerFields, LayerType } from "./layer.ts";

/** The function: its file in kernels/activation/, and the fields of its Params besides those of the cores. */
export interface Activation {
  readonly stem: string;
  readonly params?: Dispatch["params"];
  /** True if it may be another number than 0 at 0, so that padding is written as 0 instead. Default: false. */
  readonly isPadded?: boolean;
}

/** The fields that the cores read. */
function makeParams(
  { params = {}, isPadded = false }: Activation,
  { batch, output }: Pick<LayerContext<unknown>, "batch" | "output">,
): Dispatch["params"] {
  const quads = batch * quadsPerExample(output), channelQuads = countQuads(output.channels);
  const lanes = output.channels - 4 * (channelQuads - 1);
  return { quads, ...(isPadded ? { channel_quads: channelQuads, last_lanes: lanes } : {}), ...params };
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
      const activation = activationOf(spec), { stem, isPadded } = activation;
      emit(dispatchOver(batch * quadsPerExample(output), {
        kernel: `activation/${isPadded ? "forward_padded" : "forward"}:activation/${stem}`,
        label: `${name} forward`,
        bindings: { x, y },
        params: makeParams(activation, { batch, output }),
      }));
    },

    backward({ spec, name, batch, output, x, dy, dx, emit }) {
      if (!dx) return;
      const activation = activationOf(spec);
      emit(dispatchOver(batch * quadsPerExample(output), {
        kernel: `activation/backward:activation/${activation.stem}`,
        label: `${name} backward`,
        bindings: { x, dy, dx },
        params: makeParams(activation, { batch, output }),
      }));
    },
  };
}
