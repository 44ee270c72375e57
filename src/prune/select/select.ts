/**
 * Exact selection on the device: the mask that removes the asked number of weights with the smallest scores, the best N
 * of every M, and removed weights that come back.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver, spreadWorkgroups } from "../../kernels/dispatch.ts";
import { foldedTaps, type PlacedParameter } from "../../plan/layout.ts";
import { dispatchInWindow, inWindow } from "../../plan/windows.ts";
import { countQuads } from "../../shape.ts";

/** A range of neighbouring weights: its window, its first quad there, and its first index among all weights. */
export type WeightRange = Pick<PlacedParameter, "window" | "offset" | "quads" | "ordinal">;

/** A prunable tensor with its index among all of them. */
export interface LayerTensor {
  readonly tensor: PlacedParameter;
  readonly layer: number;
}

/** Counts in the buffer `digit_counts`: a digit has at most 11 bits. */
export const digitCounts = 2048;

/** The digits of a 32-bit key, from the top. */
const digits = [{ shift: 21, bits: 11 }, { shift: 10, bits: 11 }, { shift: 0, bits: 10 }] as const;

/** Invocations per counting workgroup. */
const countingLanes = 256;

/** Quads per counting invocation: many, so that a workgroup rarely adds its counts, but at least 32 workgroups. */
function quadsPerInvocation(quads: number): number {
  return Math.min(64, Math.max(1, Math.ceil(quads / (countingLanes * 32))));
}

/** The start of `select_state` before a selection: rank among the keys, key, index, settled. */
export function selectState(remove: number): Uint32Array {
  return Uint32Array.of(remove, 0, 0, 0);
}

/** The ranges of tensors, neighbours joined. */
export function joinRanges(tensors: readonly PlacedParameter[]): readonly WeightRange[] {
  const ranges: { -readonly [Key in keyof WeightRange]: WeightRange[Key] }[] = [];
  for (const { window, offset, quads, ordinal } of [...tensors].sort((a, b) => a.first - b.first)) {
    const last = ranges.at(-1);
    if (last && last.window === window && last.offset + last.quads === offset) last.quads += quads;
    else ranges.push({ window, offset, quads, ordinal });
  }
  return ranges;
}

/** The dispatches that find the key and the index of the last weight to remove, into `select_state`. */
export function lowerSearch(ranges: readonly WeightRange[]): readonly Dispatch[] {
  return [false, true].flatMap((byIndex) =>
    digits.flatMap(({ shift, bits }) => {
      const label = `select by ${byIndex ? "index" : "score"}, bits ${shift} to ${shift + bits - 1}`;
      const histograms = ranges.map(({ window, offset, quads, ordinal }) => {
        const perInvocation = quadsPerInvocation(quads);
        return inWindow(window, {
          kernel: "select/histogram",
          label: `${label}, count`,
          bindings: {
            scores: arenaRef("scores"),
            mask: arenaRef("mask"),
            state: inputRef("select_state"),
            counts: inputRef("digit_counts"),
          },
          params: { quads, offset, ordinal, shift, bits, quads_per_invocation: perInvocation },
          constants: { BY_INDEX: byIndex ? 1 : 0, FIRST: !byIndex && shift === digits[0].shift ? 1 : 0 },
          workgroups: spreadWorkgroups(Math.ceil(quads / (countingLanes * perInvocation))),
        });
      });
      const pick = dispatchOver(1, {
        kernel: "select/pick",
        label: `${label}, pick`,
        bindings: { state: inputRef("select_state"), counts: inputRef("digit_counts") },
        params: { shift, bits },
        constants: { BY_INDEX: byIndex ? 1 : 0, LAST: shift === 0 ? 1 : 0 },
      });
      return [...histograms, pick];
    })
  );
}

/** The dispatches that set `mask` by the result of a search for `remove` weights. */
export function lowerThreshold(ranges: readonly WeightRange[], remove: number): readonly Dispatch[] {
  return ranges.map(({ window, offset, quads, ordinal }) =>
    dispatchInWindow(window, quads, {
      kernel: "mask/threshold",
      label: "mask",
      bindings: { scores: arenaRef("scores"), state: inputRef("select_state"), mask: arenaRef("mask") },
      params: { quads, offset, ordinal, remove },
    })
  );
}

