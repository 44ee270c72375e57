/**
 * Decodes images in as many threads as the machine has cores, through Deno. `Deno` is named only in those threads, so that a
 * browser can load this module.
 *
 * @module
 */
import type { DecodedImages, ImageDecoder, ProbedImages } from "../data/image_decoder.ts";
import { FileError } from "../errors.ts";
import type { ImageAnswer, ImageMessage } from "./image_worker.ts";

/** More threads than this wait for each other. */
const maxThreads = 16;

/** A thread, and how many answers it owes. */
interface Thread {
  readonly worker: Worker;
  owed: number;
}

type Asked = PromiseWithResolvers<ProbedImages & DecodedImages>;

/** Starts threads that decode images, with the permissions of this one; it needs `--allow-read` of the files. */
export function openDenoImageDecoder(): ImageDecoder {
  const count = Math.max(1, Math.min(maxThreads, navigator.hardwareConcurrency));
  const waiting = new Map<number, { readonly asked: Asked; readonly thread: Thread }>();
  const threads: Thread[] = [];
  let next = 0, stopped: string | undefined;
  const refusal = (current: string) => {
    const wanted = "a decoder that runs";
    return new FileError({ act: "decode", thing: "images", current, wanted });
  };
  const stop = (reason: string) => {
    stopped ??= reason;
    for (const { worker } of threads) worker.terminate();
    for (const { asked } of waiting.values()) asked.reject(refusal(stopped));
    waiting.clear();
  };
  const start = (): Thread => {
    const worker = new Worker(new URL("./image_worker.ts", import.meta.url), { type: "module" });
    const thread: Thread = { worker, owed: 0 };
    worker.addEventListener("message", ({ data }: MessageEvent<ImageAnswer>) => {
      thread.owed--;
      const { asked } = waiting.get(data.id)!;
      waiting.delete(data.id);
      asked.resolve(("probed" in data ? data.probed : data.decoded) as ProbedImages & DecodedImages);
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      stop(`its thread failed (${event.message})`);
    });
    threads.push(thread);
    return thread;
  };
  const ask = (what: Omit<ImageMessage, "id">) => {
    if (stopped !== undefined) return Promise.reject(refusal(stopped));
    const free = threads.find(({ owed }) => owed === 0);
    const least = () => threads.reduce((a, b) => b.owed < a.owed ? b : a);
    const thread = free ?? (threads.length < count ? start() : least());
    const asked: Asked = Promise.withResolvers(), id = next++;
    waiting.set(id, { asked, thread });
    thread.owed++;
    thread.worker.postMessage({ id, ...what });
    return asked.promise;
  };
  return {
    threads: count,
    probe: (paths) => ask({ probe: paths } as Omit<ImageMessage, "id">),
    decode: (request) => ask({ decode: request } as Omit<ImageMessage, "id">),
    [Symbol.dispose]: () => stop("it was stopped"),
  };
}
