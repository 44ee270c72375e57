/**
 * Which examples and which positions of every layer's output a replacement looks at.
 *
 * @module
 */
import { epochBatches } from "../../data/batches.ts";
import { openRandomStream } from "../../random.ts";
import type { ReplacedLayer } from "./replaced_layers.ts";

/** The rows of a split that are taken, batch by batch: as many as wanted, or all, chosen by the seed. */
export function sampleRows(
  { count, images, batch, seed }: {
    readonly count: number;
    readonly images: number;
    readonly batch: number;
    readonly seed: number;
  },
): readonly Uint32Array[] {
  const [rows] = epochBatches({ count, batch: count, seed, epoch: 0, shuffle: true, dropLast: false });
  const taken = Math.min(images, count);
  const starts = Array.from({ length: Math.ceil(taken / batch) }, (_, i) => i * batch);
  return starts.map((start) => rows.subarray(start, Math.min(start + batch, taken)));
}

/**
 * Output positions of a layer for each batch, (n height + y) width + x: so many different ones an example, or all where
 * there are not more, chosen by the seed and which layer it is.
 */
export function samplePositions(
  { geometry: { outSize: [height, width] } }: ReplacedLayer,
  { layer, rows, positions, seed }: {
    /** Its place among the layers that are refitted. */
    readonly layer: number;
    readonly rows: readonly Uint32Array[];
    readonly positions: number;
    readonly seed: number;
  },
): readonly Uint32Array[] {
  const area = height * width, each = Math.min(positions, area);
  const stream = openRandomStream(seed, `positions of layer ${layer}`);
  const places = Uint32Array.from({ length: area }, (_, i) => i);
  return rows.map(({ length }) => {
    const sampled = new Uint32Array(length * each);
    for (let image = 0; image < length; image++) {
      // The first steps of a shuffle, whatever order the image before left.
      for (let i = 0; each < area && i < each; i++) {
        const j = i + Math.floor(stream.nextUniform() * (area - i)), held = places[i];
        places[i] = places[j];
        places[j] = held;
      }
      for (let i = 0; i < each; i++) sampled[image * each + i] = image * area + places[i];
    }
    return sampled;
  });
}
