/**
 * The worth of coupled groups, from the scores of their elements.
 *
 * The worth of a group is z_g^2, the sum of z^2 = P mu^2 over all its elements: twice the loss of its removal by the
 * Laplace approximation with a diagonal precision P. So by default filters, the weights that read their output, and
 * the filters of all coupled layers count alike, as in the group importance of Torch-Pruning (Fang et al. 2023, arXiv
 * 2301.12900). Elements without a score, such as biases, count as nothing.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { readBuffers } from "../../gpu/readback.ts";
import { type Dispatch, spreadWorkgroups } from "../../kernels/dispatch.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { type ArenaWindow, inWindow } from "../../plan/windows.ts";
import type { ChannelGroup } from "./coupling.ts";
import { type GroupPart, groupRuns, indexParameters } from "./runs.ts";
import type { PruneBuffers } from "../prune_buffers.ts";

/** The worth of each group, by its index. */
export interface GroupScores {
  /** Sum of the scores of its kept elements, or of their squares. */
  readonly sums: Float32Array;
  /** Its kept elements with a score. */
  readonly counts: Uint32Array;
}

/** Removable groups, with their scores. */
export interface RemovableGroups extends GroupScores {
  /** Their name in errors. */
  readonly kind: string;
  /** The layer, or set of coupled layers, of each group. */
  readonly layerOf: ArrayLike<number>;
  /** The cost of a group's kept weights, by the measure of the options. */
  costOf(group: number): number;
  /**
   * Marks a group as removed, if it may be removed. Returns the removed part by the measure; each weight counts once.
   */
  take(group: number): number;
  /** Removes the marked groups from the mask on the device. */
  apply(): Promise<void>;
}

/** The elements of groups, packed for kernels. */
export interface PackedRuns {
  /** The first run of each group, and the number of all runs: (groups + 1). */
  readonly starts: Uint32Array;
  /** First float, stride, count and 0 of each run: (runs, 4). */
  readonly runs: Uint32Array;
}

/** Packs the trained elements of groups in a window, each once per group. */
export function packGroupRuns(
  layout: ParameterLayout,
  groups: readonly ChannelGroup[],
  { part = "all", window = layout.windows[0] }: {
    readonly part?: GroupPart;
    readonly window?: ArenaWindow;
  } = {},
): PackedRuns {
  const parameters = indexParameters(layout), words: number[] = [];
  const begin = 4 * window.first, end = begin + 4 * window.quads;
  const starts = new Uint32Array(groups.length + 1);
  for (const [i, group] of groups.entries()) {
    for (const { arena, first, stride, count } of groupRuns(parameters, group, part)) {
      const isInside = arena === "values" && first >= begin && first < end;
      if (isInside) words.push(first - begin, stride, count, 0);
    }
    starts[i + 1] = words.length / 4;
  }
  return { starts, runs: Uint32Array.from(words) };
}

/** The dispatch that sums scores, or their squares, by group, into the buffers `group_sums` and `group_counts`. */
export function lowerGroupSums(window: ArenaWindow, groups: number, isSquared: boolean): Dispatch {
  return inWindow(window, {
    kernel: "score/group_sums",
    label: "group sums",
    bindings: {
      starts: inputRef("group_starts"),
      runs: inputRef("group_runs"),
      scores: arenaRef("scores"),
      mask: arenaRef("mask"),
      sums: inputRef("group_sums"),
      counts: inputRef("group_counts"),
    },
    params: { groups },
    constants: { SQUARED: isSquared ? 1 : 0 },
    workgroups: spreadWorkgroups(groups),
  });
}

/**
 * Sums scores, or their squares, by group, from the arena `scores` of a network: window by window, in order.
 *
 * @param part Whether all elements of a group count, or only those that make its channels.
 */
export async function sumGroups(
  buffers: PruneBuffers,
  groups: readonly ChannelGroup[],
  { part, isSquared }: { readonly part: GroupPart; readonly isSquared: boolean },
): Promise<GroupScores> {
  const total = { sums: new Float32Array(groups.length), counts: new Uint32Array(groups.length) };
  if (groups.length === 0) return total;
  const { gpu, layout } = buffers.network, results = ["group_sums", "group_counts"];
  for (const window of layout.windows) {
    const { starts, runs } = packGroupRuns(layout, groups, { part, window });
    buffers.allocate([
      ["group_starts", starts.length],
      ["group_runs", Math.max(4, runs.length)],
      ...results.map((name) => [name, groups.length] as const),
    ]);
    buffers.get("group_starts").write(starts);
    buffers.get("group_runs").write(runs);
    await buffers.run([lowerGroupSums(window, groups.length, isSquared)]);
    const read = results.map((name) => ({ buffer: buffers.get(name) }));
    const [sums, counts] = await readBuffers(gpu, read);
    const own = { sums: new Float32Array(sums), counts: new Uint32Array(counts) };
    for (let group = 0; group < groups.length; group++) {
      total.sums[group] += own.sums[group];
      total.counts[group] += own.counts[group];
    }
  }
  return total;
}

/**
 * The number of standard deviations by which a group's z_g^2 exceeds that of d elements without a signal, by the cube
 * root of Wilson and Hilferty 1931, which makes a chi-square nearly normal. It ranks groups of all sizes and does not
 * saturate.
 *
 * @param signal z_g^2, at least 0.
 * @param elements d, at least 1.
 */
export function groupDeviate(signal: number, elements: number): number {
  const variance = 2 / (9 * elements);
  return (Math.cbrt(signal / elements) - 1 + variance) / Math.sqrt(variance);
}
