/**
 * Distillation: the dispatch that adds the distance from a teacher's predictions to the loss.
 *
 * @module
 */
import { type BufferRef, inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { countQuads } from "../shape.ts";

/** How a network learns from its teacher. Source: Hinton, Vinyals and Dean 2015, arXiv 1503.02531. */
export interface Distillation {
  /** Weight of the distance from the teacher in the loss, in [0, 1]. The labels have the rest. */
  readonly share: number;
  /**
   * Temperature, above 0: the logits of both are divided by it before the softmax. A higher one gives unlikely
   * classes more weight.
   */
  readonly temperature: number;
  /**
   * Weight of the squared distance from the teacher's features, relative to their own size, 0 or more. Default: 0.
   * Source: Romero et al. 2015, arXiv 1412.6550.
   */
  readonly featureWeight?: number;
  /** The features to compare, with a `featureWeight`. Default: `last`. */
  readonly featureMaps?: FeatureMaps;
}

/**
 * The feature maps to compare. `last`: the input of the last linear layer. `stages`: also the last map of every other
 * map size on the way there.
 */
export type FeatureMaps = "last" | "stages";

/** The input with the teacher's logits, which is filled before the step. */
export const teacherLogits = "teacher_logits";

/** The dispatch after the cross-entropy that mixes loss and gradient with the distance from the teacher. */
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
    params: { rows, quads: countQuads(classes), classes, share, temperature },
  });
}
