/**
 * The loss of a step, its gradient, and its counts.
 *
 * @module
 */
import { type BufferRef, inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import type { PassMode } from "../model/layer.ts";
import { countQuads } from "../shape.ts";
import { type Distillation, lowerDistillation } from "./distillation.ts";
import { type FeatureTensors, lowerFeatureLoss, type Reconstruction } from "./features.ts";
import { lowerMixedLabels } from "./mixup.ts";
import type { PlanBuilder } from "./plan.ts";

/** Options of the loss of a step. */
export interface LossOptions {
  /** Examples per step. */
  readonly batch: number;
  readonly mode: PassMode;
  readonly labelSmoothing?: number;
  /**
   * True mixes the batch in pairs by the shares in the input `mix_shares`, and in mode `train` the labels of the loss
   * too.
   */
  readonly mixes?: boolean;
  /** Mode `score`: the seed of labels drawn from the model's own predictions. Default: the given labels. */
  readonly sampledLabels?: number;
  /**
   * Mode `train`: distillation from a teacher. Its logits are in the input `teacher_logits`, and with a
   * `featureWeight` its features in `teacher_features`.
   */
  readonly distillation?: Distillation;
  /**
   * Mode `train`: the loss is the distance from a teacher's layer outputs alone, which are in the inputs
   * `teacher_features`; labels are not read.
   */
  readonly reconstruction?: Reconstruction | undefined;
}

/** The loss with its gradient, and the tally; in mode `evaluate` the confusion counts instead of the gradient. */
export function lowerLoss(builder: PlanBuilder, { logits, dlogits: gradient, classes, options, compared }: {
  readonly logits: BufferRef;
  readonly dlogits: BufferRef;
  readonly classes: number;
  readonly options: LossOptions;
  /** The feature maps to compare with the teacher's; they share the `featureWeight`, and of a reconstruction weigh 1 each. */
  readonly compared: readonly FeatureTensors[];
}): void {
  const { batch: rows, mode, labelSmoothing = 0, mixes, distillation, reconstruction, sampledLabels } =
    options;
  const hasGradient = mode !== "evaluate";
  const declare = (name: string, quads: number) => builder.declare(name, quads);
  builder.declare("losses", countQuads(rows));
  builder.declare("predictions", countQuads(rows));
  if (mode === "train" && reconstruction) {
    const terms = compared.map((tensors, i) =>
      lowerFeatureLoss(1, { ...tensors, declare, isFirst: i === 0 })
    );
    builder.emit(...terms.flat(), lowerTally(rows, { isLabelled: false }));
    return;
  }
  // Without a gradient nothing is written, but every binding needs a buffer.
  const dlogits = hasGradient ? gradient : builder.declare("no gradient", 1);
  builder.emit(
    ...(mode === "score" && sampledLabels !== undefined
      ? [dispatchOver(rows, {
        kernel: "loss/sample_labels",
        label: "sampled labels",
        bindings: { logits, labels: tensorRef("labels") },
        params: { rows, quads: countQuads(classes), classes, seed: sampledLabels },
      })]
      : []),
    dispatchOver(rows, {
      kernel: "loss/softmax_cross_entropy",
      label: "cross-entropy",
      bindings: {
        logits,
        labels: tensorRef("labels"),
        losses: tensorRef("losses"),
        predictions: tensorRef("predictions"),
        dlogits,
      },
      params: { rows, quads: countQuads(classes), classes, smoothing: mode === "train" ? labelSmoothing : 0 },
      constants: { GRADIENT: hasGradient ? 1 : 0 },
    }),
    ...(mode === "train" && mixes
      ? [lowerMixedLabels({ rows, classes, logits, dlogits, labelSmoothing })]
      : []),
    ...(mode === "train" && distillation
      ? [lowerDistillation(distillation, { rows, classes, logits, dlogits })]
      : []),
    ...compared.flatMap((tensors) =>
      lowerFeatureLoss(distillation!.featureWeight! / compared.length, { ...tensors, declare })
    ),
    lowerTally(rows, { isLabelled: true }),
  );
  if (mode !== "evaluate") return;
  builder.emit(dispatchOver(rows, {
    kernel: "loss/confusion",
    label: "confusion",
    bindings: {
      predictions: tensorRef("predictions"),
      labels: tensorRef("labels"),
      losses: tensorRef("losses"),
      counts: inputRef("counts"),
      kept_predictions: inputRef("kept predictions"),
      kept_losses: inputRef("kept losses"),
    },
    params: { rows, classes },
  }));
}

/** The dispatch that adds a batch's losses, and where it has labels its hits, to the tally. */
function lowerTally(rows: number, { isLabelled }: { readonly isLabelled: boolean }): Dispatch {
  return dispatchOver(1, {
    kernel: "loss/tally",
    label: "tally",
    bindings: {
      losses: tensorRef("losses"),
      predictions: tensorRef("predictions"),
      labels: tensorRef("labels"),
      tally: inputRef("tally"),
    },
    params: { rows },
    constants: { UNLABELLED: isLabelled ? 0 : 1 },
  });
}
