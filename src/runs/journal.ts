/**
 * What a run has done so far, so that another process can go on where it was stopped.
 *
 * A run is a sequence of steps with names. Each has a result that is JSON, and what else it does is on the device. A
 * checkpoint holds the results of all steps that are done and the state of the device. To go on, a run does the same
 * again: steps that were done give their results at once, and before the first that was not the device gets its state.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import { FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import {
  type Checkpoint,
  type CheckpointArena,
  loadCheckpoint,
  saveCheckpoint,
  statisticsArenas,
  trainedArenas,
} from "../io/checkpoint.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import type { Json } from "../io/checkpoint_state.ts";
import { sha256 } from "../io/checksum.ts";
import { formatChoices, type ProductChoices, rememberingChooser } from "../kernels/product_choices.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { PhaseResult, TrainCheckpoints, TrainResult, TrainState } from "../train/phase.ts";
import { type CheckpointTimes, checkpointTimes } from "./checkpoint_times.ts";
import type { Model } from "../api/model.ts";
import type { RecordedSteps } from "../api/prune_target.ts";
import { getCore } from "../api/model_core.ts";
import { checkSame, flattenConfig, readResults, type RunResults } from "./results.ts";

/** Where a run's checkpoints are. */
export interface RunCheckpoints {
  /** The file system. */
  readonly files: Files;
  /** The folder; others' files in it stay as they are. */
  readonly folder: string;
  /** True goes on from the checkpoint there; it needs the configuration that the checkpoint is of. */
  readonly resumes: boolean;
}

/** The file that says how far a run came. */
export const runFile = "run.safetensors";

/** The files that a run writes into the folder of its checkpoints, and what a write that was cut off leaves of them. */
export const checkpointFiles: RegExp =
  /^(run|trained|pruned|after-round-[0-9]+)\.safetensors(\.[0-9a-f]{8}\.tmp)?$/;

/** Reads what the run of a checkpoint was told. @throws {FileError | FormatError} Where there is no checkpoint. */
export async function readResumedConfig({ files, folder }: RunCheckpoints): Promise<RunConfig> {
  return (await loadCheckpoint(`${folder}/${runFile}`, files)).state.config;
}

/** What a journal adds to the options of training. */
export interface JournalTraining {
  readonly resume?: TrainState;
  readonly checkpoints?: TrainCheckpoints;
  readonly signal?: AbortSignal;
}

/** Does the steps of a run, each once however often the run is started. */
export interface JournalSteps extends RecordedSteps {
  /** Trains, going on in the middle where a checkpoint says so, and says what the phase came to. */
  train(phase: string, run: (more: JournalTraining) => Promise<TrainResult>): Promise<PhaseResult>;
}

/** What a journal is opened with. */
export interface JournalOptions {
  /** Where checkpoints are; none are written where left out. */
  readonly checkpoints?: RunCheckpoints | undefined;
  /** The layers that the run's model may have beside the library's. Default: none. */
  readonly layers?: readonly LayerDefinition[];
  /** How products are to be computed, where a checkpoint does not say. */
  readonly choices: ProductChoices;
  /** Ends the run before its next step once it is aborted, or within training. */
  readonly signal?: AbortSignal | undefined;
}

/** The steps of one run. */
export class RunJournal {
  readonly #config: RunConfig;
  readonly #checkpoints: RunCheckpoints | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #results: RunResults;
  readonly #recorded: number;
  /** When checkpoints are written; never where it is absent. */
  readonly #times: CheckpointTimes | undefined;
  #next = 0;
  #toRestore: Checkpoint | undefined;

  private constructor(
    config: RunConfig,
    { checkpoints, signal }: JournalOptions,
    { results, stored }: { readonly results: RunResults; readonly stored: Checkpoint | undefined },
  ) {
    this.#config = config;
    this.#checkpoints = checkpoints;
    this.#signal = signal;
    this.#results = results;
    this.#recorded = results.steps.length;
    this.#toRestore = stored;
    const { checkpointEvery } = config.output;
    this.#times = checkpoints && checkpointEvery !== 0 ? checkpointTimes(checkpointEvery) : undefined;
  }

