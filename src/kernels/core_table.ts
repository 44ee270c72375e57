/**
 * The cores that compute matrix products, one line each: its text in kernels/, the sizes that the text is expanded
 * with (expand.ts), and the read paths that may use it.
 *
 * A new size is one more line. tests/kernels compares every core with the f64 reference on all operations, and the
 * tuner times it on its read paths.
 *
 * @module
 */
import type { Numbers } from "./expand.ts";
import type { ReadPath } from "./interface.ts";

/** A line of the table. */
export interface CoreEntry {
  /** The stem of the text, such as `gemm/software/register`. */
  readonly text: string;
  readonly sizes: Numbers;
  /** The read paths on which devices may use the core. If it needs subgroups, the device must have them. */
  readonly paths: readonly ReadPath[];
}

type Block = Readonly<Record<"ROWS" | "COLUMNS", number>>;
/** The cores of convolutions by 3 x 3 filters at stride 1 (winograd.ts), by the channels that a lane computes. */
export const winogradTable: Readonly<Record<string, CoreEntry>> = {
  "winograd/product": { text: "winograd/product", sizes: { COLUMNS: 32 }, paths: ["storage", "texture"] },
  "winograd/product_16": { text: "winograd/product", sizes: { COLUMNS: 16 }, paths: ["storage", "texture"] },
};

type Tile = Block & Readonly<Record<"LANE_ROWS" | "LANE_COLUMNS" | "DEPTH" | "BUFFERS", number>>;

const both: readonly ReadPath[] = ["storage", "texture"], texture: readonly ReadPath[] = ["texture"];

/** A core for GPUs. Its text explains the sizes. */
const tile = (sizes: Tile): CoreEntry => ({ text: "gemm/gpu/tile", sizes, paths: ["storage"] });

/** A core for software adapters. */
const software = (text: string, sizes: Partial<Block>, paths: readonly ReadPath[]): CoreEntry => ({
  text: `gemm/software/${text}`,
  sizes,
  paths,
});

/**
 * Every core by its name: folder, text, and rows x columns of a lane's block (for tiles, of the workgroup's block).
 * Of cores of equal cost the first is preferred: smallest block first, cores that need subgroups last.
 */
export const coreTable: Readonly<Record<string, CoreEntry>> = {
  "gemm/gpu/tile_64x64": tile({ ROWS: 64, COLUMNS: 64, LANE_ROWS: 8, LANE_COLUMNS: 8, DEPTH: 4, BUFFERS: 1 }),
  "gemm/software/register_8x8": software("register", { ROWS: 8, COLUMNS: 8 }, both),
  "gemm/software/register_8x16": software("register", { ROWS: 8, COLUMNS: 16 }, texture),
  "gemm/software/register_16x8": software("register", { ROWS: 16, COLUMNS: 8 }, texture),
  "gemm/software/register_32x4": software("register", { ROWS: 32, COLUMNS: 4 }, texture),
  "gemm/software/register_32x4_strips": software("register_strips", { ROWS: 32 }, texture),
  "gemm/software/register_16x16": software("register", { ROWS: 16, COLUMNS: 16 }, texture),
  "gemm/software/subgroup_16x8": software("subgroup_pairs", { COLUMNS: 8 }, both),
  "gemm/software/subgroup_4x32": software("subgroup_columns", { ROWS: 4, COLUMNS: 32 }, both),
  "gemm/software/subgroup_4x36": software("subgroup_columns", { ROWS: 4, COLUMNS: 36 }, both),
  "gemm/software/subgroup_32x4": software("subgroup_rows", { ROWS: 32, COLUMNS: 4 }, both),
  "gemm/software/subgroup_8x32": software("subgroup_columns", { ROWS: 8, COLUMNS: 32 }, both),
  "gemm/software/subgroup_8x32_windows": software("subgroup_windows", { COLUMNS: 32 }, both),
  "gemm/software/subgroup_64x4": software("subgroup_rows", { ROWS: 64, COLUMNS: 4 }, both),
};
