/**
 * The prior precision and the confidence: their dispatches, and the confidence by layer. Formulas: docs/method.md.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { checkNumbers } from "../../checks.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { dispatchInWindow, overWindows } from "../../plan/windows.ts";
import { readBuffers } from "../../gpu/readback.ts";
import type { PruneBuffers } from "../prune_buffers.ts";
import { prunableTensors } from "./criteria.ts";

/**
 * The method for the prior precision: `matched`, one for all weights by their mean square; or `evidence`, one per
 * layer.
 */
export type Prior = "matched" | "evidence";

/** Rounds of MacKay's update, which converges within a few. */
const evidenceRounds = 10;

/** Minimum prior precision, as a share of the layer's matched one. */
const evidenceFloor = 1e-3;

/** Bins of the confidence histogram of a layer. */
export const confidenceBins = 20;

const quadsPerChunk = 64;

/** Quads of the buffer `prior_sums`. */
export function priorSumsQuads(layout: ParameterLayout): number {
  return prunableTensors(layout).reduce((sum, { quads }) => sum + Math.ceil(quads / quadsPerChunk), 0);
}

/** The dispatches that find the prior precision of every prunable tensor, into the buffer `prior_precision`. */
export function lowerPrior(layout: ParameterLayout, prior: Prior, examples: number): readonly Dispatch[] {
  let next = 0;
  const tensors = prunableTensors(layout).map((tensor, layer) => {
    const chunks = Math.ceil(tensor.quads / quadsPerChunk), chunkOffset = next;
    next += chunks;
    return { ...tensor, layer, chunks, chunkOffset };
  });
  const sums = (isEffective: boolean) =>
    tensors.map(({ fullName, quads, offset, window, layer, chunks, chunkOffset }) =>
      dispatchInWindow(window, chunks, {
        kernel: "score/prior_sums",
        label: `${fullName} prior sums`,
        bindings: {
          mean: arenaRef("mean"),
          fisher: arenaRef("fisher"),
          mask: arenaRef("mask"),
          prior_precision: inputRef("prior_precision"),
          sums: inputRef("prior_sums"),
        },
        params: {
          quads,
          quads_per_chunk: quadsPerChunk,
          offset,
          chunk_offset: chunkOffset,
          layer,
          examples,
        },
        constants: { EFFECTIVE: isEffective ? 1 : 0 },
      })
    );
  const update = (label: string, params: Dispatch["params"], isEvidence: boolean) =>
    dispatchOver(1, {
      kernel: "score/prior_update",
      label: `${label} prior`,
      bindings: { sums: inputRef("prior_sums"), prior_precision: inputRef("prior_precision") },
      params: { ...params, floor: evidenceFloor },
      constants: { EVIDENCE: isEvidence ? 1 : 0 },
    });
  if (prior === "matched") {
    const all = { "chunk_offset": 0, chunks: next, layer: 0, layers: tensors.length };
    return [...sums(false), update("matched", all, false)];
  }
  const updates = (isEvidence: boolean) =>
    tensors.map(({ fullName, layer, chunks, chunkOffset }) =>
      update(fullName, { chunk_offset: chunkOffset, chunks, layer, layers: 1 }, isEvidence)
    );
  const rounds = Array.from({ length: evidenceRounds }, () => [...sums(true), ...updates(true)]);
  return [...sums(false), ...updates(false), ...rounds.flat()];
}

/** The dispatches that turn scores z into confidences and count them by layer, into `histogram`. */
export function lowerConfidence(layout: ParameterLayout): readonly Dispatch[] {
  const histograms = prunableTensors(layout).map(({ fullName, quads, offset, window }, layer) =>
    dispatchInWindow(window, quads, {
      kernel: "score/histogram",
      label: `${fullName} confidence histogram`,
      bindings: { confidence: arenaRef("confidence"), mask: arenaRef("mask"), counts: inputRef("histogram") },
      params: { quads, offset, bins: confidenceBins, counts_offset: layer * confidenceBins },
    })
  );
  const confidences = overWindows(layout.windows, ({ quads }) => ({
    kernel: "score/confidence_of_z",
    label: "confidence",
    bindings: { scores: arenaRef("scores"), confidence: arenaRef("confidence") },
    params: { quads },
  }));
  return [...confidences, ...histograms];
}

/**
 * The z at which erf(z / sqrt 2) reaches a confidence in [0, 1), by bisection.
 *
 * @throws {ConfigError} If the confidence is not.
 */
export function signalToNoiseAt(confidence: number): number {
  checkNumbers("find the signal to noise of", { confidence: [confidence, { atLeast: 0, below: 1 }] });
  let low = 0, high = 40;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (1 - erfc(middle / Math.SQRT2) < confidence) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The complementary error function of x >= 0, to 1.2e-7 relative (Press et al., Numerical Recipes, section 6.2). */
export function erfc(x: number): number {
  const t = 1 / (1 + x / 2);
  const coefficients = [
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
  ];
  const polynomial = coefficients.reduceRight((sum, coefficient) => sum * t + coefficient, 0);
  return t * Math.exp(-x * x + polynomial);
}

/** The distribution of the confidence of one layer's kept weights. */
export interface LayerConfidence {
  /** The tensor's full name, such as `conv1.weight`. */
  readonly name: string;
  /** Kept weights by confidence, in equal bins from 0 to 1. */
  readonly histogram: readonly number[];
  /** Prior precision lambda of its weights. */
  readonly priorPrecision: number;
}

/** Turns scores z into confidences, into the arena `confidence`, and counts them by layer. */
export async function readConfidences(buffers: PruneBuffers): Promise<readonly LayerConfidence[]> {
  const { gpu, layout } = buffers.network;
  const histogram = buffers.get("histogram");
  histogram.write(new Uint32Array(histogram.sizeBytes / 4));
  await buffers.run(lowerConfidence(layout));
  const [counts, priors] = await readBuffers(gpu, [
    { buffer: histogram },
    { buffer: buffers.get("prior_precision") },
  ]);
  return prunableTensors(layout).map(({ fullName }, layer) => ({
    name: fullName,
    histogram: [...new Uint32Array(counts, 4 * layer * confidenceBins, confidenceBins)],
    priorPrecision: new Float32Array(priors)[layer],
  }));
}
