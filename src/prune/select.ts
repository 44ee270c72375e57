/**
 * Exact global selection: the mask that removes the asked number of weights with the smallest scores.
 *
 * @module
 */
import { type Dispatch, dispatchOver, spreadWorkgroups } from "../kernels/dispatch.ts";

/** Counts that the buffer `digit_counts` holds: a digit has at most 11 bits. */
export const digitCounts = 2048;

/** The digits of a 32-bit key, from the top. */
const digits = [{ shift: 21, bits: 11 }, { shift: 10, bits: 11 }, { shift: 0, bits: 10 }] as const;

/** Invocations of a counting workgroup. */
const countingLanes = 256;

/** Quads that one invocation counts: many, so that a workgroup adds its counts seldom, but 32 workgroups at least. */
function quadsPerInvocation(quads: number): number {
  return Math.min(64, Math.max(1, Math.ceil(quads / (countingLanes * 32))));
}

/** What `select_state` must hold before a selection: rank among the keys, key, place, settled. */
export function selectState(remove: number): Uint32Array {
  return Uint32Array.of(remove, 0, 0, 0);
}

/** The dispatches that set `mask` so that exactly `remove` weights of `quads` quads are removed. */
export function lowerSelection(quads: number, remove: number): readonly Dispatch[] {
  const perInvocation = quadsPerInvocation(quads);
  const passes = [false, true].flatMap((byPlace) =>
    digits.flatMap(({ shift, bits }) => {
      const workgroups = spreadWorkgroups(Math.ceil(quads / (countingLanes * perInvocation)));
      const label = `select by ${byPlace ? "place" : "score"}, bits ${shift} to ${shift + bits - 1}`;
      const histogram: Dispatch = {
        kernel: "select/histogram",
        label: `${label}, count`,
        bindings: { scores: "scores", mask: "mask", state: "select_state", counts: "digit_counts" },
        params: { quads, shift, bits, quads_per_invocation: perInvocation },
        constants: { BY_PLACE: byPlace ? 1 : 0, FIRST: !byPlace && shift === digits[0].shift ? 1 : 0 },
        workgroups,
      };
      const pick = dispatchOver(1, {
        kernel: "select/pick",
        label: `${label}, pick`,
        bindings: { state: "select_state", counts: "digit_counts" },
        params: { shift, bits },
        constants: { BY_PLACE: byPlace ? 1 : 0, LAST: shift === 0 ? 1 : 0 },
      });
      return [histogram, pick];
    })
  );
  const threshold = dispatchOver(quads, {
    kernel: "mask/threshold",
    label: "mask",
    bindings: { scores: "scores", state: "select_state", mask: "mask" },
    params: { quads, remove },
  });
  return [...passes, threshold];
}

/** The dispatch that counts the kept weights whose score is below a threshold, into `below_count`. */
export function lowerCountBelow(quads: number, threshold: number): Dispatch {
  return dispatchOver(quads, {
    kernel: "select/count_below",
    label: "count below",
    bindings: { scores: "scores", mask: "mask", count: "below_count" },
    params: { quads, threshold },
  });
}
