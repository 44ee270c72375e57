/**
 * The parameter-free shortcut of a residual block that halves its map and widens it: every stride-th pixel, with
 * channels of zeros before and after (option A of He et al. 2015, arXiv 1512.03385, section 4.2).
 *
 * @module
 */
import { z } from "zod";
import { ShapeError } from "../../errors.ts";
import { dispatchOver } from "../../kernels/dispatch.ts";
import { type FeatureShape, imageBounds, mapShape, quadsPerExample, shapeText } from "../../shape.ts";
import { featureCount, type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A subsampling shortcut in a model file. */
export interface SubsampleSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "subsample";
  /** Channels of the output, at least those of the input. */
  readonly outChannels: number;
  /** Pixels between two that are kept, along both sides. */
  readonly stride: number;
  /** Channels of zeros before the input's. Default: half of the added channels, rounded down. */
  readonly before?: number;
}

/** Validates a subsampling shortcut. */
export const subsampleSchema = z.strictObject({
  kind: z.literal("subsample"),
  ...layerFields,
  outChannels: featureCount,
  stride: z.int().min(1).max(imageBounds.side),
  before: z.int().min(0).max(2 ** 24).optional(),
});

/** Channels of zeros before the input's. The rest come after; one more if the number is odd. */
function channelsBefore({ outChannels, before }: SubsampleSpec, { channels }: FeatureShape): number {
  return before ?? Math.floor((outChannels - channels) / 2);
}

/** The sizes of input and output, as params of both kernels. */
function makeSideParams({ spec: { stride }, input, output }: {
  readonly spec: SubsampleSpec;
  readonly input: FeatureShape;
  readonly output: FeatureShape;
}) {
  return {
    in_height: input.height,
    in_width: input.width,
    out_height: output.height,
    out_width: output.width,
    stride,
  };
}

/** The shortcut: x (N, C, H, W) -> y (N, outChannels, ceil(H / stride), ceil(W / stride)). */
export const subsample: LayerType<SubsampleSpec> = {
  channels: {
    sign: "kept",
    onlyRearranges: false,

    labels({ spec, input, output }, [first], labels) {
      // A channel of zeros is bound to nothing until something is added to it.
      const before = channelsBefore(spec, input), behind = output.channels - before - input.channels;
      return [...labels.fresh(before), ...first, ...labels.fresh(behind)];
    },

    constants({ spec, input, output }, [first]) {
      const before = channelsBefore(spec, input);
      return Array.from({ length: output.channels }, (_, channel) => {
        const source = channel - before;
        return source in first ? first[source] : 0;
      });
    },

    narrow({ spec, input }, { inputs: [inputs], outputs }) {
      const first = channelsBefore(spec, input);
      const before = outputs.filter((channel) => channel < first).length;
      const isUsual = before === channelsBefore({ ...spec, outChannels: outputs.length, before: undefined }, {
        ...input,
        channels: inputs.length,
      });
      const { before: _, ...rest } = spec;
      return { ...rest, outChannels: outputs.length, ...(isUsual ? {} : { before }) };
    },
  },

  outputShape({ outChannels, stride, before = 0 }, [input], name) {
    if (input.taps !== 1) {
      const current = `input ${shapeText(input)} that was flattened`;
      throw new ShapeError({ act: "apply layer", thing: name, current, wanted: "a feature map" });
    }
    if (outChannels < before + input.channels) {
      const zeros = before > 0 ? `, ${before} of zeros before it` : "";
      const current = `input ${shapeText(input)}, outChannels ${outChannels}${zeros}`;
      const wanted = `at least ${before + input.channels} channels out`;
      throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
    }
    return mapShape(outChannels, Math.ceil(input.height / stride), Math.ceil(input.width / stride));
  },

  parameters: () => [],

  forward(context) {
    const { spec, name, batch, input, output, x, y, emit } = context;
    const quads = batch * quadsPerExample(output);
    emit(dispatchOver(quads, {
      kernel: "layer/slice_channels",
      label: `${name} forward`,
      bindings: { x, y },
      params: {
        ...makeSideParams(context),
        quads_total: quads,
        in_channels: input.channels,
        channels: output.channels,
        // Not -0, which integer fields refuse.
        shift: 0 - channelsBefore(spec, input),
      },
    }));
  },

  backward(context) {
    const { spec, name, batch, input, output, dy, dx, emit } = context;
    if (!dx) return;
    const quads = batch * quadsPerExample(input);
    emit(dispatchOver(quads, {
      kernel: "layer/subsample_backward",
      label: `${name} backward`,
      bindings: { dy, dx },
      params: {
        ...makeSideParams(context),
        quads_total: quads,
        channels: input.channels,
        out_channels: output.channels,
        before: channelsBefore(spec, input),
      },
    }));
  },
};
