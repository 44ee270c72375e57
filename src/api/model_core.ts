/**
 * What a model holds on a device, for the functions that train, score, prune and evaluate it.
 *
 * @module
 */
import type { ImageTask, Split } from "../data/split.ts";
import { ConfigError, disposedError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { type NamedParameters, Network } from "../gpu/network.ts";
import { SlotPool } from "../gpu/slots.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { checkGraphFits, type Graph, madeFor } from "../model/graph.ts";
import type { LayerCount } from "../prune/mask.ts";
import { Pruner } from "../prune/pruner.ts";
import { countRemovedWeights } from "../prune/recipe.ts";
import { prunableTensors } from "../prune/score/criteria.ts";
import type { Evaluator, EvaluatorTools } from "../train/evaluate.ts";
import { checkModelOptions } from "./check_options.ts";
import { HeldRefit } from "./held_refit.ts";
import type { ModelOptions } from "./model_options.ts";
import { SplitImages } from "./split_images.ts";
import { Turns } from "./turns.ts";

/** The inside of a `Model`. */
export class ModelCore implements Disposable {
  readonly gpu: Gpu;
  readonly task: ImageTask;
  /** The splits on the device. */
  readonly images: SplitImages;
  /** What steps are prepared with. */
  readonly tools: EvaluatorTools;
  /** The refit whose target is the network as training last left it. */
  readonly refit: HeldRefit = new HeldRefit();
  /** Evaluators of splits that are kept. */
  readonly evaluators: Map<Split, Evaluator> = new Map();
  /** How many examples the values were trained on; undefined where nobody told. */
  examples: number | undefined;
  /** How many prunable weights are removed. */
  #removed = 0;
  #network: Network;
  readonly #slots: SlotPool;
  /** False where the caller chooses how products are computed. */
  readonly #isTuned: boolean;
  readonly #turns = new Turns();
  #pruner: Pruner | undefined;
  #isDisposed = false;

  /** See `Model`. */
  constructor(gpu: Gpu, graph: Graph, options: ModelOptions) {
    const { seed = 0, choose = gpu.choose, evaluationBatch } = options, task = taskOf(graph, options);
    checkGraphFits(graph, task);
    checkModelOptions(options, task);
    gpu.check();
    this.gpu = gpu;
    this.task = task;
    this.examples = options.examples;
    this.#network = new Network(gpu, graph, seed);
    this.#slots = new SlotPool(gpu);
    this.tools = { choose, slots: this.#slots, evaluationBatch };
    this.#isTuned = options.choose === undefined;
    this.images = new SplitImages(gpu, task, evaluationBatch);
  }

  /** The layers, also of a model that was disposed of. */
  get graph(): Graph {
    return this.#network.graph;
  }

  /**
   * The state on the device.
   *
   * @throws {StateError} If the model or its device was disposed of.
   */
  get network(): Network {
    this.checkInUse();
    return this.#network;
  }

  /** What scores and removes the weights. */
  get pruner(): Pruner {
    return this.#pruner ??= new Pruner(this.network);
  }

  /** @throws {StateError} If the model or its device was disposed of. */
  checkInUse(): void {
    if (this.#isDisposed) throw disposedError("model", this.graph.name);
    this.gpu.check();
  }

  /**
   * Does a call when those before it on this model are done, so that no two mix up its memory.
   *
   * @param name What the call does, such as `training`, for messages.
   * @param signal Ends the call before it begins, where it is aborted by then.
   */
  call<Result>(name: string, act: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const whole = `${name} ${this.graph.name}`;
    return this.#turns.take(whole, async () => {
      this.checkInUse();
      signal?.throwIfAborted();
      try {
        return await this.gpu.during(whole, act);
      } catch (error) {
        // Where the model or its device is gone, that is the reason, whatever failed for it.
        this.checkInUse();
        throw error;
      }
    });
  }

  /** Does a call that may remove weights: how many are removed is counted after it, whatever came of it. */
  callAndCount<Result>(name: string, act: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return this.call(name, async () => {
      try {
        return await act();
      } finally {
        if (this.#pruner) await this.countKept();
        else this.countMasks(await this.network.readParameters("mask"));
      }
    }, signal);
  }

  /** Counts the kept weights. */
  async countKept(): Promise<readonly LayerCount[]> {
    const layers = await this.pruner.count();
    this.#removed = countRemovedWeights(layers);
    return layers;
  }

  /** Counts what masks remove, which the network has from now on. */
  countMasks(masks: NamedParameters): void {
    this.#removed = prunableTensors(this.network.layout).reduce(
      (sum, { fullName }) => sum + (masks.get(fullName)?.filter((kept) => kept === 0).length ?? 0),
      0,
    );
  }

  /** The fraction of the prunable weights that are removed, also of a model that was disposed of. */
  get sparsity(): number {
    const { prunableCount } = this.#network.layout;
    return prunableCount === 0 ? 0 : this.#removed / prunableCount;
  }

  /** Does a function of a caller's within a call, with other calls let in meanwhile, since it may make some. */
  lend<Result>(act: () => Promise<Result> | Result): Promise<Result> {
    return this.#turns.lend(act);
  }

  /** Refuses a change at once while a call is under way. */
  checkIdle(act: string): void {
    this.checkInUse();
    this.#turns.checkIdle(act, this.graph.name);
  }

  /**
   * Has the device measure the products of plans that it does not know yet, where it does and the caller has not chosen.
   *
   * @param lower Lowers the plans with a chooser.
   * @throws The reason of the signal where it ends the measuring.
   */
  async tune(lower: (choose: ProductChooser) => void, signal: AbortSignal | undefined): Promise<void> {
    if (this.#isTuned) await this.gpu.tuner?.tunePlans(lower, { signal });
  }

  /**
   * Keeps splits on the device until what is returned is disposed of; see `Model.keepOnDevice`.
   *
   * @param splits By the names that errors call them by.
   */
  keepOnDevice(splits: Readonly<Record<string, Split>>): Disposable {
    this.checkInUse();
    const kept: Split[] = [];
    const release = () => {
      for (const split of kept.splice(0)) {
        if (!this.images.release(split)) continue;
        this.evaluators.get(split)?.[Symbol.dispose]();
        this.evaluators.delete(split);
      }
    };
    try {
      for (const [name, split] of Object.entries(splits)) {
        this.images.keep(split, name);
        kept.push(split);
      }
    } catch (error) {
      release();
      throw error;
    }
    return { [Symbol.dispose]: release };
  }

  /** Takes a network in place of the present one, which is freed with all that was prepared for it. */
  become(network: Network): void {
    this.#free();
    this.#network = network;
  }

  #free(): void {
    for (const evaluator of this.evaluators.values()) evaluator[Symbol.dispose]();
    this.evaluators.clear();
    for (const held of [this.refit, this.#pruner, this.#slots, this.#network]) held?.[Symbol.dispose]();
    this.#pruner = undefined;
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#free();
    this.images[Symbol.dispose]();
  }
}

/**
 * The images of a model: as given, or as its graph knows them.
 *
 * @throws {ConfigError} If neither says them.
 */
export function taskOf(graph: Graph, { task = graph[madeFor] }: ModelOptions): ImageTask {
  if (task) return task;
  const current = "neither it nor an option says how its images are normalised, and what its classes are";
  const wanted = "the option task, or a preset for a data set";
  throw new ConfigError({ act: "make model of", thing: graph.name, current, wanted });
}

const cores = new WeakMap<object, ModelCore>();

/** Notes the inside of a model. */
export function setCore(model: object, core: ModelCore): void {
  cores.set(model, core);
}

/**
 * The inside of a model.
 *
 * @throws {ConfigError} If it is no `Model`.
 */
export function getCore(model: object): ModelCore {
  const core = cores.get(model);
  if (core) return core;
  throw new ConfigError({ act: "use", thing: "model", current: "it is none", wanted: "a Model" });
}
