/** What the tests of removal share: where weights lie, and the walk that they are held to. */
import type { PlacedParameter } from "../../src/plan/layout.ts";
import { countQuads } from "../../src/shape.ts";

export const scoring = { examples: 200, seed: 4, prior: "matched" } as const;

/** The floats of a weight in its arena, by row, tap and channel. */
export function placesOf({ rows, taps, channels, offset }: PlacedParameter) {
  return Array.from({ length: rows * taps * channels }, (_, i) => {
    const channel = i % channels,
      tap = Math.floor(i / channels) % taps,
      row = Math.floor(i / channels / taps);
    return { row, tap, channel, place: 4 * (offset + (row * taps + tap) * countQuads(channels)) + channel };
  });
}

/** A group as the host sees it. */
export interface HostGroup {
  readonly layer: number;
  readonly places: readonly number[];
}

export const layerName = ({ fullName }: PlacedParameter) => fullName.replace(".weight", "");

/** Removes groups in order of their ranks until enough weights are gone, keeping so many groups of each layer. */
export function walkHost(
  groups: readonly HostGroup[],
  { mask, ranks, target, least }: {
    readonly mask: Float32Array;
    readonly ranks: readonly number[];
    readonly target: number;
    readonly least: readonly number[];
  },
) {
  const alive = least.map((_, layer) =>
    groups.filter((group) => group.layer === layer && group.places.some((place) => mask[place] > 0)).length
  );
  let removed = groups.flatMap(({ places }) => places).filter((place) => mask[place] === 0).length;
  const after = mask.slice();
  const order = [...groups.keys()].filter((i) => groups[i].places.some((place) => mask[place] > 0));
  for (const i of order.sort((a, b) => ranks[a] - ranks[b] || a - b)) {
    const { layer, places } = groups[i];
    if (removed >= target) break;
    if (alive[layer] <= least[layer]) continue;
    alive[layer]--;
    removed += places.filter((place) => mask[place] > 0).length;
    for (const place of places) after[place] = 0;
  }
  return after;
}
