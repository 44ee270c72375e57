/**
 * Dropout: in training, every number becomes zero with probability p and is divided by 1 - p otherwise.
 *
 * @module
 */
import { z } from "zod";
import type { BufferRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import { openRandomStream } from "../../random.ts";
import { quadsPerExample } from "../../shape.ts";
import { channelwise } from "../channels.ts";
import { type LayerContext, type LayerFields, layerFields, type LayerType } from "../layer.ts";

/** A dropout in a model file. */
export interface DropoutSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "dropout";
  /** Probability of being dropped, in [0, 1). */
  readonly p: number;
}

/** Validates a dropout. */
export const dropoutSchema = z.strictObject({
  kind: z.literal("dropout"),
  ...layerFields,
  p: z.number().min(0).lt(1).default(0.5),
});

/** One direction: the same elements are dropped in both. */
function drop(
  { spec: { p }, name, stream, batch, output }: LayerContext<DropoutSpec>,
  { pass, x, y }: { readonly pass: "forward" | "backward"; readonly x: BufferRef; readonly y: BufferRef },
): Dispatch {
  const quads = batch * quadsPerExample(output);
  return dispatchOver(quads, {
    kernel: "layer/dropout",
    label: `${name} ${pass}`,
    bindings: { x, y },
    params: {
      quads,
      // Each layer of a step draws from its own stream.
      stream: openRandomStream(0, stream).nextUint32(),
      threshold: Math.min(Math.round(p * 2 ** 32), 2 ** 32 - 1),
      scale: 1 / (1 - p),
    },
  });
}

/** The dropout, any shape. Outside training it is the identity. */
export const dropout: LayerType<DropoutSpec> = {
  channels: channelwise({ ofConstant: (value) => value, sign: "kept", onlyRearranges: true }),
  isView: (mode) => mode !== "train",
  outputShape: (_spec, [input]) => input,
  parameters: () => [],

  forward(context) {
    const { x, y } = context;
    context.emit(drop(context, { pass: "forward", x, y }));
  },

  backward(context) {
    const { dy, dx } = context;
    if (dx) context.emit(drop(context, { pass: "backward", x: dy, y: dx }));
  },
};
