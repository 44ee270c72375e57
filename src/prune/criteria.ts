/**
 * The criteria by which weights are kept, as dispatches: one score a prunable weight into the arena `scores`.
 *
 * @module
 */
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import type { ParameterLayout, PlacedParameter } from "../plan/layout.ts";
import { quadsOf } from "../shape.ts";

/** Every criterion. */
export const criteria = ["confidence", "magnitude", "gradient", "taylor", "obd", "l1", "random"] as const;

/** A criterion's name. */
export type Criterion = typeof criteria[number];

/** What criteria need beside the arenas. */
export interface ScoreSettings {
  /** Examples N whose information the confidence counts: those that the mean was trained on. */
  readonly examples: number;
  /** Seed of the random criterion. */
  readonly seed: number;
}

/** The prunable tensors of a model, in the order of their layers. */
export function prunableTensors({ parameters }: ParameterLayout): readonly PlacedParameter[] {
  return parameters.filter(({ prunable }) => prunable);
}

/** True for criteria that need gradients on calibration examples. */
export function needsGradients(criterion: Criterion): boolean {
  return ["confidence", "gradient", "taylor", "obd"].includes(criterion);
}

/** The dispatches that score all prunable weights. Confidence expects `prior_precision` to be there. */
export function lowerScores(
  layout: ParameterLayout,
  criterion: Criterion,
  { examples, seed }: ScoreSettings,
): readonly Dispatch[] {
  return prunableTensors(layout).flatMap((tensor, layer) => {
    const { fullName, quads, offset, channels, rowQuads } = tensor;
    const place = { quads, offset, inner: quadsOf(channels), channels };
    const score = (bindings: Dispatch["bindings"], params: Dispatch["params"] = {}) =>
      dispatchOver(quads, {
        kernel: `score/score:score/${criterion}`,
        label: `${fullName} ${criterion}`,
        bindings: { ...bindings, scores: "scores" },
        params: { ...place, ...params },
      });
    const mean = "mean", fisher = "fisher", gradientMean = { "gradient_mean": "gradient_mean" };
    switch (criterion) {
      case "confidence":
        return [score({ mean, fisher, prior_precision: "prior_precision" }, { layer, examples })];
      case "magnitude":
        return [score({ mean })];
      case "gradient":
        return [score(gradientMean)];
      case "taylor":
        return [score({ mean, ...gradientMean })];
      case "obd":
        return [score({ mean, fisher })];
      case "l1":
        return [lowerRowNorms(tensor), score({ row_norms: "row_norms" }, { row_quads: rowQuads })];
      case "random":
        return [score({}, { seed })];
    }
  });
}

function lowerRowNorms({ fullName, rows, rowQuads, offset, taps, channels }: PlacedParameter): Dispatch {
  return dispatchOver(rows, {
    kernel: "score/row_norms",
    label: `${fullName} row norms`,
    bindings: { mean: "mean", row_norms: "row_norms" },
    params: { rows, row_quads: rowQuads, offset, row_weights: taps * channels },
  });
}
