/**
 * Sums over rows in two deterministic passes: chunks of rows, then the chunks.
 *
 * @module
 */
import type { Dispatch } from "./dispatch.ts";
import { dispatchOver } from "./dispatch.ts";

/** Rows that one invocation adds, and the number of chunks that follows. */
export function chunksOf(rows: number): { readonly rowsPerChunk: number; readonly chunks: number } {
  const rowsPerChunk = Math.min(1024, Math.max(16, Math.ceil(Math.sqrt(rows))));
  return { rowsPerChunk, chunks: Math.ceil(rows / rowsPerChunk) };
}

/** A sum over rows: the term's kernel with its bindings, and where the sum goes. */
export interface ColumnSum {
  readonly label: string;
  /** The term's kernel, such as `reduce/bias_backward`. */
  readonly term: string;
  readonly bindings: Dispatch["bindings"];
  readonly params?: Dispatch["params"];
  readonly rows: number;
  readonly quads: number;
  /** The scratch buffer for the chunks' sums, of at least `chunksOf(rows).chunks * quads` quads. */
  readonly scratch: string;
  /** The buffer and first quad that take the sum. */
  readonly out: string;
  readonly offset: number;
  readonly scale: number;
}

/** The two dispatches of a sum over rows. */
export function sumColumns(sum: ColumnSum): readonly Dispatch[] {
  const { rowsPerChunk, chunks } = chunksOf(sum.rows);
  return [
    dispatchOver(chunks * sum.quads, {
      kernel: `reduce/columns:${sum.term}`,
      label: `${sum.label}, chunks`,
      bindings: { ...sum.bindings, sums: sum.scratch },
      params: { ...sum.params, rows: sum.rows, quads: sum.quads, rows_per_chunk: rowsPerChunk },
    }),
    sumSplits({ ...sum, splits: chunks }),
  ];
}

/** The dispatch that adds partial sums (splits, quads) into a buffer. */
export function sumSplits(
  { label, scratch, out, offset, quads, splits, scale }:
    & Pick<ColumnSum, "label" | "scratch" | "out" | "offset">
    & {
      readonly quads: number;
      readonly splits: number;
      readonly scale: number;
    },
): Dispatch {
  return dispatchOver(quads, {
    kernel: "reduce/splits",
    label: `${label}, sum`,
    bindings: { sums: scratch, out },
    params: { quads, splits, offset, scale },
  });
}
