/**
 * A model's state on a device: its layers, what it is evaluated on, and its copies on the host and in files.
 *
 * @module
 */
import type { Split } from "../data/dataset.ts";
import type { Files } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import { Network } from "../gpu/network.ts";
import { SlotPool } from "../gpu/slots.ts";
import { encodeModel, type WeightStore } from "../io/model_file.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { checkGraphFits, type Graph } from "../model/graph.ts";
import { prunableTensors } from "../prune/criteria.ts";
import { Pruner } from "../prune/pruner.ts";
import { type Evaluation, type Evaluator, openEvaluator } from "../train/evaluate.ts";
import type { ModelState, ModelTask } from "./model_options.ts";
import { SplitImages } from "./split_images.ts";

/** What a model holds on a device, without what changes it. Dispose of it to free its memory; the device stays open. */
export class DeviceModel {
  #network: Network;
  readonly #slots: SlotPool;
  readonly #choose: ProductChooser;
  readonly #images: SplitImages;
  readonly #evaluators = new Map<Split, Evaluator>();
  #pruner: Pruner | undefined;

  /**
   * A model with its first values drawn from a seed.
   *
   * @throws {ShapeError} Where the graph does not fit the task, or a layer its input.
   */
  constructor(
    readonly gpu: Gpu,
    graph: Graph,
    { task, seed = 0, choose = gpu.choose }: {
      readonly task: ModelTask;
      readonly seed?: number;
      readonly choose?: ProductChooser;
    },
  ) {
    checkGraphFits(graph, task);
    this.task = task;
    this.#network = new Network(gpu, graph, seed);
    this.#slots = new SlotPool(gpu);
    this.#choose = choose;
    this.#images = new SplitImages(gpu, task);
  }

  /** The task that the model was made for. */
  readonly task: ModelTask;

  /** The layers; fewer and narrower ones after `compact`. */
  get graph(): Graph {
    return this.network.graph;
  }

  /**
   * The state on the device.
   *
   * @internal
   */
  get network(): Network {
    return this.#network;
  }

  /**
   * What scores and removes this model's weights.
   *
   * @internal
   */
  get pruner(): Pruner {
    return this.#pruner ??= new Pruner(this.network);
  }

  /**
   * The splits that the model has met.
   *
   * @internal
   */
  get images(): SplitImages {
    return this.#images;
  }

  /**
   * What steps are prepared with.
   *
   * @internal
   */
  get tools(): { readonly choose: ProductChooser; readonly slots: SlotPool } {
    return { choose: this.#choose, slots: this.#slots };
  }

  /**
   * Measures loss, accuracy, confusion counts and predictions on a split.
   *
   * @throws The reason of the signal where it ends the evaluation between two batches.
   */
  async evaluate(split: Split, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Evaluation> {
    return await (await this.prepareEvaluation(split)).evaluate(signal);
  }

  /**
   * Uploads a split and compiles what evaluation on it needs, once, so that `evaluate` only has to run it.
   *
   * @internal
   */
  async prepareEvaluation(split: Split): Promise<Evaluator> {
    let evaluator = this.#evaluators.get(split);
    if (!evaluator) {
      evaluator = await openEvaluator(this.network, this.images.of(split), this.tools);
      this.#evaluators.set(split, evaluator);
    }
    return evaluator;
  }

  /** Copies parameters and masks to the host. */
  async state(): Promise<ModelState> {
    const parameters = await this.network.readParameters("values");
    const prunable = new Set(prunableTensors(this.network.layout).map(({ fullName }) => fullName));
    const all = await this.network.readParameters("mask");
    return {
      parameters,
      masks: new Map([...all].filter(([name, mask]) => prunable.has(name) || mask.includes(0))),
    };
  }

  /** Puts parameters and masks back as they were. */
  restore({ parameters, masks }: ModelState): void {
    this.network.writeParameters(parameters);
    this.network.writeMask(masks);
  }

  /**
   * The model as the bytes of a safetensors file: a dense one, which `load_state_dict` of PyTorch takes, or a sparse one,
   * without the removed weights.
   */
  async encode(store: WeightStore = "dense"): Promise<Uint8Array> {
    const { mean, std, classes } = this.task;
    const state = await this.state();
    return encodeModel({ graph: this.graph, ...state, normalization: { mean, std }, classes }, store);
  }

  /**
   * Saves the model with its masks, whole or not at all.
   *
   * @throws {FileError} Where the file cannot be written.
   */
  async save(path: string, files: Files, store: WeightStore = "dense"): Promise<void> {
    await files.write(path, await this.encode(store));
  }

  /**
   * Takes a network in place of the present one, which is freed with all that was prepared for it.
   *
   * @internal
   */
  protected become(network: Network): void {
    this.#free();
    this.#network = network;
  }

  #free(): void {
    for (const evaluator of this.#evaluators.values()) evaluator[Symbol.dispose]();
    this.#evaluators.clear();
    for (const held of [this.#pruner, this.#slots, this.network]) held?.[Symbol.dispose]();
    this.#pruner = undefined;
  }

  /** Frees all that the model holds on the device; it is not to be used afterwards. */
  [Symbol.dispose](): void {
    this.#free();
    this.#images[Symbol.dispose]();
  }
}