  /**
   * Opens the journal of a run, at its start or where a checkpoint is. Nothing is changed yet: see `begin`.
   *
   * @param surroundings What must be the same for the same bits beside the configuration, by name.
   * @throws {ConfigError} Where a checkpoint is of another configuration or of other surroundings.
   * @throws {FileError | FormatError} Where a checkpoint cannot be read.
   */
  static async open(
    config: RunConfig,
    surroundings: RunResults["surroundings"],
    options: JournalOptions,
  ): Promise<RunJournal> {
    const { checkpoints, choices, layers } = options;
    if (!checkpoints?.resumes) {
      const results = { surroundings, choices: { ...choices }, steps: [], training: undefined };
      return new RunJournal(config, options, { results, stored: undefined });
    }
    const path = `${checkpoints.folder}/${runFile}`,
      stored = await loadCheckpoint(path, checkpoints.files, layers);
    const results = readResults(stored, path);
    const told = (config: RunConfig, surroundings: RunResults["surroundings"]) => ({
      ...flattenConfig(config),
      ...surroundings,
    });
    checkSame(
      { act: "resume", thing: checkpoints.folder },
      told(stored.state.config, results.surroundings),
      told(config, surroundings),
    );
    Object.assign(results.choices, { ...choices, ...results.choices });
    return new RunJournal(config, options, { results, stored });
  }

  /** Removes the checkpoints of an earlier run, once all that can be checked before a run is. */
  async begin(): Promise<void> {
    if (this.#checkpoints && !this.#checkpoints.resumes) await removeCheckpoints(this.#checkpoints);
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
    const step: RecordedSteps["step"] = async <Result>(name: string, act: () => Promise<Result>) => {
      if (this.#next < this.#recorded) return this.#replay(name) as Result;
      this.#signal?.throwIfAborted();
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
        let isTrained = false;
        const result = await step(phase, async () => {
          const { training } = this.#results, times = this.#times;
          this.#results.training = undefined;
          const resume = training?.name === phase ? { resume: training.state } : {};
          const save = (state: TrainState) => this.#save(model, phase, state);
          const trained = await run({
            ...resume,
            ...(times ? { checkpoints: { isDue: (step) => times.isDue(step), save } } : {}),
            ...(this.#signal ? { signal: this.#signal } : {}),
          });
          const { epochs, best } = trained;
          isTrained = true;
          return { epochs, ...(best ? { best } : {}) };
        });
        const isDue = this.#times?.isDueAfterPhase() || this.#signal?.aborted;
        if (isTrained && isDue) await this.#save(model, phase);
        return result;
      },
    };
  }

  async #keep(
    name: string,
    make: () => Promise<Uint8Array>,
    step: RecordedSteps["step"],
  ): Promise<Uint8Array> {
    const { files, folder } = this.#checkpoints ?? {}, path = `${folder}/${name}`;
    let made: Uint8Array | undefined;
    const { sum } = await step(`keep ${name}`, async () => {
      made = await make();
      if (!files) return { sum: "" };
      await files.makeFolder(folder!);
      await files.write(path, made);
      return { sum: await sha256(made) };
    });
    if (made) return made;
    const kept = await files!.read(path), found = await sha256(kept);
    if (found === sum) return kept;
    const current = `its checksum is ${found.slice(0, 12)}..., where the run wrote ${sum.slice(0, 12)}...`;
    const wanted = "the file as it was written";
    throw new FormatError({ act: "resume from", thing: path, current, wanted });
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
    for (const [role, named] of arenas ?? []) getCore(model).network.writeArena(role, named);
    if (!masks) return;
    getCore(model).network.writeMask(masks);
    getCore(model).countMasks(masks);
  }

  /** Saves a checkpoint in the middle of a phase, or after it where no state of training is given. */
  async #save(model: Model, phase: string, at?: TrainState): Promise<void> {
    await this.#times?.saving(() => this.#write(model, phase, at));
  }

  async #write(model: Model, phase: string, at?: TrainState): Promise<void> {
    const { files, folder } = this.#checkpoints!, { network, graph } = getCore(model);
    const { masks } = await model.state();
    const arenas = new Map<CheckpointArena, ReadonlyMap<string, Float32Array>>();
    const statistics = network.layout.statisticsQuads > 0 ? statisticsArenas : [];
    for (const role of [...trainedArenas, ...statistics]) {
      // Only what was used; arenas are made where they are asked for.
      if (network.arenas.has(role)) arenas.set(role, await network.readArena(role));
    }
    const training = at && { name: phase, state: at };
    const results = JSON.parse(JSON.stringify({ ...this.#results, training })) as Json;
    await files.makeFolder(folder);
    await saveCheckpoint(
      { graph, arenas, masks, state: { config: this.#config, results } },
      `${folder}/${runFile}`,
      files,
    );
  }
}

/** Removes the checkpoints that a run wrote into a folder, and the folder where nothing else is in it. */
export async function removeCheckpoints({ files, folder }: Omit<RunCheckpoints, "resumes">): Promise<void> {
  const names = await files.list(folder) ?? [], own = names.filter((name) => checkpointFiles.test(name));
  for (const name of own) await files.remove(`${folder}/${name}`);
  if (own.length === names.length) await files.remove(folder);
}
