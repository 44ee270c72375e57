/**
 * A weight's square divided by the sum of squares of all weights of its layer that are at least as large: magnitude
 * with a scale per layer.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver, spreadWorkgroups } from "../../kernels/dispatch.ts";
import type { PlacedParameter } from "../../plan/layout.ts";
import { type CriterionType, lowerScore } from "./criterion.ts";

/** Keys that a workgroup sorts in workgroup memory. */
const sortedBlock = 2048;

/** Keys whose squares one invocation adds. */
const keysPerChunk = 64;

function computeSizes({ quads }: PlacedParameter) {
  const keys = Math.max(sortedBlock, 2 ** Math.ceil(Math.log2(4 * quads)));
  return { keys, chunks: keys / keysPerChunk };
}

/** The dispatches that leave the bits of a tensor's |mean|, padding included, in `sort_keys` in ascending order. */
function lowerSort(tensor: PlacedParameter): readonly Dispatch[] {
  const { fullName, quads, offset } = tensor, { keys } = computeSizes(tensor);
  const inBlocks = (size: number): Dispatch => ({
    kernel: "score/sort_blocks",
    label: `${fullName} sort, ${size} keys`,
    bindings: { mean: arenaRef("mean"), keys: inputRef("sort_keys") },
    params: { first: 4 * offset, count: 4 * quads, keys, size },
    constants: { FIRST: size === sortedBlock ? 1 : 0 },
    workgroups: spreadWorkgroups(keys / sortedBlock),
  });
  const dispatches = [inBlocks(sortedBlock)];
  for (let size = 2 * sortedBlock; size <= keys; size *= 2) {
    for (let stride = size / 2; stride >= sortedBlock; stride /= 2) {
      dispatches.push(dispatchOver(keys / 2, {
        kernel: "score/sort_step",
        label: `${fullName} sort, ${size} keys by ${stride}`,
        bindings: { keys: inputRef("sort_keys") },
        params: { pairs: keys / 2, size, stride },
      }));
    }
    dispatches.push(inBlocks(size));
  }
  return dispatches;
}

/** Layer-adaptive magnitude. Source: Lee et al. 2021, arXiv 2010.07611, equation 1. */
export const lamp: CriterionType = {
  needs: [],
  group: "sum",
  scratch(tensor) {
    const { keys, chunks } = computeSizes(tensor);
    return { "sort_keys": keys, "larger_sums": chunks };
  },
  lower(tensor) {
    const { fullName } = tensor, { keys, chunks } = computeSizes(tensor);
    const sums = dispatchOver(chunks, {
      kernel: "score/square_sums",
      label: `${fullName} squares`,
      bindings: { keys: inputRef("sort_keys"), sums: inputRef("larger_sums") },
      params: { chunks, keys_per_chunk: keysPerChunk },
    });
    const larger = dispatchOver(1, {
      kernel: "score/larger_sums",
      label: `${fullName} larger squares`,
      bindings: { sums: inputRef("larger_sums") },
      params: { chunks },
    });
    const score = lowerScore(tensor, "score/lamp", {
      bindings: { mean: arenaRef("mean"), keys: inputRef("sort_keys"), larger_sums: inputRef("larger_sums") },
      params: { keys, keys_per_chunk: keysPerChunk },
    });
    return [...lowerSort(tensor), sums, larger, score];
  },
};
