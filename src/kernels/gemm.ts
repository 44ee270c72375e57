/**
 * Matrix products: which core and how many splits serve a shape, and the dispatch that follows.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import type { ReadPath } from "./assemble.ts";
import { checkIterations, type Dispatch, spreadWorkgroups } from "./dispatch.ts";
import { readInterface } from "./interface.ts";
import { kernelSource } from "./registry.ts";

/** A matrix product c (rows, columns) = a (rows, segments x inner x 4) b (segments x inner x 4, columns). */
export interface ProductShape {
  /** The operation's kernel, such as `gemm/conv2d_forward`. */
  readonly operation: string;
  readonly rows: number;
  readonly columns: number;
  /** Outer steps of the sum: taps, or lines of the output. */
  readonly segments: number;
  /** Quads of the sum in a segment. */
  readonly inner: number;
  /** True where the operation can write partial sums, which a second pass adds. */
  readonly splittable: boolean;
}

/** How a product is computed: the core's stem and the number of splits of its sum. */
export interface ProductChoice {
  readonly core: string;
  readonly splits: number;
  /** How the product reads its operands, where it is not to be as the device's other kernels do. */
  readonly path?: ReadPath;
}

/** Picks how a product is computed on this device. */
export type ProductChooser = (shape: ProductShape) => ProductChoice;

/** The block that one step of a core covers, read out of its WGSL. */
export interface CoreBlock {
  readonly rows: number;
  readonly columns: number;
  readonly blocksPerWorkgroup: number;
}

/** The cores that a read path may use, smallest block first. */
export const productCores: Readonly<Record<ReadPath, readonly string[]>> = {
  texture: ["gemm/register_8x8", "gemm/register_8x16", "gemm/register_16x8", "gemm/register_16x16"],
  storage: ["gemm/tile_64x64", "gemm/register_8x8"],
};

/** Reads the block of a core. */
export function coreBlock(core: string): CoreBlock {
  const { constants } = readInterface(core, kernelSource(core));
  const read = (name: string) => {
    const value = constants.get(name);
    if (value === undefined) {
      throw new KernelError({
        act: "read kernel",
        thing: core,
        current: `no ${name}`,
        wanted: "a gemm core",
      });
    }
    return value;
  };
  return {
    rows: read("BLOCK_ROWS"),
    columns: read("BLOCK_COLUMNS"),
    blocksPerWorkgroup: read("BLOCKS_PER_WORKGROUP"),
  };
}

/** Workgroups that a core needs for one split of a product. */
export function productWorkgroups(shape: ProductShape, core: string): number {
  const block = coreBlock(core);
  const blocks = Math.ceil(shape.rows / block.rows) * Math.ceil(shape.columns / block.columns);
  return Math.ceil(blocks / block.blocksPerWorkgroup);
}

/** The splits that fill a device of so many workgroups at once, within the loop bound and the segments there are. */
export function productSplits(shape: ProductShape, core: string, workgroupsWanted: number): number {
  if (!shape.splittable) return 1;
  const byLoop = Math.ceil((shape.segments * shape.inner + shape.segments) / 60000);
  const byWorkgroups = Math.ceil(workgroupsWanted / productWorkgroups(shape, core));
  const wanted = Math.min(shape.segments, Math.max(byLoop, byWorkgroups));
  return Math.ceil(shape.segments / Math.ceil(shape.segments / wanted));
}

/**
 * The choice without measurement: on the texture path the largest block that still gives both cores of a small
 * machine several workgroups and wastes little at the edges; on the storage path the tile.
 */
export function defaultChooser(path: ReadPath): ProductChooser {
  return (shape) => {
    if (path === "storage") {
      const core = "gemm/tile_64x64";
      return { core, splits: productSplits(shape, core, 128) };
    }
    let best = "gemm/register_8x8", bestCost = Infinity;
    for (const core of productCores.texture) {
      const block = coreBlock(core);
      const splits = productSplits(shape, core, 8);
      // One texel is read for 4 values; a block reads its two sides and multiplies its area.
      const blockCost = (block.rows + block.columns) * 0.7 + block.rows * block.columns * 0.1;
      const workgroups = productWorkgroups(shape, core) * splits;
      const share = Math.ceil(workgroups / 2) * 2 / workgroups;
      const cost = productWorkgroups(shape, core) * block.blocksPerWorkgroup * blockCost * share;
      if (cost < bestCost) [best, bestCost] = [core, cost];
    }
    return { core: best, splits: productSplits(shape, best, 8) };
  };
}

/** The dispatch of a product. */
export function dispatchProduct(
  shape: ProductShape,
  choice: ProductChoice,
  { label, bindings, params, constants = {} }: Pick<Dispatch, "label" | "bindings" | "params"> & {
    readonly constants?: Dispatch["constants"];
  },
): Dispatch {
  const { operation, rows, columns, segments, inner } = shape;
  const segmentsPerSplit = Math.ceil(segments / choice.splits);
  const kernel = `${choice.core}:${operation}`;
  checkIterations(kernel, segmentsPerSplit * (inner + 1));
  const [x, y] = spreadWorkgroups(productWorkgroups(shape, choice.core));
  return {
    kernel,
    label,
    bindings,
    params: { ...params, rows, columns, segments, inner, segments_per_split: segmentsPerSplit },
    constants,
    workgroups: [x, y, choice.splits],
    ...(choice.path ? { path: choice.path } : {}),
  };
}
