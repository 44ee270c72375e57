/**
 * PReLU: y = x if x > 0, otherwise slope x, with a learned slope per channel or one for all (He et al. 2015, arXiv
 * 1502.01852).
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { arenaRef } from "../../kernels/buffer_ref.ts";
import { dispatchOver } from "../../kernels/dispatch.ts";
import { splitRows, sumColumns } from "../../kernels/reduce.ts";
import { quadsPerExample, quadsPerPixel, shapeText } from "../../shape.ts";
import { channelwise } from "../channels.ts";
import { type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A PReLU in a model file. */
export interface PreluSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "prelu";
  /** True for one slope for all channels, as PyTorch has by default. */
  readonly shared: boolean;
}

/** Validates a PReLU. */
export const preluSchema = z.strictObject({
  kind: z.literal("prelu"),
  ...layerFields,
  shared: z.boolean().default(true),
});

/** The sizes and the slopes, as params of the kernels. */
function makeParams({ spec, batch, output, offsetOf }: LayerContext<PreluSpec>) {
  const quads = batch * quadsPerExample(output);
  return {
    quads_total: quads,
    quads: quadsPerPixel(output),
    offset: offsetOf("weight"),
    is_shared: spec.shared ? 1 : 0,
  };
}

/** The PReLU: x (N, C, H, W) -> y of the same shape; with a shared slope any shape. */
export const prelu: LayerType<PreluSpec> = {
  channels: channelwise({
    // The slope of a channel is not asked for.
    ofConstant: (value) => value >= 0 ? value : undefined,
    sign: "kept",
    onlyRearranges: false,
  }),

  outputShape({ shared }, [input], name) {
    // Several taps of a channel would need a slope each.
    if (shared || input.taps === 1) return input;
    const current = `input ${shapeText(input)} that was flattened`;
    throw new ShapeError({
      act: "apply layer",
      thing: name,
      current,
      wanted: "a map, a vector or a shared slope",
    });
  },

  parameters({ shared }, input) {
    const channels = shared ? 1 : input.channels, initial = { constant: 0.25 };
    return [{
      name: "weight",
      role: "scale",
      rows: 1,
      taps: 1,
      channels,
      shape: [channels],
      shared,
      initial,
    }];
  },

  forward(context) {
    const { name, x, y, emit } = context, params = makeParams(context);
    emit(dispatchOver(params.quads_total, {
      kernel: "layer/prelu_forward",
      label: `${name} forward`,
      bindings: { x, values: arenaRef("values"), y },
      params,
    }));
  },

  backward(context) {
    const { spec, name, x, dy, dx, scratch, emit } = context, params = makeParams(context);
    const { quads, offset } = params, rows = params.quads_total / quads;
    const gradients = arenaRef("gradients"), label = `${name} backward weight`;
    const sums = spec.shared ? scratch("slopes", quads) : undefined;
    emit(...sumColumns({
      ...{ label, term: "reduce/prelu_backward_weight", bindings: { x, dy }, rows, quads, scale: 1 },
      scratch: scratch("chunks", splitRows(rows, quads).chunks * quads),
      ...(sums ? { out: sums, offset: 0 } : { out: gradients, offset }),
    }));
    if (sums) {
      emit(dispatchOver(1, {
        kernel: "reduce/lanes",
        label: `${label}, all channels`,
        bindings: { x: sums, out: gradients },
        params: { quads, offset },
      }));
    }
    if (!dx) return;
    emit(dispatchOver(params.quads_total, {
      kernel: "layer/prelu_backward",
      label: `${name} backward`,
      bindings: { x, values: arenaRef("values"), dy, dx },
      params,
    }));
  },
};
