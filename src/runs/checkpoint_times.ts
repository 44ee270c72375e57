/**
 * When a run saves its checkpoints: every so many steps, or every few minutes.
 *
 * @module
 */

/** Says when checkpoints are due. */
export interface CheckpointTimes {
  /** True where one is to be saved after so many steps of a phase. */
  isDue(step: number): boolean;
  /** True where one is to be saved after a phase. */
  isDueAfterPhase(): boolean;
  /** Saves one, and notes when that was and how long it took. */
  saving(save: () => Promise<void>): Promise<void>;
}

/** Minutes between two checkpoints by default, in milliseconds. */
const betweenMs = 5 * 60_000;

/** The largest share of a run's time that checkpoints after phases may take by default. */
const largestShare = 0.02;

/**
 * When checkpoints are due.
 *
 * @param every Steps of a phase between two, which are saved after each phase too. By default one is due every five
 *   minutes, and after a phase unless short phases would spend their time on it.
 * @param nowMs The time in milliseconds.
 */
export function checkpointTimes(every: number | undefined, nowMs = () => performance.now()): CheckpointTimes {
  if (every !== undefined) {
    return {
      isDue: (step) => step % every === 0,
      isDueAfterPhase: () => true,
      saving: (save) => save(),
    };
  }
  let lastMs = nowMs(), tookMs = 0;
  return {
    isDue: () => nowMs() - lastMs >= betweenMs,
    isDueAfterPhase: () => tookMs <= largestShare * (nowMs() - lastMs),
    async saving(save) {
      const startMs = nowMs();
      await save();
      lastMs = nowMs();
      tookMs = lastMs - startMs;
    },
  };
}
