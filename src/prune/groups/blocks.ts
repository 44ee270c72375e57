/**
 * Blocks of single weights: filters, or rows by columns, as PyTorch counts them.
 *
 * @module
 */
import { arenaRef, inputRef } from "../../kernels/buffer_ref.ts";
import { readBuffers } from "../../gpu/readback.ts";
import { checkIterations, type Dispatch } from "../../kernels/dispatch.ts";
import { foldedTaps, getLayerName, type PlacedParameter } from "../../plan/layout.ts";
import type { Graph } from "../../model/graph.ts";
import { dispatchInWindow } from "../../plan/windows.ts";
import { countQuads } from "../../shape.ts";
import { weightCosts } from "../cost.ts";
import { coupleChannels } from "./coupling.ts";
import type { PruneBuffers } from "../prune_buffers.ts";
import type { RemovableGroups } from "./scores.ts";
import { type BlockShape, minKept, type RemovalOptions } from "../select/removal.ts";
import type { ScoredLayer } from "../select/elements.ts";

/** A weight as rows, taps and columns. */
interface BlockedSize {
  readonly rows: number;
  readonly taps: number;
  readonly columns: number;
}

/** The blocks of one tensor. */
export interface TensorBlocks {
  readonly tensor: PlacedParameter;
  /** What is cut. */
  readonly size: BlockedSize;
  /** The taps among the columns: those of a linear layer after a flatten, unless filters are removed; otherwise 1. */
  readonly foldedTaps: number;
  /** Rows, taps and columns of a block. */
  readonly shape: BlockedSize;
  /** The number of blocks, and of the blocks in the tensors before. */
  readonly blocks: number;
  readonly firstBlock: number;
}

/** Cuts tensors into blocks, or into filters. */
export function layOutBlocks(
  tensors: readonly PlacedParameter[],
  granularity: "filter" | BlockShape,
): readonly TensorBlocks[] {
  let next = 0;
  return tensors.map((tensor) => {
    const folded = granularity === "filter" ? 1 : foldedTaps(tensor);
    const size = { rows: tensor.rows, taps: tensor.taps / folded, columns: tensor.channels * folded };
    const shape = granularity === "filter"
      ? { ...size, rows: 1 }
      : { rows: granularity.rows, taps: 1, columns: granularity.channels };
    const blocks = Math.ceil(size.rows / shape.rows) * Math.ceil(size.taps / shape.taps) *
      Math.ceil(size.columns / shape.columns);
    const firstBlock = next;
    next += blocks;
    return { tensor, size, foldedTaps: folded, shape, blocks, firstBlock };
  });
}

/**
 * Tests which weights may lose blocks: not those of protected layers, and, if a block takes whole filters, not those
 * whose filters make the network's outputs. Such a filter is a class; without it that class is never found.
 */
export function blockLosers(
  graph: Graph,
  granularity: "filter" | BlockShape,
  protect: readonly string[] = [],
): (tensor: PlacedParameter) => boolean {
  const { outputLayers } = coupleChannels(graph);
  return (tensor) => {
    const name = getLayerName(tensor);
    if (protect.includes(name)) return false;
    const [{ size, shape }] = layOutBlocks([tensor], granularity);
    const isWhole = shape.taps >= size.taps && shape.columns >= size.columns;
    return !(isWhole && outputLayers.includes(name));
  };
}

function blockParams({ tensor, size, foldedTaps, shape, firstBlock }: TensorBlocks): Dispatch["params"] {
  return {
    first_block: firstBlock,
    offset: tensor.offset,
    inner: countQuads(tensor.channels),
    taps: size.taps,
    folded_taps: foldedTaps,
    columns: size.columns,
    block_rows: shape.rows,
    block_taps: shape.taps,
    block_columns: shape.columns,
  };
}

/** The dispatches that sum scores, or their squares, by block, into `block_sums` and `block_counts`. */
export function lowerBlockSums(layers: readonly TensorBlocks[], isSquared: boolean): readonly Dispatch[] {
  return layers.map((layer) => {
    const { tensor: { fullName, window }, size, shape, blocks } = layer, { rows } = size;
    const weights = Math.min(shape.rows, rows) * Math.min(shape.taps, size.taps) *
      Math.min(shape.columns, size.columns);
    checkIterations("select/block_sums", weights);
    return dispatchInWindow(window, blocks, {
      kernel: "select/block_sums",
      label: `${fullName} block sums`,
      bindings: {
        scores: arenaRef("scores"),
        mask: arenaRef("mask"),
        sums: inputRef("block_sums"),
        counts: inputRef("block_counts"),
      },
      params: { ...blockParams(layer), blocks, rows },
      constants: { SQUARED: isSquared ? 1 : 0 },
    });
  });
}

/** The dispatches that remove the blocks whose word of `block_keep` is 0 from the mask. */
export function lowerBlockMasks(layers: readonly TensorBlocks[]): readonly Dispatch[] {
  return layers.map((layer) =>
    dispatchInWindow(layer.tensor.window, layer.tensor.quads, {
      kernel: "mask/blocks",
      label: `${layer.tensor.fullName} blocks`,
      bindings: { keep: inputRef("block_keep"), mask: arenaRef("mask") },
      params: { ...blockParams(layer), quads: layer.tensor.quads },
    })
  );
}

/** Sums the scores of a network's blocks, and decides which may be removed. */
export async function openBlocks(
  buffers: PruneBuffers,
  granularity: "filter" | BlockShape,
  { layers, options: { floor = 0, protect, measure = "weights" }, isSquared }: {
    readonly layers: readonly ScoredLayer[];
    readonly options: RemovalOptions;
    readonly isSquared: boolean;
  },
): Promise<RemovableGroups> {
  const mayLose = blockLosers(buffers.network.graph, granularity, protect);
  const open = layers.filter(({ tensor, isScored }) => isScored && mayLose(tensor));
  const laidOut = layOutBlocks(open.map(({ tensor }) => tensor), granularity);
  const count = laidOut.reduce((sum, { blocks }) => sum + blocks, 0);
  buffers.allocate(["block_sums", "block_counts", "block_keep"].map((name) => [name, Math.max(1, count)]));
  await buffers.run(lowerBlockSums(laidOut, isSquared));
  const [sumBytes, countBytes] = await readBuffers(
    buffers.network.gpu,
    ["block_sums", "block_counts"].map((name) => ({ buffer: buffers.get(name) })),
  );
  const sums = new Float32Array(sumBytes, 0, count), counts = new Uint32Array(countBytes, 0, count);
  const layerOf = laidOut.flatMap(({ blocks }, layer) => Array<number>(blocks).fill(layer));
  const alive = laidOut.map(({ firstBlock, blocks }) =>
    counts.subarray(firstBlock, firstBlock + blocks).filter((kept) => kept > 0).length
  );
  const minimum = laidOut.map(({ blocks }) => minKept(blocks, floor, true));
  const keep = new Uint32Array(count).fill(1);
  const weightCost = laidOut.map(({ tensor }) => weightCosts(buffers.network.graph, measure)(tensor));
  const costOf = (block: number) => counts[block] * weightCost[layerOf[block]];
  return {
    kind: granularity === "filter" ? "filters" : "blocks",
    sums,
    counts,
    layerOf,
    costOf,
    take(block) {
      const layer = layerOf[block];
      if (alive[layer] <= minimum[layer]) return 0;
      alive[layer]--;
      keep[block] = 0;
      return costOf(block);
    },
    async apply() {
      buffers.get("block_keep").write(keep);
      await buffers.run(lowerBlockMasks(laidOut));
    },
  };
}
