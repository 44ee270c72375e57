/**
 * The radix selection as pruning runs it: the k-th smallest key digit by digit, then its place, then the mask.
 *
 * @module
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { pruneMask } from "../reference/criteria.ts";
import { runKernels } from "./harness.ts";

/** The digits of 32 bits, from the top. */
const digits = [{ shift: 21, bits: 11 }, { shift: 10, bits: 11 }, { shift: 0, bits: 10 }];

const quadsPerInvocation = 2;

/** The dispatches that remove the `remove` weights of the lowest scores, those removed before counted among them. */
function selectionDispatches(quads: number, remove: number): readonly Dispatch[] {
  const passes = [0, 1].flatMap((BY_INDEX) =>
    digits.flatMap(({ shift, bits }): Dispatch[] => [
      dispatchOver(Math.ceil(quads / quadsPerInvocation), {
        kernel: "select/histogram",
        label: `histogram ${shift}`,
        bindings: {
          scores: inputRef("scores"),
          mask: inputRef("mask"),
          state: inputRef("state"),
          counts: inputRef("counts"),
        },
        params: { quads, offset: 0, ordinal: 0, shift, bits, quads_per_invocation: quadsPerInvocation },
        constants: { BY_INDEX, FIRST: BY_INDEX === 0 && shift === digits[0].shift ? 1 : 0 },
      }),
      {
        kernel: "select/pick",
        label: `pick ${shift}`,
        bindings: { state: inputRef("state"), counts: inputRef("counts") },
        params: { shift, bits },
        constants: { BY_INDEX, LAST: shift === 0 ? 1 : 0 },
        workgroups: [1, 1, 1],
      },
    ])
  );
  const threshold = dispatchOver(quads, {
    kernel: "mask/threshold",
    label: "threshold",
    bindings: { scores: inputRef("scores"), state: inputRef("state"), mask: inputRef("mask") },
    params: { quads, offset: 0, ordinal: 0, remove },
  });
  return [...passes, threshold];
}

/** Scores, negative ones being no weights, and the mask before, both a multiple of four long. */
export interface Selection {
  readonly scores: Float32Array;
  readonly mask: Float32Array;
}

/** Runs the selection; returns the mask, and what is left in the state and the counts. */
export async function runSelection(
  path: ReadPath,
  { scores, mask }: Selection,
  remove: number,
): Promise<{ readonly mask: Float32Array; readonly state: Uint32Array; readonly counts: Uint32Array }> {
  const { floats, integers } = await runKernels({
    path,
    dispatches: selectionDispatches(scores.length / 4, remove),
    buffers: { scores, mask, state: Uint32Array.of(remove, 0, 0, 0), counts: 2048 },
  });
  return { mask: floats("mask"), state: integers("state"), counts: integers("counts") };
}

/** The mask that the reference gives: removed weights count as the lowest, and what is no weight stays. */
export function wantedMask({ scores, mask }: Selection, remove: number): Float32Array {
  const weights = [...scores.keys()].filter((i) => !(scores[i] < 0));
  const kept = pruneMask(weights.map((i) => mask[i] > 0 ? scores[i] : -1), remove);
  const wanted = mask.slice();
  for (const [rank, i] of weights.entries()) wanted[i] = mask[i] * kept[rank];
  return wanted;
}
