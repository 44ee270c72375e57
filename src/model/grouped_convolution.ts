/**
 * Dispatches of grouped and depthwise convolutions. They have kernels of their own, because their products are too
 * narrow for cores.
 *
 * @module
 */
import { arenaRef, type BufferRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { sumSplits } from "../kernels/reduce.ts";
import { countQuads } from "../shape.ts";
import {
  type ConvolutionContext,
  type ForwardTensors,
  type InputGradientTensors,
  normParams,
  windowParams,
} from "./convolution.ts";

/** A convolution in groups. Its weight is (O, KH, KW, quads of a group's input channels). */
export interface GroupedConvolution {
  readonly convolution: Omit<ConvolutionContext, "choose">;
  readonly inChannels: number;
  /** At least 2; divides both channel counts. */
  readonly groups: number;
}

/** The size params of all three kernels. */
function sharedParams({ convolution: { geometry: g }, inChannels, groups }: GroupedConvolution) {
  return {
    in_height: g.inHeight,
    in_width: g.inWidth,
    out_height: g.outHeight,
    out_width: g.outWidth,
    out_channels: g.outChannels,
    kernel_height: g.kernelHeight,
    kernel_width: g.kernelWidth,
    ...windowParams(g),
    group_in: inChannels / groups,
    group_out: g.outChannels / groups,
  };
}

/** 1 if every channel is a group of its own, on both sides. */
function isDepthwise({ convolution: { geometry }, inChannels, groups }: GroupedConvolution): 0 | 1 {
  return groups === inChannels && groups === geometry.outChannels ? 1 : 0;
}

/** y = act(norm(conv(x) + bias) + residual): one dispatch. */
export function groupedForward(
  grouped: GroupedConvolution,
  { x, y, norm, residual, relu }: ForwardTensors,
): Dispatch {
  const { name, geometry: g, weight, bias } = grouped.convolution;
  const quads = g.images * g.outHeight * g.outWidth * countQuads(g.outChannels);
  return dispatchOver(quads, {
    kernel: "layer/grouped_conv2d_forward",
    label: `${name} forward`,
    // Every binding needs a buffer, so unused ones share one that is used.
    bindings: {
      x,
      values: arenaRef("values"),
      statistics: norm ? arenaRef("statistics") : arenaRef("values"),
      residual: residual ?? x,
      y,
    },
    params: {
      quads_total: quads,
      in_quads: g.inQuads,
      ...sharedParams(grouped),
      weight,
      bias: bias ?? 0,
      ...normParams(norm),
    },
    constants: {
      DEPTHWISE: isDepthwise(grouped),
      HAS_BIAS: bias === undefined ? 0 : 1,
      HAS_NORM: norm ? 1 : 0,
      HAS_RESIDUAL: residual === undefined ? 0 : 1,
      RELU: relu ? 1 : 0,
    },
  });
}

/** dx from dy: one dispatch. `addend` is added to dx; then dx is zero where `gate` <= 0. */
export function groupedBackwardInput(
  grouped: GroupedConvolution,
  { values = arenaRef("values"), dy, dx, addend, gate }: InputGradientTensors,
): Dispatch {
  const { name, geometry: g, weight } = grouped.convolution;
  const quads = g.images * g.inHeight * g.inWidth * g.inQuads;
  return dispatchOver(quads, {
    kernel: "layer/grouped_conv2d_backward_input",
    label: `${name} backward input`,
    bindings: { dy, values, gate: gate ?? dy, addend: addend ?? dy, dx },
    params: {
      quads_total: quads,
      in_channels: grouped.inChannels,
      out_quads: countQuads(g.outChannels),
      ...sharedParams(grouped),
      weight,
    },
    constants: {
      DEPTHWISE: isDepthwise(grouped),
      HAS_ADDEND: addend === undefined ? 0 : 1,
      GATED: gate === undefined ? 0 : 1,
    },
  });
}

/** Invocations that fill a device. */
const invocationsWanted = 16384;

/** Pixels per invocation: enough chunks to fill a device, with sums that are neither too long nor too short. */
function pixelsPerChunk(pixels: number, items: number): number {
  const chunks = Math.min(Math.ceil(pixels / 16), Math.ceil(invocationsWanted / items));
  return Math.ceil(pixels / Math.max(chunks, Math.ceil(pixels / 1024)));
}

/** The weight's gradient; it overwrites the arena. `scratch` declares tensors for partial sums. */
export function groupedBackwardWeight(
  grouped: GroupedConvolution,
  { x, dy, scratch }: {
    readonly x: BufferRef;
    readonly dy: BufferRef;
    readonly scratch: (purpose: string, quads: number) => BufferRef;
  },
): readonly Dispatch[] {
  const { name, geometry: g, weight } = grouped.convolution;
  const taps = g.kernelHeight * g.kernelWidth, outQuads = countQuads(g.outChannels);
  const quads = g.outChannels * taps * countQuads(grouped.inChannels / grouped.groups);
  const DEPTHWISE = isDepthwise(grouped), items = DEPTHWISE ? taps * outQuads : quads;
  const rows = g.images * g.outHeight * g.outWidth, rowsPerChunk = pixelsPerChunk(rows, items);
  const chunks = Math.ceil(rows / rowsPerChunk);
  const sums = scratch("weight sums", chunks * quads), label = `${name} backward weight`;
  return [
    dispatchOver(chunks * items, {
      kernel: "layer/grouped_conv2d_backward_weight",
      label,
      bindings: { dy, x, sums },
      params: {
        rows,
        rows_per_chunk: rowsPerChunk,
        in_quads: g.inQuads,
        out_quads: outQuads,
        ...sharedParams(grouped),
      },
      constants: { DEPTHWISE },
    }),
    sumSplits({
      label,
      scratch: sums,
      out: arenaRef("gradients"),
      offset: weight,
      quads,
      splits: chunks,
      scale: 1,
    }),
  ];
}