/** The dispatches that set `mask` so that exactly `remove` weights of the ranges are removed. */
export function lowerSelection(ranges: readonly WeightRange[], remove: number): readonly Dispatch[] {
  return [...lowerSearch(ranges), ...lowerThreshold(ranges, remove)];
}

/** The dispatches that count by layer the weights to remove by the result of a search, into `layer_counts`. */
export function lowerCountSelected(tensors: readonly LayerTensor[]): readonly Dispatch[] {
  return tensors.map(({ tensor: { fullName, quads, offset, ordinal, window }, layer }) =>
    dispatchInWindow(window, quads, {
      kernel: "select/count_selected",
      label: `${fullName} selected`,
      bindings: {
        scores: arenaRef("scores"),
        mask: arenaRef("mask"),
        state: inputRef("select_state"),
        counts: inputRef("layer_counts"),
      },
      params: { quads, offset, ordinal, layer },
    })
  );
}

/** The dispatches that count by layer the kept weights whose score is below a threshold, into `layer_counts`. */
export function lowerCountBelow(tensors: readonly LayerTensor[], threshold: number): readonly Dispatch[] {
  return tensors.map(({ tensor: { fullName, quads, offset, window }, layer }) =>
    dispatchInWindow(window, quads, {
      kernel: "select/count_below",
      label: `${fullName} below`,
      bindings: { scores: arenaRef("scores"), mask: arenaRef("mask"), counts: inputRef("layer_counts") },
      params: { quads, offset, layer, threshold },
    })
  );
}

/**
 * The dispatch that keeps the best `keep` of every `of` consecutive columns: of each row and tap of a convolution, of each
 * row of a linear layer in PyTorch's order.
 */
export function lowerNOfM(
  tensor: PlacedParameter,
  { keep, of }: { readonly keep: number; readonly of: number },
): Dispatch {
  const { fullName, rows, taps, channels, offset } = tensor, folded = foldedTaps(tensor);
  const columns = channels * folded, groupsPerLine = Math.ceil(columns / of);
  const groups = rows * taps / folded * groupsPerLine;
  return dispatchInWindow(tensor.window, groups, {
    kernel: "select/n_of_m",
    label: `${fullName} ${keep}:${of}`,
    bindings: { scores: arenaRef("scores"), mask: arenaRef("mask") },
    params: {
      groups,
      groups_per_line: groupsPerLine,
      offset,
      inner: countQuads(channels),
      columns,
      folded_taps: folded,
      keep,
      group_size: of,
    },
  });
}

/** The dispatches that spare kept weights whose score was not below a threshold at the last scoring. */
export function lowerSparing(tensors: readonly LayerTensor[], threshold: number): readonly Dispatch[] {
  return tensors.map(({ tensor: { fullName, quads, offset, window } }) =>
    dispatchInWindow(window, quads, {
      kernel: "select/spare",
      label: `${fullName} spared`,
      bindings: { mask: arenaRef("mask"), scores: arenaRef("scores"), stood: arenaRef("stood") },
      params: { quads, offset, threshold },
    })
  );
}

/**
 * The dispatches that bring removed weights back by the score test, counted by layer into `layer_counts`.
 *
 * @param test The examples that gradients are means of, and the score that is to be exceeded.
 */
export function lowerRegrowth(
  tensors: readonly LayerTensor[],
  { examples, threshold }: { readonly examples: number; readonly threshold: number },
): readonly Dispatch[] {
  return tensors.map(({ tensor: { fullName, quads, offset, channels, window }, layer }) =>
    dispatchInWindow(window, quads, {
      kernel: "select/regrow",
      label: `${fullName} regrown`,
      bindings: {
        gradient_mean: arenaRef("gradient_mean"),
        fisher: arenaRef("fisher"),
        mask: arenaRef("mask"),
        regrown: arenaRef("regrown"),
        scores: arenaRef("scores"),
        counts: inputRef("layer_counts"),
      },
      params: { quads, offset, inner: countQuads(channels), channels, layer, examples, threshold },
    })
  );
}
