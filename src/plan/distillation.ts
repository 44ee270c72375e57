/**
 * The dispatch that has a network learn from a teacher's predictions too.
 *
 * @module
 */
import { type BufferRef, inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { quadsOf } from "../shape.ts";

/** How much a network learns from its teacher. Source: Hinton, Vinyals and Dean 2015, arXiv 1503.02531. */
export interface Distillation {
  /** Share of the loss that is the distance from the teacher, in [0, 1]; the labels have the rest. */
  readonly share: number;
  /** What logits of both are divided by before their softmax, above 0; higher says more of unlikely classes. */
  readonly temperature: number;
  /**
   * Weight of the squared distance from the teacher's features, relative to their own size, 0 or more; 0 where left
   * out. Source: Romero et al. 2015, arXiv 1412.6550.
   */
  readonly featureWeight?: number;
  /** Which features, with a `featureWeight`. Default: `last`. */
  readonly featureMaps?: FeatureMaps;
}

/**
 * Which feature maps are compared: what the last linear layer reads, or that and the last map of every other size of
 * maps on the way there.
 */
export type FeatureMaps = "last" | "stages";

/** The plan's name for the teacher's logits, a buffer that is filled before the step. */
export const teacherLogits = "teacher_logits";

/** The dispatch behind the cross-entropy that mixes loss and gradient with the distance from the teacher. */
export function lowerDistillation(
  { share, temperature }: Pick<Distillation, "share" | "temperature">,
  { rows, classes, logits, dlogits }: {
    readonly rows: number;
    readonly classes: number;
    readonly logits: BufferRef;
    readonly dlogits: BufferRef;
  },
): Dispatch {
  return dispatchOver(rows, {
    kernel: "loss/distillation",
    label: "distillation",
    bindings: { logits, "teacher_logits": inputRef(teacherLogits), losses: tensorRef("losses"), dlogits },
    params: { rows, quads: quadsOf(classes), classes, share, temperature },
  });
}
