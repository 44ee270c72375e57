/**
 * Reads blocks of records in a thread of its own, through Deno. `Deno` is named only in that thread, so that a browser
 * can load this module.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { type Block, type BlockReader, toError } from "../data/shards_reader.ts";
import type { ReadAnswer, ReadMessage } from "./block_worker.ts";

/** Starts a thread that reads blocks, with the permissions of this one; it needs `--allow-read` of the files. */
export function openDenoBlockReader(): BlockReader {
  const worker = new Worker(new URL("./block_worker.ts", import.meta.url), { type: "module" });
  const waiting = new Map<number, PromiseWithResolvers<Block>>();
  let next = 0, stopped: string | undefined;
  const refusal = (current: string) => {
    const wanted = "a reader that runs";
    return new FileError({ act: "read", thing: "blocks of a data set", current, wanted });
  };
  const stop = (reason: string) => {
    stopped ??= reason;
    worker.terminate();
    for (const { reject } of waiting.values()) reject(refusal(stopped));
    waiting.clear();
  };
  worker.addEventListener("message", ({ data: answer }: MessageEvent<ReadAnswer>) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ("failure" in answer) asked?.reject(toError(answer.failure));
    else asked?.resolve({ memory: answer.memory, labels: answer.labels });
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    stop(`its reader failed (${event.message})`);
  });
  return {
    read(request, memory) {
      if (stopped !== undefined) return Promise.reject(refusal(stopped));
      const asked = Promise.withResolvers<Block>(), id = next++;
      waiting.set(id, asked);
      const message: ReadMessage = { id, request, memory };
      worker.postMessage(message, memory ? [memory] : []);
      return asked.promise;
    },
    [Symbol.dispose]: () => stop("its reader was stopped"),
  };
}
