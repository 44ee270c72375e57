/**
 * Reads blocks of records from files ahead of their use, independent of the runtime.
 *
 * @module
 */

import { type ErrorDetails, FileError, FormatError } from "../errors.ts";

/** The layout of a record: the label, low byte first, then the pixels (C, H, W). */
export interface RecordLayout {
  /** Bytes of the label, 1 or 2. */
  readonly labelBytes: number;
  /** Bytes of the pixels. */
  readonly imageBytes: number;
  /** Labels are below this. */
  readonly classes: number;
}

/** Neighbouring records of one file. */
export interface FileRun {
  /** The file's path. */
  readonly path: string;
  /** The expected size of the file, in bytes. */
  readonly sizeBytes: number;
  /** The first record. */
  readonly first: number;
  /** Records, at least 1. */
  readonly count: number;
}

/** The records of a block and their layout. */
export interface BlockRequest {
  /** The layout of each record. */
  readonly layout: RecordLayout;
  /** The records, in order; a block holds them one after the other. */
  readonly runs: readonly FileRun[];
  /** Maximum records of any block; memory is allocated for so many. */
  readonly capacity: number;
}

/** A block that was read. */
export interface Block {
  /** The pixels of every record (N, C, H, W), from the first byte on. It may serve another request afterwards. */
  readonly memory: ArrayBuffer;
  /** The label of every record, (N). */
  readonly labels: Uint32Array;
}

/** Reads blocks in the background. Dispose of it to stop it; pending reads are then rejected. */
export interface BlockReader extends Disposable {
  /**
   * Reads a block. Several may be requested at a time; they come in the order of the requests.
   *
   * @param memory Memory of an earlier block of the same capacity and layout to read into. Default: new memory.
   * @throws {FileError} If a file is absent, not readable, or has changed since it was read first.
   * @throws {FormatError} If a file is of another size, or holds a label of no class.
   */
  read(request: BlockRequest, memory?: ArrayBuffer): Promise<Block>;
}

/** Fills the target with a file's bytes from an offset on. */
export type ReadInto = (run: FileRun, offsetBytes: number, target: Uint8Array) => void;

/** An error as a message between threads. */
export interface Failure {
  readonly kind: "file" | "format";
  readonly details: ErrorDetails;
}

/** A failure at its origin. Callers of a reader get the error that `toError` makes of it. */
export class ReadFailure extends Error {
  constructor(readonly failure: Failure) {
    super(failure.details.current);
  }
}

/** The error of a failure. */
export function toError({ kind, details }: Failure): Error {
  return kind === "file" ? new FileError(details) : new FormatError(details);
}

/** Bytes of memory for a block of a request. */
export function blockBytes({ layout, capacity }: BlockRequest): number {
  // Pixels are uploaded in whole words.
  return Math.ceil(capacity * (layout.labelBytes + layout.imageBytes) / 4) * 4;
}

/**
 * Reads the records of a request and separates labels from pixels, in place.
 *
 * @throws {ReadFailure} If a label is of no class.
 */
export function readRecords(request: BlockRequest, memory: ArrayBuffer, readInto: ReadInto): Uint32Array {
  const { layout: { labelBytes, imageBytes, classes }, runs } = request, record = labelBytes + imageBytes;
  const bytes = new Uint8Array(memory);
  const labels = new Uint32Array(runs.reduce((sum, { count }) => sum + count, 0));
  let row = 0;
  for (const run of runs) {
    const start = row * imageBytes;
    readInto(run, run.first * record, bytes.subarray(start, start + run.count * record));
    for (let i = 0; i < run.count; i++, row++) {
      const from = start + i * record;
      const label = bytes[from] + (labelBytes === 2 ? 256 * bytes[from + 1] : 0);
      if (label >= classes) {
        const current = `label ${label} at byte ${(run.first + i) * record} (record ${run.first + i})`;
        const details = { act: "read", thing: run.path, current, wanted: `a label of 0 to ${classes - 1}` };
        throw new ReadFailure({ kind: "format", details });
      }
      labels[row] = label;
      bytes.copyWithin(row * imageBytes, from + labelBytes, from + record);
    }
  }
  return labels;
}

/** The failure of a file whose size differs from its index. */
export function sizeFailure({ path, sizeBytes }: FileRun, found: number, record: number): ReadFailure {
  const rest = found % record;
  const what = found > sizeBytes
    ? `${found - sizeBytes} too many`
    : rest === 0
    ? "truncated"
    : `truncated: the record at byte ${found - rest} has ${rest} bytes`;
  const wanted = `${sizeBytes / record} records of ${record} bytes`;
  const details = { act: "read", thing: path, current: `${found} bytes, ${what}`, wanted };
  return new ReadFailure({ kind: "format", details });
}
