/**
 * Mixup: the dispatches that mix the images of a batch in pairs, and the loss of both labels.
 *
 * @module
 */
import { type BufferRef, inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { ShapeError } from "../errors.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { countQuads } from "../shape.ts";

/** The input with each row's share in its own mix, in [0.5, 1] (batch). It is filled before the step. */
export const mixShares = "mix_shares";

/**
 * The dispatch after the batch that mixes each image with its partner: row n with row batch - 1 - n.
 *
 * @throws {ShapeError} If the batch has only one row.
 */
export function lowerMixedImages(
  { rows, quads }: { readonly rows: number; readonly quads: number },
): Dispatch {
  if (rows < 2) {
    const current = "a batch of 1", wanted = "batches of at least 2, whose images are mixed in pairs";
    throw new ShapeError({ act: "train with", thing: "mixup", current, wanted });
  }
  return dispatchOver(Math.floor(rows / 2) * quads, {
    kernel: "data/mix_images",
    label: "mixup",
    bindings: { shares: inputRef(mixShares), x: tensorRef("x") },
    params: { rows, quads },
  });
}

/** The dispatch after the cross-entropy that corrects loss and gradient for the mixed labels. */
export function lowerMixedLabels(
  { rows, classes, logits, dlogits, labelSmoothing }: {
    readonly rows: number;
    readonly classes: number;
    readonly logits: BufferRef;
    readonly dlogits: BufferRef;
    readonly labelSmoothing: number;
  },
): Dispatch {
  return dispatchOver(rows, {
    kernel: "loss/mixed_labels",
    label: "mixed labels",
    bindings: {
      logits,
      labels: tensorRef("labels"),
      shares: inputRef(mixShares),
      losses: tensorRef("losses"),
      dlogits,
    },
    params: { rows, stride: 4 * countQuads(classes), smoothing: labelSmoothing },
  });
}
