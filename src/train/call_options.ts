/**
 * How long calls are watched and ended: one shape of options for all of them.
 *
 * @module
 */

/** How far a call is. */
export interface Progress {
  /** Steps that are done: of training or batches, layers of a refit, rounds of pruning. */
  readonly step: number;
  /** Steps in all. */
  readonly steps: number;
}

/** How a long call is watched and ended. */
export interface CallOptions {
  /**
   * Ends the call between two of its steps once it is aborted: it throws the signal's reason. Each call says in which state
   * it leaves the model.
   */
  readonly signal?: AbortSignal | undefined;
  /** Hears how far the call is: before its first step, and after each. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A step that takes longer is waited for before the next one, in milliseconds. */
const longStepMs = 100;

/** Watches steps that are submitted one after the other. */
export class StepWatch {
  readonly #options: CallOptions;
  readonly #steps: number;
  readonly #wait: () => Promise<unknown>;
  #step = 0;
  #waitMs = Infinity;

  /** @param wait Waits for what was submitted so far. */
  constructor(options: CallOptions, steps: number, wait: () => Promise<unknown>) {
    this.#options = options;
    this.#steps = steps;
    this.#wait = wait;
  }

  /**
   * To be called before each step, and once behind the last. What is submitted cannot be stopped, so that a slow device gets
   * a step at a time where somebody watches.
   *
   * @throws The reason of the signal where it is aborted and a step is left.
   */
  async next(): Promise<void> {
    const { signal, onProgress } = this.#options, step = this.#step++;
    if (!signal && !onProgress) return;
    if (step > 0 && this.#waitMs > longStepMs) {
      const start = performance.now();
      await this.#wait();
      this.#waitMs = performance.now() - start;
    }
    if (step < this.#steps) signal?.throwIfAborted();
    onProgress?.({ step, steps: this.#steps });
  }
}
