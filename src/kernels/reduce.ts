/**
 * Sums over rows in two deterministic passes: chunks of rows, then the chunks.
 *
 * @module
 */
import type { BufferRef } from "./buffer_ref.ts";
import { type Dispatch, type DispatchBody, dispatchOver } from "./dispatch.ts";

/** Invocations of a workgroup of the kernels that sum. */
const lanes = 64;

/** Rows that an invocation adds, if there are more than the lanes of `fewestChunks` workgroups need; and chunks at least. */
const usualRows = 64, fewestChunks = 16;

/** Partial sums that an invocation adds, if there are lanes for the others. */
const usualSplits = 8;

/**
 * Rows of a chunk, which a workgroup adds for up to 64 quads, and the resulting number of chunks. A workgroup has
 * several rows side by side if rows are short. An invocation adds up to 64 rows, in fours; of very many rows as many as
 * it takes for chunks not to be more than an invocation of the second pass adds.
 */
export function splitRows(
  rows: number,
  quads: number,
): { readonly rowsPerChunk: number; readonly chunks: number } {
  const depth = Math.floor(lanes / Math.min(quads, lanes)), perLane = rows / depth / fewestChunks;
  const own = Math.max(Math.min(usualRows, perLane), Math.sqrt(perLane));
  const rowsPerChunk = depth * 4 * Math.ceil(own / 4);
  return { rowsPerChunk, chunks: Math.ceil(rows / rowsPerChunk) };
}

/** A dispatch over the chunks of rows, with a workgroup for each chunk and block of quads. */
export function dispatchChunks(rows: number, quads: number, body: DispatchBody): Dispatch {
  const { rowsPerChunk, chunks } = splitRows(rows, quads);
  return dispatchOver(chunks * Math.ceil(quads / lanes) * lanes, {
    ...body,
    params: { ...body.params, rows, quads, rows_per_chunk: rowsPerChunk },
  });
}

/** Invocations that add the partial sums of one quad: a power of two. */
function lanesPerQuad(splits: number): number {
  return Math.min(lanes, 2 ** Math.ceil(Math.log2(Math.max(1, splits / usualSplits))));
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
  /** The scratch buffer for the chunks' sums, of at least `splitRows(rows, quads).chunks * quads` quads. */
  readonly scratch: BufferRef;
  /** The buffer for the sum. */
  readonly out: BufferRef;
  /** The first quad of the sum there. */
  readonly offset: number;
  /** The factor that the sum is multiplied by. */
  readonly scale: number;
  /** True adds to what is there. Default: false. */
  readonly accumulates?: boolean;
}

/** The two dispatches of a sum over rows. */
export function sumColumns(sum: ColumnSum): readonly Dispatch[] {
  const { rows, quads } = sum;
  return [
    dispatchChunks(rows, quads, {
      kernel: `reduce/columns:${sum.term}`,
      ...(sum.text === undefined ? {} : { text: sum.text }),
      label: `${sum.label}, chunks`,
      bindings: { ...sum.bindings, sums: sum.scratch },
      params: { ...sum.params },
    }),
    sumSplits({ ...sum, splits: splitRows(rows, quads).chunks }),
  ];
}

/**
 * The dispatch that adds partial sums (splits, stride) into a buffer, from quad `first` of each. Default: from quad
 * 0.
 */
export function sumSplits(
  { label, scratch, out, offset, quads, splits, scale, first = 0, stride = quads, accumulates = false }:
    & Pick<ColumnSum, "label" | "scratch" | "out" | "offset" | "scale" | "accumulates">
    & {
      readonly quads: number;
      readonly splits: number;
      readonly first?: number;
      readonly stride?: number;
    },
): Dispatch {
  const own = lanesPerQuad(splits);
  return dispatchOver(own * quads, {
    kernel: "reduce/splits",
    label: `${label}, sum`,
    bindings: { sums: scratch, out },
    params: { quads, splits, lanes: own, offset, scale, first, stride },
    constants: { ACCUMULATE: accumulates ? 1 : 0, SHARED: own > 1 ? 1 : 0 },
  });
}

/**
 * The two dispatches of the mean and variance of every column of x (rows, quads), into two buffers (quads). The second
 * also updates the running ones.
 */
export function columnMoments({ label, x, mean, variance, rows, quads, scratch, update }: {
  readonly label: string;
  readonly x: BufferRef;
  readonly mean: BufferRef;
  readonly variance: BufferRef;
  readonly rows: number;
  readonly quads: number;
  /** A buffer for the chunks' moments, of at least `2 * splitRows(rows, quads).chunks * quads` quads. */
  readonly scratch: BufferRef;
  /** The operation of reduce/merge_moments, such as `reduce/running_statistics`, with its own bindings and params. */
  readonly update: Pick<Dispatch, "kernel" | "bindings" | "params">;
}): readonly Dispatch[] {
  const { rowsPerChunk, chunks } = splitRows(rows, quads), own = lanesPerQuad(chunks);
  return [
    dispatchChunks(rows, quads, {
      kernel: "reduce/moments",
      label: `${label} moments, chunks`,
      bindings: { x, moments: scratch },
      params: {},
    }),
    dispatchOver(own * quads, {
      kernel: `reduce/merge_moments:${update.kernel}`,
      label: `${label} moments`,
      bindings: { ...update.bindings, moments: scratch, mean, variance },
      params: { ...update.params, rows, quads, chunks, chunk_rows: rowsPerChunk, lanes: own },
    }),
  ];
}
