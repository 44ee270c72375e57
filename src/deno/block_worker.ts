/**
 * The thread that reads blocks of records through Deno; block_reader.ts starts it.
 *
 * @module
 */

import {
  blockBytes,
  type BlockRequest,
  type Failure,
  type FileRun,
  ReadFailure,
  readRecords,
  sizeFailure,
} from "../data/shards_reader.ts";

/** What the thread is asked for. */
export interface ReadMessage {
  readonly id: number;
  readonly request: BlockRequest;
  readonly memory: ArrayBuffer | undefined;
}

/** What it answers: a block, or why there is none. */
export type ReadAnswer =
  | { readonly id: number; readonly memory: ArrayBuffer; readonly labels: Uint32Array }
  | { readonly id: number; readonly failure: Failure };

/** The part of a worker's global scope that is used here, which the types of a page lack. */
interface WorkerScope {
  addEventListener(type: "message", listener: (event: MessageEvent<ReadMessage>) => void): void;
  postMessage(answer: ReadAnswer, transfer: Transferable[]): void;
}

const scope = self as unknown as WorkerScope;

/** When each file was last changed, as seen at its first reading. */
const changeTimes = new Map<string, number>();

/** Opens a file, checks that it is what it was, and fills the target from an offset on. */
function readFile(run: FileRun, offsetBytes: number, { target, record }: {
  readonly target: Uint8Array;
  readonly record: number;
}): void {
  const { path, sizeBytes } = run;
  // Opening a pipe would wait for somebody to write into it.
  if (!Deno.statSync(path).isFile) {
    const current = "it is no regular file";
    const details = { act: "read", thing: path, current, wanted: "the file that it was" };
    throw new ReadFailure({ kind: "file", details });
  }
  using file = Deno.openSync(path);
  const { size, mtime } = file.statSync();
  if (size !== sizeBytes) throw sizeFailure(run, size, record);
  const changed = mtime?.getTime() ?? 0, before = changeTimes.get(path) ?? changed;
  changeTimes.set(path, before);
  if (changed !== before) {
    const current = `it was changed at ${new Date(changed).toISOString()}, while it was in use`;
    const details = { act: "read", thing: path, current, wanted: "a file that stays as it was" };
    throw new ReadFailure({ kind: "file", details });
  }
  file.seekSync(offsetBytes, Deno.SeekMode.Start);
  for (let at = 0; at < target.length;) {
    const count = file.readSync(target.subarray(at));
    // Cut short after its size was looked at.
    if (count === null) throw sizeFailure(run, offsetBytes + at, record);
    at += count;
  }
}

function toFailure(error: unknown, path: string): Failure {
  if (error instanceof ReadFailure) return error.failure;
  const isAbsent = error instanceof Error && error.name === "NotFound";
  const current = isAbsent ? "there is no such path" : error instanceof Error ? error.message : String(error);
  return { kind: "file", details: { act: "read", thing: path, current, wanted: "a readable file" } };
}

function answer({ id, request, memory = new ArrayBuffer(blockBytes(request)) }: ReadMessage): ReadAnswer {
  const record = request.layout.labelBytes + request.layout.imageBytes;
  let path = "";
  try {
    const labels = readRecords(request, memory, (run, offsetBytes, target) => {
      path = run.path;
      readFile(run, offsetBytes, { target, record });
    });
    return { id, memory, labels };
  } catch (error) {
    return { id, failure: toFailure(error, path) };
  }
}

scope.addEventListener("message", ({ data }) => {
  const answered = answer(data);
  scope.postMessage(answered, "memory" in answered ? [answered.memory] : []);
});
