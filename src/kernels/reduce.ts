/**
 * Sums over rows in two deterministic passes: chunks of rows, then the chunks.
 *
 * @module
 */
import type { BufferRef } from "./buffer_ref.ts";
import { type Dispatch, dispatchOver } from "./dispatch.ts";

/** Rows that one invocation adds, and the resulting number of chunks. */
export function splitRows(rows: number): { readonly rowsPerChunk: number; readonly chunks: number } {
  const rowsPerChunk = Math.min(1024, Math.max(16, Math.ceil(Math.sqrt(rows))));
  return { rowsPerChunk, chunks: Math.ceil(rows / rowsPerChunk) };
}

/** A sum over rows: the term's kernel with its bindings, and the destination of the sum. */
export interface ColumnSum {
  /** The name of its dispatches. */
  readonly label: string;
  /** The term's kernel, such as `reduce/bias_backward`. */
  readonly term: string;
  /** The term's WGSL, if it is not in kernels/. */
  readonly text?: string;
  /** The term's buffers by binding name. */
  readonly bindings: Dispatch["bindings"];
  /** Values of the term's `Params` besides rows, quads and rows_per_chunk. */
  readonly params?: Dispatch["params"];
  /** Rows that are summed. */
  readonly rows: number;
  /** Quads per row. */
  readonly quads: number;
  /** The scratch buffer for the chunks' sums, of at least `splitRows(rows).chunks * quads` quads. */
  readonly scratch: BufferRef;
  /** The buffer for the sum. */
  readonly out: BufferRef;
  /** The first quad of the sum there. */
  readonly offset: number;
  /** The factor that the sum is multiplied by. */
  readonly scale: number;
}

/** The two dispatches of a sum over rows. */
export function sumColumns(sum: ColumnSum): readonly Dispatch[] {
  const { rowsPerChunk, chunks } = splitRows(sum.rows);
  return [
    dispatchOver(chunks * sum.quads, {
      kernel: `reduce/columns:${sum.term}`,
      ...(sum.text === undefined ? {} : { text: sum.text }),
      label: `${sum.label}, chunks`,
      bindings: { ...sum.bindings, sums: sum.scratch },
      params: { ...sum.params, rows: sum.rows, quads: sum.quads, rows_per_chunk: rowsPerChunk },
    }),
    sumSplits({ ...sum, splits: chunks }),
  ];
}

/**
 * The dispatch that adds partial sums (splits, stride) into a buffer, from quad `first` of each. Default: from quad
 * 0.
 */
export function sumSplits(
  { label, scratch, out, offset, quads, splits, scale, first = 0, stride = quads }:
    & Pick<ColumnSum, "label" | "scratch" | "out" | "offset">
    & {
      readonly quads: number;
      readonly splits: number;
      readonly scale: number;
      readonly first?: number;
      readonly stride?: number;
    },
): Dispatch {
  return dispatchOver(quads, {
    kernel: "reduce/splits",
    label: `${label}, sum`,
    bindings: { sums: scratch, out },
    params: { quads, splits, offset, scale, first, stride },
  });
}

/** The two dispatches of the mean and variance of every column of x (rows, quads), into two buffers (quads). */
export function columnMoments({ label, x, mean, variance, rows, quads, scratch }: {
  readonly label: string;
  readonly x: BufferRef;
  readonly mean: BufferRef;
  readonly variance: BufferRef;
  readonly rows: number;
  readonly quads: number;
  /** A buffer for the chunks' moments, of at least `2 * splitRows(rows).chunks * quads` quads. */
  readonly scratch: BufferRef;
}): readonly Dispatch[] {
  const { rowsPerChunk, chunks } = splitRows(rows);
  const params = { rows, quads, "rows_per_chunk": rowsPerChunk };
  return [
    dispatchOver(chunks * quads, {
      kernel: "reduce/moments",
      label: `${label} moments, chunks`,
      bindings: { x, moments: scratch },
      params,
    }),
    dispatchOver(quads, {
      kernel: "reduce/merge_moments",
      label: `${label} moments`,
      bindings: { moments: scratch, mean, variance },
      params,
    }),
  ];
}
