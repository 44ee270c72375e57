/**
 * Times every dispatch of a program by timestamp queries, with one pass per dispatch.
 *
 * @module
 */
import { AdapterError } from "../errors.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { Gpu } from "./device.ts";
import type { PassObserver } from "./executor.ts";

/** The time of a dispatch. */
export interface DispatchTime {
  /** The dispatch in the program. */
  readonly dispatch: Dispatch;
  /** Milliseconds between the two timestamps of its pass, the mean over the runs. */
  readonly timeMs: number;
  /** Milliseconds since the end of the previous pass, the mean over the runs: copies into mirrors, and idling. */
  readonly gapMs: number;
}

/** Queries per set by the specification. A dispatch needs two. */
const maxQueries = 4096;

/** An observer that times the dispatches of one program. Dispose of it to free its queries. */
export class DispatchTimer implements PassObserver {
  #isDisposed = false;
  readonly #gpu: Gpu;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;
  #dispatches: Dispatch[] = [];
  readonly #sums: { dispatch: Dispatch; timeMs: number; gapMs: number }[] = [];
  #runs = 0;

  /**
   * Creates the queries for a program.
   *
   * @param dispatches Dispatches per run of the program, at most 2,048.
   * @throws {AdapterError} If the adapter has no timestamp queries, or the program too many dispatches.
   */
  constructor(gpu: Gpu, dispatches: number) {
    const fail = (current: string, wanted: string) => {
      throw new AdapterError({ act: "profile on adapter", thing: gpu.adapter.name, current, wanted });
    };
    if (!gpu.device.features.has("timestamp-query")) fail("no timestamp queries", "feature timestamp-query");
    if (2 * dispatches > maxQueries) fail(`${dispatches} dispatches`, `at most ${maxQueries / 2}`);
    const count = Math.max(2, 2 * dispatches), size = 8 * count;
    const { COPY_SRC, COPY_DST, MAP_READ, QUERY_RESOLVE } = GPUBufferUsage;
    this.#gpu = gpu;
    this.#queries = gpu.device.createQuerySet({ label: "profile", type: "timestamp", count });
    this.#resolved = gpu.device.createBuffer({ label: "profile", size, usage: QUERY_RESOLVE | COPY_SRC });
    this.#staging = gpu.device.createBuffer({ label: "profile", size, usage: COPY_DST | MAP_READ });
    gpu.allocatedBytes += 2 * size;
  }

  /** Returns the queries of the next dispatch of the run. */
  timestamps(dispatch: Dispatch): GPUComputePassTimestampWrites {
    const beginningOfPassWriteIndex = 2 * this.#dispatches.length;
    this.#dispatches.push(dispatch);
    return {
      querySet: this.#queries,
      beginningOfPassWriteIndex,
      endOfPassWriteIndex: beginningOfPassWriteIndex + 1,
    };
  }

  /** Reads the timestamps of the run that was just submitted and adds them to the means. */
  async collect(): Promise<void> {
    const dispatches = this.#dispatches, count = 2 * dispatches.length;
    this.#dispatches = [];
    if (count === 0) return;
    this.#gpu.check();
    const encoder = this.#gpu.device.createCommandEncoder({ label: "profile" });
    encoder.resolveQuerySet(this.#queries, 0, count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 8 * count);
    this.#gpu.device.queue.submit([encoder.finish()]);
    await this.#staging.mapAsync(GPUMapMode.READ);
    const nanoseconds = new BigUint64Array(this.#staging.getMappedRange().slice(0, 8 * count));
    this.#staging.unmap();
    this.#gpu.check();
    const between = (from: number, to: number) => Number(nanoseconds[to] - nanoseconds[from]) / 1e6;
    for (const [i, dispatch] of dispatches.entries()) {
      const sum = this.#sums[i] ??= { dispatch, timeMs: 0, gapMs: 0 };
      sum.timeMs += between(2 * i, 2 * i + 1);
      if (i > 0) sum.gapMs += between(2 * i - 1, 2 * i);
    }
    this.#runs++;
  }

  /** The times of the dispatches, in the order of the program, over the runs collected so far. */
  get times(): readonly DispatchTime[] {
    return this.#sums.map(({ dispatch, timeMs, gapMs }) => ({
      dispatch,
      timeMs: timeMs / this.#runs,
      gapMs: gapMs / this.#runs,
    }));
  }

  /** Frees the queries. Disposing again does nothing. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#gpu.allocatedBytes -= 2 * this.#resolved.size;
    this.#queries.destroy();
    this.#resolved.destroy();
    this.#staging.destroy();
  }
}
