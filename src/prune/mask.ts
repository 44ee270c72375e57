/**
 * Applies a new mask: removed parameters are set to zero in all arenas, and kept ones are counted.
 *
 * @module
 */
import { arenaRef, inputRef } from "../kernels/buffer_ref.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import { type ParameterLayout, parseLayerName } from "../plan/layout.ts";
import { dispatchInWindow, overWindows } from "../plan/windows.ts";
import { prunableTensors } from "./score/criteria.ts";

/** Kept weights of one prunable tensor. */
export interface LayerCount {
  /** The tensor's full name, such as `conv1.weight`. */
  readonly name: string;
  /** Its weights. */
  readonly weights: number;
  /** Weights with mask 1. */
  readonly kept: number;
  /** Output channels (rows). */
  readonly channels: number;
  /** Output channels without a kept weight. */
  readonly emptyChannels: number;
}

/** The names of layers without a kept weight. */
export function emptyLayers(
  layers: readonly Pick<LayerCount, "name" | "weights" | "kept">[],
): readonly string[] {
  return layers.filter(({ weights, kept }) => weights > 0 && kept === 0)
    .map(({ name }) => parseLayerName(name));
}

/** The dispatches that multiply arenas by the mask. */
export function lowerMasking(
  { windows }: ParameterLayout,
  roles: readonly ("values" | "mean" | "velocity")[],
): readonly Dispatch[] {
  return roles.flatMap((out) =>
    overWindows(windows, ({ quads }) => ({
      kernel: "mask/apply",
      label: `mask ${out}`,
      bindings: { mask: arenaRef("mask"), out: arenaRef(out) },
      params: { quads },
    }))
  );
}

/** Words in the buffer `channel_counts`. */
export function channelCounts(layout: ParameterLayout): number {
  return prunableTensors(layout).reduce((sum, { rows }) => sum + rows, 0);
}

/** The dispatches that count kept weights per channel and per layer, into `channel_counts` and `layer_counts`. */
export function lowerMaskCounts(layout: ParameterLayout): readonly Dispatch[] {
  let channelOffset = 0;
  return prunableTensors(layout).map(({ fullName, rows, rowQuads, offset, window }, layer) => {
    const params = { rows, "row_quads": rowQuads, offset, "channel_offset": channelOffset, layer };
    channelOffset += rows;
    return dispatchInWindow(window, rows, {
      kernel: "mask/count",
      label: `${fullName} kept`,
      bindings: {
        mask: arenaRef("mask"),
        channels: inputRef("channel_counts"),
        layers: inputRef("layer_counts"),
      },
      params,
    });
  });
}

/** The counts of the buffers by layer. */
export function layerCounts(
  layout: ParameterLayout,
  { channels, layers }: { readonly channels: Uint32Array; readonly layers: Uint32Array },
): readonly LayerCount[] {
  let offset = 0;
  return prunableTensors(layout).map(({ fullName, count, rows }, layer) => {
    const kept = channels.subarray(offset, offset + rows);
    offset += rows;
    return {
      name: fullName,
      weights: count,
      kept: layers[layer],
      channels: rows,
      emptyChannels: kept.filter((weights) => weights === 0).length,
    };
  });
}
