/**
 * How confident one can be in the weights of each layer.
 *
 * @module
 */
import { readBuffers } from "../../gpu/readback.ts";
import { confidenceBins, lowerConfidence } from "./confidence.ts";
import { prunableTensors } from "./criteria.ts";
import type { PruneBuffers } from "../prune_buffers.ts";

/** How the confidence of one layer's kept weights is distributed. */
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
