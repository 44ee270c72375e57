/**
 * The cores that compute matrix products: their blocks, and which of them serve a device and a product.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { readInterface, type ReadPath } from "./interface.ts";
import type { ProductShape } from "./product.ts";
import { kernelSource } from "./registry.ts";
import { winogradCores } from "./winograd.ts";

/** The block that one step of a core covers, read out of its WGSL. */
export interface CoreBlock {
  readonly rows: number;
  readonly columns: number;
  readonly blocksPerWorkgroup: number;
  /** The block of one invocation. */
  readonly lane: { readonly rows: number; readonly columns: number };
  /** Invocations of a subgroup, where the core shares operands through subgroups. */
  readonly subgroupSize: number | undefined;
  /** How the rows must lie, where the core asks for it; of such rows it keeps what the next tap reads again. */
  readonly rowsAre: keyof typeof rowOrders | undefined;
}

/** How the rows of some products lie, by what cores call it: whether a product's do. */
const rowOrders = {
  /** Windows of 2 x 2 pixels, two side by side, whose pixels read neighbouring inputs. */
  windows: ({ operation, sizes: { stride, pooled_width: windows } = {} }: ProductShape) =>
    operation === "gemm/conv2d_forward_pooled" && stride === 1 && windows! % 2 === 0,
  /** Strips of eight pixels side by side that read neighbouring inputs, under three taps a line. */
  strips: ({ operation, sizes: { kernel_width, stride_x, dilation_x, out_width } = {} }: ProductShape) =>
    operation === "gemm/conv2d_forward" && kernel_width === 3 && stride_x === 1 && dilation_x === 1 &&
    out_width % 8 === 0,
};

/** The cores that every device may use on a read path, each for some products at least, smallest block first. */
export const productCores: Readonly<Record<ReadPath, readonly string[]>> = {
  texture: ["8x8", "8x16", "16x8", "32x4", "32x4_strips", "16x16"].map((block) => `gemm/register_${block}`),
  storage: ["gemm/tile_64x64", "gemm/register_8x8"],
};

/** The cores that need subgroups, smallest block first. */
export const subgroupCores: readonly string[] = [
  "gemm/subgroup_16x8",
  "gemm/subgroup_4x32",
  "gemm/subgroup_4x36",
  "gemm/subgroup_32x4",
  "gemm/subgroup_8x32",
  "gemm/subgroup_8x32_windows",
  "gemm/subgroup_64x4",
];

/** The cores for subgroups of a size, for a product where it is given. */
export function coresOfSubgroups(subgroupSize: number | undefined, shape?: ProductShape): readonly string[] {
  return [...subgroupCores, ...(shape ? winogradCores(shape) : [])]
    .filter((core) => coreBlock(core).subgroupSize === subgroupSize && serves(core, shape));
}

/** True where a core computes a product; where none is given, whether it computes all. */
export function serves(core: string, shape: ProductShape | undefined): boolean {
  const { rowsAre } = coreBlock(core);
  return rowsAre === undefined || shape !== undefined && rowOrders[rowsAre](shape);
}

/**
 * The cores that a device may use on a read path for a product, or for any product where none is given.
 *
 * @param subgroupSize Lanes of the device's subgroups; undefined where it has none.
 */
export function usableCores(
  path: ReadPath,
  subgroupSize: number | undefined,
  shape?: ProductShape,
): readonly string[] {
  const cores = productCores[path].filter((core) => serves(core, shape));
  return [...cores, ...coresOfSubgroups(subgroupSize, shape)];
}

/** Reads the block of a core. */
export function coreBlock(core: string): CoreBlock {
  const { constants } = readInterface(core, kernelSource(core));
  const read = (name: string) => {
    const value = constants.get(name);
    if (value !== undefined) return value;
    throw new KernelError({ act: "read kernel", thing: core, current: `no ${name}`, wanted: "a gemm core" });
  };
  const orders = Object.keys(rowOrders) as (keyof typeof rowOrders)[];
  const rows = read("BLOCK_ROWS"), columns = read("BLOCK_COLUMNS");
  return {
    rows,
    columns,
    blocksPerWorkgroup: read("BLOCKS_PER_WORKGROUP"),
    lane: {
      rows: constants.get("LANE_ROWS") ?? rows,
      columns: constants.get("LANE_COLUMNS") ?? columns,
    },
    subgroupSize: constants.get("SUBGROUP_SIZE"),
    rowsAre: orders.find((order) => constants.has(`ROWS_ARE_${order.toUpperCase()}`)),
  };
}
