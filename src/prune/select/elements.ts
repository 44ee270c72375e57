/**
 * The removal of single weights: exactly the asked number, the smallest scores first, within the limits of the
 * layers.
 *
 * @module
 */
import { getLayerName } from "../../plan/layout.ts";
import { lowerMaskCounts } from "../mask.ts";
import type { PruneBuffers } from "../prune_buffers.ts";
import { apportion, type LayerBounds, minKept, type RemovalOptions, tooMany } from "./removal.ts";
import {
  joinRanges,
  type LayerTensor,
  lowerCountBelow,
  lowerCountSelected,
  lowerSearch,
  lowerSelection,
  lowerThreshold,
  selectState,
} from "./select.ts";

/** All prunable tensors of a model, and whether they have scores. */
export interface ScoredLayer extends LayerTensor {
  readonly isScored: boolean;
}

/** Counts kept weights by layer. */
async function keptByLayer(buffers: PruneBuffers): Promise<Uint32Array> {
  return await buffers.countByLayer(lowerMaskCounts(buffers.network.layout));
}

async function findBounds(
  buffers: PruneBuffers,
  layers: readonly ScoredLayer[],
  { floor = 0, protect = [] }: RemovalOptions,
): Promise<readonly LayerBounds[]> {
  const kept = await keptByLayer(buffers);
  return layers.map(({ tensor, layer, isScored }) => {
    const weights = tensor.count, removed = weights - kept[layer];
    const isOpen = isScored && !protect.includes(getLayerName(tensor));
    const max = isOpen ? Math.max(removed, weights - minKept(weights, floor, false)) : removed;
    return { weights, removed, max };
  });
}

/** True if every weight may be removed, and all are ranked together. */
function isUnbounded(
  layers: readonly ScoredLayer[],
  { scope, floor = 0, protect = [] }: RemovalOptions,
): boolean {
  return scope !== "layer" && floor === 0 && protect.length === 0 && layers.every(({ isScored }) => isScored);
}

async function selectAmong(
  buffers: PruneBuffers,
  tensors: readonly LayerTensor[],
  remove: number,
): Promise<void> {
  buffers.get("select_state").write(selectState(remove));
  await buffers.run(lowerSelection(joinRanges(tensors.map(({ tensor }) => tensor)), remove));
}

/**
 * Sets the mask so that exactly `target` of all prunable weights are removed, including those removed before. If a
 * layer may not lose all of its smallest scores, other layers lose more.
 *
 * @throws {ConfigError} If fewer may go.
 */
export async function removeElements(
  buffers: PruneBuffers,
  target: number,
  { layers, options }: { readonly layers: readonly ScoredLayer[]; readonly options: RemovalOptions },
): Promise<void> {
  if (isUnbounded(layers, options)) return await selectAmong(buffers, layers, target);
  const bounds = await findBounds(buffers, layers, options);
  const total = (key: "removed" | "max") => bounds.reduce((sum, bound) => sum + bound[key], 0);
  if (target > total("max")) throw tooMany(target, total("max"), "single weights");
  if (target <= total("removed")) return;
  if (options.scope === "layer") {
    for (const [i, remove] of apportion(target, bounds).entries()) {
      if (remove > bounds[i].removed) await selectAmong(buffers, [layers[i]], remove);
    }
    return;
  }
  let open = layers.filter((_, i) => bounds[i].max > bounds[i].removed);
  let left = target - bounds.reduce((sum, { max, removed }) => sum + (max > removed ? 0 : removed), 0);
  // Layers that would lose too much lose what they may. The rest falls on the others, which may then lose too much.
  while (open.length > 0) {
    const ranges = joinRanges(open.map(({ tensor }) => tensor));
    buffers.get("select_state").write(selectState(left));
    const counts = await buffers.countByLayer([...lowerSearch(ranges), ...lowerCountSelected(open)]);
    const isFull = ({ layer }: LayerTensor) => counts[layer] > bounds[layer].max;
    const full = open.filter(isFull);
    if (full.length === 0) return await buffers.run(lowerThreshold(ranges, left));
    for (const tensor of full) {
      await selectAmong(buffers, [tensor], bounds[tensor.layer].max);
      left -= bounds[tensor.layer].max;
    }
    open = open.filter((tensor) => !isFull(tensor));
  }
}

/** Counts the removable weights with a score below a threshold. */
export async function countElementsBelow(
  buffers: PruneBuffers,
  threshold: number,
  { layers, options }: { readonly layers: readonly ScoredLayer[]; readonly options: RemovalOptions },
): Promise<number> {
  const scored = layers.filter(({ isScored }) => isScored);
  const counts = await buffers.countByLayer(lowerCountBelow(scored, threshold));
  if (isUnbounded(layers, options)) return counts.reduce((sum, count) => sum + count, 0);
  const bounds = await findBounds(buffers, layers, options);
  return scored.reduce((sum, { layer }) => {
    const { max, removed } = bounds[layer];
    return sum + Math.min(counts[layer], max - removed);
  }, 0);
}
