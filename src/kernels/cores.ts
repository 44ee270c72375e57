/**
 * The cores that compute matrix products: their blocks, and which of them suit a device and a product.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { coreTable } from "./core_table.ts";
import type { ReadPath } from "./interface.ts";
import type { ProductShape } from "./product.ts";
import { kernelInterface } from "./source.ts";
import { winogradCores, winogradProductCores, winogradWeightCore } from "./winograd.ts";

/** The block that one step of a core covers, read from its WGSL. */
export interface CoreBlock {
  readonly rows: number;
  readonly columns: number;
  readonly blocksPerWorkgroup: number;
  /** The block of one invocation. */
  readonly lane: { readonly rows: number; readonly columns: number };
  /** Invocations per subgroup, if the core shares operands through subgroups. */
  readonly subgroupSize: number | undefined;
  /** The order of rows that the core needs, if any. From such rows it keeps what the next tap reads again. */
  readonly rowsAre: keyof typeof rowOrders | undefined;
}

/** The orders of rows, by the names that cores use: tests whether a product's rows are in that order. */
const rowOrders = {
  /** Windows of 2 x 2 pixels, two side by side, whose pixels read neighbouring inputs. */
  windows: ({ operation, sizes: { stride, pooled_width: windows } = {} }: ProductShape) =>
    operation === "gemm/conv2d_forward_pooled" && stride === 1 && windows! % 2 === 0,
  /** Strips of eight pixels side by side that read neighbouring inputs, with three taps per line. */
  strips: ({ operation, sizes: { kernel_width, stride_x, dilation_x, out_width } = {} }: ProductShape) =>
    operation === "gemm/conv2d_forward" && kernel_width === 3 && stride_x === 1 && dilation_x === 1 &&
    out_width % 8 === 0,
};

/**
 * The cores that a device may use on a read path, each for at least some products, in the order of core_table.ts.
 *
 * @param subgroupSize Lanes of the device's subgroups; undefined if it has no subgroups.
 */
export function deviceCores(path: ReadPath, subgroupSize: number | undefined): readonly string[] {
  const ofTable = Object.keys(coreTable).filter((core) => coreTable[core].paths.includes(path));
  return [...ofTable, ...winogradProductCores, winogradWeightCore].filter((core) => {
    const wanted = coreBlock(core).subgroupSize;
    return wanted === undefined || wanted === subgroupSize;
  });
}

/** True if a core computes a product. Without a product: if it computes all. */
export function serves(core: string, shape: ProductShape | undefined): boolean {
  if (winogradProductCores.includes(core) || core === winogradWeightCore) {
    return shape !== undefined && winogradCores(shape).includes(core);
  }
  const { rowsAre } = coreBlock(core);
  return rowsAre === undefined || shape !== undefined && rowOrders[rowsAre](shape);
}

/** The cores of `deviceCores` that compute a product. Without a product: those that compute all. */
export function usableCores(
  path: ReadPath,
  subgroupSize: number | undefined,
  shape?: ProductShape,
): readonly string[] {
  return deviceCores(path, subgroupSize).filter((core) => serves(core, shape));
}

/** The cores of `usableCores` that need subgroups. */
export function subgroupCores(subgroupSize: number, shape?: ProductShape): readonly string[] {
  return usableCores("texture", subgroupSize, shape).filter((core) =>
    coreBlock(core).subgroupSize !== undefined
  );
}

/** Reads the block of a core. */
export function coreBlock(core: string): CoreBlock {
  const { constants } = kernelInterface(core);
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
