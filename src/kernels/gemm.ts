/**
 * Matrix products: the choice of core and splits for a shape, and the dispatch.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import type { BufferRef } from "./buffer_ref.ts";
import type { ReadPath } from "./interface.ts";
import { coreFault, splitFault } from "./choice_fault.ts";
import { coreBlock, subgroupCores, usableCores } from "./cores.ts";
import { checkIterations, type Dispatch, spreadWorkgroups } from "./dispatch.ts";
import type { ProductChoice, ProductChooser, ProductShape } from "./product.ts";
import {
  transformFilters,
  winogradLaneCost,
  winogradLanes,
  winogradMap,
  winogradOperation,
  winogradProductCores,
  winogradWeightCore,
} from "./winograd.ts";

/** Workgroups that a core needs for one split of a product. */
function productWorkgroups(shape: ProductShape, core: string): number {
  const block = coreBlock(core), map = winogradProductCores.includes(core) ? winogradMap(shape) : undefined;
  const rowBlocks = map ? winogradLanes(map) / block.subgroupSize! : shape.rows / block.rows;
  const blocks = Math.ceil(rowBlocks) * Math.ceil(shape.columns / block.columns);
  return Math.ceil(blocks / block.blocksPerWorkgroup);
}

/**
 * The number of splits that fills a device of so many workgroups, limited by the loop bound and by the number of
 * segments.
 */
export function productSplits(shape: ProductShape, core: string, workgroupsWanted: number): number {
  if (!shape.splittable) return 1;
  const byLoop = Math.ceil((shape.segments * shape.inner + shape.segments) / 60000);
  const byWorkgroups = Math.ceil(workgroupsWanted / productWorkgroups(shape, core));
  const wanted = Math.min(shape.segments, Math.max(byLoop, byWorkgroups));
  return Math.ceil(shape.segments / Math.ceil(shape.segments / wanted));
}

/**
 * The cost of a core on the texture path, relative to other cores. It is fitted to llvmpipe, where reads of texels
 * and multiply-adds dominate and work runs on a few processors (docs/architecture.md).
 *
 * Per quad of the sum, a lane reads one texel per row and per column of its block. For the side that the subgroup
 * shares it reads only its own part; the broadcasts of the rest are counted in `productPrice`. In windows and strips
 * a lane keeps what the next tap reads again.
 */
export function textureCost(shape: ProductShape, { core, splits }: ProductChoice): number {
  const { rows, columns, blocksPerWorkgroup, lane, subgroupSize, rowsAre } = coreBlock(core);
  const lanes = subgroupSize ?? blocksPerWorkgroup;
  const sharesRows = lane.rows === rows, sharesColumns = lane.columns === columns;
  // On a shared side each lane loads a strip of four.
  const loaded = (length: number, isShared: boolean) =>
    subgroupSize !== undefined && isShared ? 4 * Math.ceil(length / (4 * subgroupSize)) : length;
  const ownRows = rowsAre ? lane.rows / 2 : loaded(lane.rows, sharesRows);
  const texels = ownRows + loaded(lane.columns, sharesColumns);
  const productPrice = subgroupSize === undefined ? 0.0127 : 0.015;
  const laneCost = core.startsWith("winograd/")
    ? winogradLaneCost(shape, core, lane.columns)
    : 0.19 * texels + productPrice * lane.rows * lane.columns;
  const workgroups = productWorkgroups(shape, core);
  const idle = Math.ceil(workgroups * splits / 2) * 2 / (workgroups * splits);
  return workgroups * lanes * laneCost * idle;
}

/** Workgroups that keep a device's processors evenly busy, by read path. */
const workgroupsWanted: Readonly<Record<ReadPath, number>> = { texture: 32, storage: 128 };

/** A core with the splits that fill the device. */
function filledChoice(shape: ProductShape, core: string, path: ReadPath): ProductChoice {
  return { core, splits: productSplits(shape, core, workgroupsWanted[path]) };
}

/**
 * The choice without measurement: the core of the lowest cost on the texture path, the tile on the storage path.
 *
 * @param subgroupSize Lanes of the device's subgroups; undefined if it has no subgroups.
 */
export function defaultChooser(path: ReadPath, subgroupSize?: number): ProductChooser {
  return (shape) => {
    if (path === "storage") return filledChoice(shape, "gemm/gpu/tile_64x64", path);
    const choices = usableCores(path, subgroupSize, shape).map((core) => filledChoice(shape, core, path));
    const costs = choices.map((choice) => textureCost(shape, choice));
    return choices[costs.indexOf(Math.min(...costs))];
  };
}

/** The choice of the lowest cost among the cores that need subgroups of that size. */
export function subgroupChooser(subgroupSize: number): ProductChooser {
  return (shape) => {
    const choices = subgroupCores(subgroupSize, shape).map((core) => filledChoice(shape, core, "texture"));
    const costs = choices.map((choice) => textureCost(shape, choice));
    return choices[costs.indexOf(Math.min(...costs))];
  };
}

/** The kernel of an operation with a core. */
function productKernel(operation: string, core: string): string {
  if (core === winogradWeightCore) return core;
  return `${core}:${winogradProductCores.includes(core) ? winogradOperation(operation) : operation}`;
}

/**
 * The dispatch of a product.
 *
 * @throws {KernelError} If the core does not compute such a product.
 */
export function dispatchProduct(
  shape: ProductShape,
  choice: ProductChoice,
  { label, bindings, params, constants = {} }: Pick<Dispatch, "label" | "bindings" | "params"> & {
    readonly constants?: Dispatch["constants"];
  },
): Dispatch {
  const { operation, rows, columns, segments, inner, sizes } = shape;
  const segmentsPerSplit = Math.ceil(segments / choice.splits);
  const kernel = productKernel(operation, choice.core);
  const fault = coreFault(choice.core, shape) ?? (choice.splits > 1 ? splitFault(shape) : undefined);
  if (fault) throw new KernelError({ act: "dispatch", thing: kernel, ...fault });
  checkIterations(kernel, segmentsPerSplit * (inner + 1));
  const [x, y] = spreadWorkgroups(productWorkgroups(shape, choice.core));
  return {
    kernel,
    label,
    bindings,
    params: { ...sizes, ...params, rows, columns, segments, inner, segments_per_split: segmentsPerSplit },
    constants,
    workgroups: [x, y, choice.splits],
    ...(choice.path ? { path: choice.path } : {}),
  };
}

/**
 * The dispatches of a product whose weight lies at `params.weight` of the buffer bound as `values`: the transform of
 * the weight, if the core needs one, then the product.
 *
 * @param scratch Declares a tensor of so many quads for intermediate results.
 */
export function dispatchProductWithTransform(
  shape: ProductShape,
  choice: ProductChoice,
  { scratch, ...product }: Parameters<typeof dispatchProduct>[2] & {
    readonly scratch: (purpose: string, quads: number) => BufferRef;
  },
): readonly Dispatch[] {
  if (!winogradProductCores.includes(choice.core)) return [dispatchProduct(shape, choice, product)];
  const { label, bindings, params } = product;
  const filters = transformFilters(shape, {
    label,
    values: bindings.values,
    weight: params.weight,
    transformed: (quads) => scratch("transformed filters", quads),
  });
  const transformed = filters.bindings.transformed;
  return [filters, dispatchProduct(shape, choice, { ...product, bindings: { ...bindings, transformed } })];
}
