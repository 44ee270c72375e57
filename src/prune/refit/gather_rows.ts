/**
 * Gathers lines of tensors on the device: at sampled positions, or a group's channels of all lines.
 *
 * @module
 */
import { inputRef } from "../../kernels/buffer_ref.ts";
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Gpu } from "../../gpu/device.ts";
import { bindBuffers, type BoundBuffer } from "../../gpu/bind.ts";
import { Program } from "../../gpu/executor.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import { countQuads } from "../../shape.ts";

/** The lines to gather, and their channels. */
export interface RowSource {
  readonly label: string;
  /** The tensor, lines of `inChannels` in quads. */
  readonly from: BoundBuffer;
  readonly inChannels: number;
  /** Maximum lines per run. */
  readonly lines: number;
  /** The buffer for them, lines of `channels` in quads. */
  readonly to: DeviceBuffer;
  readonly firstChannel: number;
  readonly channels: number;
  /** The positions of the lines, one word each. Default: lines one after the other. */
  readonly positions?: DeviceBuffer | undefined;
  /** True adds them to the buffer. */
  readonly accumulate: boolean;
}

/** The dispatch that gathers lines, at `positions` or one after the other. */
export function lowerRowGather(
  { label, inChannels, lines, firstChannel, channels, accumulate, isSampled }:
    & Omit<RowSource, "from" | "to" | "positions">
    & { readonly isSampled: boolean },
): Dispatch {
  return dispatchOver(lines * countQuads(channels), {
    kernel: "refit/gather_lines",
    label,
    bindings: { lines: inputRef("lines"), positions: inputRef("positions"), out: inputRef("out") },
    params: {
      in_quads: countQuads(inChannels),
      out_quads: countQuads(channels),
      first_channel: firstChannel,
      channels,
    },
    constants: { SAMPLED: isSampled ? 1 : 0, ACCUMULATE: accumulate ? 1 : 0 },
  });
}

/** Prepares a program that gathers lines. Its step fields are `count`, `first_line` and `first_out`. */
export async function openRowGather(gpu: Gpu, source: RowSource): Promise<Program> {
  const { label, from, to, positions } = source;
  const bound: Readonly<Record<string, BoundBuffer>> = {
    lines: from,
    // Every binding needs a buffer, even if it is not read.
    positions: positions ? { buffer: positions, quads: positions.sizeBytes / 16 } : from,
    out: { buffer: to, quads: to.sizeBytes / 16 },
  };
  return await Program.create(gpu, [lowerRowGather({ ...source, isSampled: positions !== undefined })], {
    bind: bindBuffers(label, { input: (name) => bound[name] }),
  });
}
