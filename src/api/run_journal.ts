/**
 * What a run has done so far, so that another process can go on where it was stopped.
 *
 * A run is a sequence of steps with names. Each has a result that is JSON, and what else it does is on the device. A
 * checkpoint holds the results of all steps that are done and the state of the device. To go on, a run does the same
 * again: steps that were done give their results at once, and before the first that was not the device gets its state.
 *
 * @module
 */
import type { PruneConfig } from "../config.ts";
import { FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { type Checkpoint, type CheckpointArena, loadCheckpoint, saveCheckpoint } from "../io/checkpoint.ts";
import type { Json } from "../io/checkpoint_state.ts";
import { formatChoices, type ProductChoices, rememberingChooser } from "../kernels/choices.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { PhaseResult, TrainCheckpoints, TrainResult, TrainState } from "../train/settings.ts";
import type { Model } from "./model.ts";
import type { RecordStep } from "./model_options.ts";
import { checkSame, resultsOf, type RunResults } from "./run_results.ts";

/** Where a run's checkpoints are. */
export interface RunCheckpoints {
  /** The file system. */
  readonly files: Files;
  /** The folder, which holds nothing else. */
  readonly folder: string;
  /** True goes on from the checkpoint there; it needs the configuration that the checkpoint is of. */
  readonly resumes: boolean;
}

const runFile = "run.safetensors";

/** Reads what the run of a checkpoint was told. @throws {FileError | FormatError} Where there is no checkpoint. */
export async function readResumedConfig({ files, folder }: RunCheckpoints): Promise<PruneConfig> {
  return (await loadCheckpoint(`${folder}/${runFile}`, files)).state.config;
}

/** What a training phase of a run is, for its checkpoints. */
export interface JournalPhase {
  readonly name: string;
  /** Round of pruning, counted from 1; 0 before the first. */
  readonly round: number;
  readonly firstEpoch: number;
}

/** What a journal adds to the options of training. */
export interface JournalTraining {
  readonly resume?: TrainState;
  readonly checkpoints?: TrainCheckpoints;
}

/** Does the steps of a run, each once however often the run is started. */
export interface JournalSteps {
  /** Does a step whose result is JSON. */
  readonly step: RecordStep;
  /** Makes the bytes of a file that later steps need, or reads what was made. */
  keep(name: string, make: () => Promise<Uint8Array>): Promise<Uint8Array>;
  /** Trains, going on in the middle where a checkpoint says so, and says what the phase came to. */
  train(phase: JournalPhase, run: (more: JournalTraining) => Promise<TrainResult>): Promise<PhaseResult>;
}

/** The steps of one run. */
export class RunJournal {
  readonly #config: PruneConfig;
  readonly #checkpoints: RunCheckpoints | undefined;
  readonly #results: RunResults;
  readonly #recorded: number;
  #next = 0;
  #toRestore: Checkpoint | undefined;

  private constructor(
    config: PruneConfig,
    checkpoints: RunCheckpoints | undefined,
    { results, stored }: { readonly results: RunResults; readonly stored: Checkpoint | undefined },
  ) {
    this.#config = config;
    this.#checkpoints = checkpoints;
    this.#results = results;
    this.#recorded = results.steps.length;
    this.#toRestore = stored;
  }

  /**
   * Opens the journal of a run, at its start or where a checkpoint is.
   *
   * @param surroundings What must be the same for the same bits beside the configuration, by name.
   * @param options `checkpoints`: where they are; `choices`: how products are to be computed, where the checkpoint does
   *   not say.
   * @throws {ConfigError} Where a checkpoint is of another configuration or of other surroundings.
   * @throws {FileError | FormatError} Where a checkpoint cannot be read.
   */
  static async open(
    config: PruneConfig,
    surroundings: RunResults["surroundings"],
    { checkpoints, choices }: {
      readonly checkpoints?: RunCheckpoints | undefined;
      readonly choices: ProductChoices;
    },
  ): Promise<RunJournal> {
    if (!checkpoints?.resumes) {
      if (checkpoints) await removeCheckpoints(checkpoints);
      const results = { surroundings, choices: { ...choices }, steps: [], training: undefined };
      return new RunJournal(config, checkpoints, { results, stored: undefined });
    }
    const path = `${checkpoints.folder}/${runFile}`, stored = await loadCheckpoint(path, checkpoints.files);
    const results = resultsOf(stored, path);
    const told = (config: PruneConfig, surroundings: RunResults["surroundings"]) => ({
      ...config,
      ...surroundings,
    });
    checkSame(
      checkpoints.folder,
      told(stored.state.config, results.surroundings),
      told(config, surroundings),
    );
    Object.assign(results.choices, { ...choices, ...results.choices });
    return new RunJournal(config, checkpoints, { results, stored });
  }

  /** A chooser that chooses as the run did before, and takes another's choice for what is new. */
  chooser(choose: ProductChooser): ProductChooser {
    return rememberingChooser(this.#results.choices as ProductChoices, choose);
  }

  /** How the products of the run were computed so far, as its report holds it. */
  get cores(): Readonly<Record<string, string>> {
    return formatChoices(this.#results.choices as ProductChoices);
  }

  /** Does the steps of a run on a model. */
  on(model: Model): JournalSteps {
    const step: RecordStep = async <Result>(name: string, act: () => Promise<Result>) => {
      if (this.#next < this.#recorded) return this.#replay(name) as Result;
      this.#restore(model);
      const result = await act();
      this.#results.steps.push({ name, result: (result ?? null) as Json });
      this.#next++;
      return result;
    };
    return {
      step,
      keep: (name, make) => this.#keep(name, make, step),
      train: async (phase, run) => {
        let steps: number | undefined;
        const result = await step(phase.name, async () => {
          const { training } = this.#results;
          this.#results.training = undefined;
          const resume = training?.name === phase.name ? { resume: training.state } : {};
          const every = this.#checkpoints ? this.#config.checkpointEvery : 0;
          const save = (state: TrainState) => this.#save(model, phase, state);
          const trained = await run({ ...resume, ...(every > 0 ? { checkpoints: { every, save } } : {}) });
          const { epochs, best } = trained;
          steps = trained.steps;
          return { epochs, ...(best ? { best } : {}) };
        });
        // Older versions recorded that a phase was done, and no more.
        if (!result) {
          const thing = `${this.#checkpoints!.folder}/${runFile}`, current = `no epochs of ${phase.name}`;
          throw new FormatError({
            act: "resume from",
            thing,
            current,
            wanted: "a checkpoint of this version",
          });
        }
        if (steps !== undefined && this.#checkpoints) await this.#save(model, phase, steps);
        return result;
      },
    };
  }

  async #keep(name: string, make: () => Promise<Uint8Array>, step: RecordStep): Promise<Uint8Array> {
    const { files, folder } = this.#checkpoints ?? {}, path = `${folder}/${name}`;
    let made: Uint8Array | undefined;
    await step(`keep ${name}`, async () => {
      made = await make();
      await files?.makeFolder(folder!);
      await files?.write(path, made);
      return null;
    });
    return made ?? await files!.read(path);
  }

  #replay(name: string): unknown {
    const { name: recorded, result } = this.#results.steps[this.#next++];
    if (recorded === name) return result;
    const thing = `${this.#checkpoints!.folder}/${runFile}`,
      current = `its step ${this.#next} is ${recorded}`;
    throw new FormatError({ act: "resume from", thing, current, wanted: name });
  }

  /** Gives the device the state of the checkpoint that the run goes on from. */
  #restore(model: Model): void {
    const { arenas, masks } = this.#toRestore ?? {};
    this.#toRestore = undefined;
    for (const [role, named] of arenas ?? []) model.network.writeArena(role, named);
    if (masks) model.network.writeMask(masks);
  }

  /** Saves a checkpoint in the middle of a phase, or after it where the number of its steps is given. */
  async #save(model: Model, phase: JournalPhase, at: TrainState | number): Promise<void> {
    const { files, folder } = this.#checkpoints!, { network, graph } = model, config = this.#config;
    const { masks } = await model.state();
    const roles: CheckpointArena[] = ["values", "mean", "velocity", "second_moment", "variance", "best"];
    const statistics: CheckpointArena[] = ["statistics", "statistics_best"];
    const arenas = new Map<CheckpointArena, ReadonlyMap<string, Float32Array>>();
    for (const role of [...roles, ...(network.layout.statisticsQuads > 0 ? statistics : [])]) {
      // Only what was used; arenas are made where they are asked for.
      if (network.arenas.has(role)) arenas.set(role, await network.readArena(role));
    }
    const isBetween = typeof at !== "number";
    const training = isBetween
      ? { name: phase.name, state: JSON.parse(JSON.stringify(at)) as TrainState }
      : undefined;
    const results = JSON.parse(JSON.stringify({ ...this.#results, training })) as Json;
    const { schedule: name, gamma, rateFloor, peakAt, warmup, rewind } = config;
    const state = {
      phase: phase.name,
      round: phase.round,
      epoch: isBetween ? at.epoch : config.epochs,
      step: isBetween ? at.step : at,
      steps: isBetween ? at.steps : at,
      schedule: { name, parameters: { gamma, rateFloor, peakAt, warmup, rewind } },
      random: { seed: config.seed, firstEpoch: phase.firstEpoch },
      config,
      results,
    };
    await files.makeFolder(folder);
    await saveCheckpoint({ graph, arenas, masks, state }, `${folder}/${runFile}`, files);
  }
}

/** Removes all checkpoints of a folder, and the folder. */
export async function removeCheckpoints({ files, folder }: Omit<RunCheckpoints, "resumes">): Promise<void> {
  for (const name of await files.list(folder) ?? []) await files.remove(`${folder}/${name}`);
  await files.remove(folder);
}
