/**
 * The order of calls on one model: one after the other, as they share its memory on the device.
 *
 * @module
 */
import { StateError } from "../errors.ts";

/** Has calls take turns, in the order in which they were made. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  /** Names of the calls under way: the one whose turn it is, and those that it made through `lend`. */
  readonly #under: string[] = [];
  #isLent = false;

  /** Does a call when those before it are done. */
  take<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(async () => {
      const wasLent = this.#isLent;
      this.#isLent = false;
      this.#under.push(name);
      try {
        return await act();
      } finally {
        this.#under.pop();
        this.#isLent = wasLent;
      }
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  /**
   * Lets others in while the call whose turn it is waits for a function of its caller's, which may call the model too:
   * such calls would else wait for the call that waits for them.
   */
  async lend<Result>(act: () => Promise<Result> | Result): Promise<Result> {
    const waiting = this.#last;
    this.#last = Promise.resolve();
    this.#isLent = true;
    try {
      return await act();
    } finally {
      for (let last; last !== this.#last;) await (last = this.#last);
      this.#isLent = false;
      this.#last = waiting;
    }
  }

  /**
   * Refuses what changes a model at once, and so cannot wait for its turn, while a call is under way.
   *
   * @throws {StateError} Then, naming the call.
   */
  checkIdle(act: string, thing: string): void {
    const under = this.#under.at(-1);
    if (under === undefined || this.#isLent) return;
    throw new StateError({
      act,
      thing,
      current: `${under} is under way`,
      wanted: "a call that waits for it",
    });
  }
}
