/**
 * A model's state on a device: its layers, what it is evaluated on, and its copies on the host and in files.
 *
 * @module
 */
import { checkWords } from "../checks.ts";
import type { Split } from "../data/split.ts";
import { disposedError } from "../errors.ts";
import type { Files } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Examples } from "../gpu/examples.ts";
import { Network } from "../gpu/network.ts";
import { SlotPool } from "../gpu/slots.ts";
import { encodeModel, type WeightStore } from "../io/model_file.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { checkGraphFits, type Graph } from "../model/graph.ts";
import { prunableTensors } from "../prune/score/criteria.ts";
import { Pruner } from "../prune/pruner.ts";
import {
  type Evaluation,
  evaluationBatchOf,
  type Evaluator,
  type EvaluatorTools,
  lowerEvaluation,
  openEvaluator,
} from "../train/evaluate.ts";
import { predict, type Predictions, predictionsOf } from "../train/predict.ts";
import { checkModelOptions } from "./check_options.ts";
import type { ModelOptions, ModelPredictOptions, ModelState, ModelTask } from "./model_options.ts";
import { maskedParameters } from "./model_state.ts";
import { filesFor } from "./host.ts";
import { splitToPredict } from "./predicted_images.ts";
import { SplitImages } from "./split_images.ts";
import { Turns } from "./turns.ts";

/**
 * What a model holds on a device, without what changes it. Dispose of it to free its memory; the device stays open.
 *
 * Calls on one model run one after the other, in the order in which they were made. A function that is passed to a call
 * and that the call waits for, such as `finetune` of `prune`, may make calls too.
 */
export class DeviceModel {
  #network: Network;
  readonly #slots: SlotPool;
  readonly #choose: ProductChooser;
  /** False where the caller chooses how products are computed. */
  readonly #isTuned: boolean;
  readonly #evaluationBatch: number | undefined;
  readonly #images: SplitImages;
  /** Those of splits that are kept. */
  readonly #evaluators = new Map<Split, Evaluator>();
  readonly #turns = new Turns();
  #pruner: Pruner | undefined;
  #examples: number | undefined;
  #isDisposed = false;

  /**
   * A model with its first values drawn from a seed.
   *
   * @throws {ShapeError} Where the graph does not fit the task, a layer its input, or mean and deviation the channels.
   * @throws {ConfigError} Where an option is not possible.
   * @throws {StateError} Where the device was disposed of.
   */
  constructor(readonly gpu: Gpu, graph: Graph, options: ModelOptions) {
    const { task, seed = 0, choose = gpu.choose, evaluationBatch } = options;
    checkGraphFits(graph, task);
    checkModelOptions(options);
    gpu.check();
    this.task = task;
    this.#examples = options.examples;
    this.#network = new Network(gpu, graph, seed);
    this.#slots = new SlotPool(gpu);
    this.#choose = choose;
    this.#isTuned = options.choose === undefined;
    this.#evaluationBatch = evaluationBatch;
    this.#images = new SplitImages(gpu, task, evaluationBatch);
  }

  /** The task that the model was made for. */
  readonly task: ModelTask;

  /** How many examples its values were trained on; undefined where it was not trained, and nobody told. */
  get examples(): number | undefined {
    return this.#examples;
  }

  /** Notes how many examples the values are trained on. */
  protected trainedOn(examples: number): void {
    this.#examples = examples;
  }

  /** The layers; fewer and narrower ones after `compact`. */
  get graph(): Graph {
    return this.#network.graph;
  }

  /**
   * The state on the device.
   *
   * @throws {StateError} Where the model was disposed of.
   * @internal
   */
  get network(): Network {
    this.#checkInUse();
    return this.#network;
  }

  #checkInUse(): void {
    if (this.#isDisposed) throw disposedError("model", this.graph.name);
    this.gpu.check();
  }

  /**
   * Does a call when those before it on this model are done, so that no two mix up its memory.
   *
   * @param name What the call does, such as `training`, for messages.
   */
  protected call<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    const whole = `${name} ${this.graph.name}`;
    return this.#turns.take(whole, async () => {
      this.#checkInUse();
      try {
        return await this.gpu.during(whole, act);
      } catch (error) {
        // Where the model or its device is gone, that is the reason, whatever failed for it.
        this.#checkInUse();
        throw error;
      }
    });
  }

  /** Does a function of a caller's within a call, with other calls let in meanwhile, since it may make some. */
  protected lend<Result>(act: () => Promise<Result> | Result): Promise<Result> {
    return this.#turns.lend(act);
  }

  /** Refuses a change at once while a call is under way. */
  protected checkIdle(act: string): void {
    this.#checkInUse();
    this.#turns.checkIdle(act, this.graph.name);
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
   * The splits on the device.
   *
   * @internal
   */
  get images(): SplitImages {
    return this.#images;
  }

  /**
   * Keeps splits on the device until what is returned is disposed of. All calls on them then use what was uploaded first,
   * so do not change their arrays meanwhile. Any other split is uploaded anew by each call, and freed after it: a call
   * sees what the arrays hold when it begins.
   *
   * @throws {ShapeError} Where a split is not what its interface says, or not of the model's images.
   */
  keepOnDevice(...splits: readonly Split[]): Disposable {
    this.#checkInUse();
    const kept: Split[] = [];
    const release = () => {
      for (const split of kept.splice(0)) {
        if (!this.#images.release(split)) continue;
        this.#evaluators.get(split)?.[Symbol.dispose]();
        this.#evaluators.delete(split);
      }
    };
    try {
      for (const [i, split] of splits.entries()) {
        this.#images.keep(split, `splits[${i}]`);
        kept.push(split);
      }
    } catch (error) {
      release();
      throw error;
    }
    return { [Symbol.dispose]: release };
  }

  /**
   * What steps are prepared with.
   *
   * @internal
   */
  get tools(): EvaluatorTools {
    return { choose: this.#choose, slots: this.#slots, evaluationBatch: this.#evaluationBatch };
  }

  /**
   * Has the device measure the products of plans that it does not know yet, where it does and the caller has not chosen.
   *
   * @param lower Lowers the plans with a chooser.
   */
  protected async tune(lower: (choose: ProductChooser) => void): Promise<void> {
    if (this.#isTuned) await this.gpu.tuner?.tunePlans(lower);
  }

  /** Tunes evaluation on examples, which prediction shares. */
  async #tuneEvaluation({ batch: rows, count, areImages }: Examples): Promise<void> {
    const { gpu, graph } = this.network, most = Math.min(rows, count);
    const batch = evaluationBatchOf(gpu, graph, { ...this.tools, most, areImages });
    await this.tune((choose) => lowerEvaluation(graph, { batch, choose, areImages }));
  }

  /**
   * Measures loss, accuracy, confusion counts and predictions on a split.
   *
   * @throws {ShapeError} Where the split is not what its interface says, or the device cannot hold the batch.
   * @throws {NumericError} Where a loss is not finite.
   * @throws {StateError} Where the model or its device was disposed of, before or meanwhile.
   * @throws The reason of the signal where it ends the evaluation between two batches.
   */
  evaluate(split: Split, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Evaluation> {
    return this.call("evaluating", async () => {
      if (!this.#images.isKept(split)) {
        using evaluator = await this.openEvaluation(split);
        return await evaluator.evaluate(signal);
      }
      let evaluator = this.#evaluators.get(split);
      if (!evaluator) {
        evaluator = await this.openEvaluation(split);
        this.#evaluators.set(split, evaluator);
      }
      return await evaluator.evaluate(signal);
    });
  }

  /**
   * Predicts the classes of any number of images. Labels are not needed, and those of a split are not looked at.
   *
   * @param images Bytes (N, C, H, W) with pixels 0 to 255, such as a split's `images` or a subarray of them; or a split.
   * @returns Logits and probabilities (N, C), and the most likely class of each image (N), in the order of the images.
   * @throws {ShapeError} Where the images are not of the model's size, there are fewer than `count`, or the device cannot
   *   hold the batch.
   * @throws {NumericError} Where a logit is not finite.
   * @throws {StateError} Where the model or its device was disposed of, before or meanwhile.
   * @throws The reason of the signal where it ends the prediction between two batches.
   */
  predict(
    images: Uint8Array | Split,
    { count, signal }: ModelPredictOptions = {},
  ): Promise<Predictions> {
    return this.call("predicting with", async () => {
      const split = splitToPredict(images, { count, task: this.task });
      if (!split) return predictionsOf(new Float32Array(0), this.task.classes.length);
      using open = this.#images.open(split, { name: "images" });
      await this.#tuneEvaluation(open.examples);
      return await predict(this.network, open.examples, { ...this.tools, signal });
    });
  }

  /**
   * Uploads a split and compiles what evaluation on it needs, so that evaluating only has to run it. Dispose of it before
   * the model, and make no call meanwhile that runs beside it.
   *
   * @internal
   */
  async openEvaluation(split: Split): Promise<Evaluator> {
    const images = this.#images.open(split, { name: "split" });
    try {
      await this.#tuneEvaluation(images.examples);
      const evaluator = await openEvaluator(this.network, images.examples, this.tools);
      return {
        evaluate: (signal) => evaluator.evaluate(signal),
        [Symbol.dispose]() {
          evaluator[Symbol.dispose]();
          images[Symbol.dispose]();
        },
      };
    } catch (error) {
      images[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Copies parameters and masks to the host.
   *
   * @throws {StateError} Where the model or its device was disposed of.
   */
  state(): Promise<ModelState> {
    return this.call("reading", () => this.#readState());
  }

  async #readState(): Promise<ModelState> {
    const parameters = await this.network.readParameters("values");
    const prunable = new Set(prunableTensors(this.network.layout).map(({ fullName }) => fullName));
    const all = await this.network.readParameters("mask");
    return {
      parameters,
      masks: new Map([...all].filter(([name, mask]) => prunable.has(name) || mask.includes(0))),
    };
  }

  /**
   * Puts parameters and masks back as they were, or as given. Weights under a mask of 0 are 0 from then on.
   *
   * @throws {ShapeError} Where a name is not the model's, is missing, or has another number of values.
   * @throws {ConfigError} Where a parameter is not finite, a variance is below 0, or a mask is neither 0 nor 1.
   * @throws {StateError} Where a call on the model is under way. Whatever is thrown, nothing was replaced.
   */
  restore(state: ModelState): void {
    this.checkIdle("restore");
    this.network.writeParameters(maskedParameters(this.network.layout, state));
    this.network.writeMask(state.masks);
  }

  /**
   * The model as the bytes of a safetensors file: a dense one, which `load_state_dict` of PyTorch takes, or a sparse one,
   * without the removed weights.
   */
  encode(store: WeightStore = "dense"): Promise<Uint8Array> {
    return this.call("encoding", async () => {
      checkWords("encode model", { store: [store, ["dense", "sparse"]] });
      const { mean, std, classes } = this.task;
      const state = await this.#readState();
      const { graph, examples } = this, normalization = { mean, std };
      const known = examples === undefined ? {} : { examples };
      return encodeModel({ graph, ...state, normalization, classes, ...known }, store);
    });
  }

  /**
   * Saves the model with its masks, whole or not at all.
   *
   * @param files The file system. Default: the runtime's.
   * @throws {FileError} Where the file cannot be written, or the runtime has no files.
   */
  async save(path: string, files?: Files, store: WeightStore = "dense"): Promise<void> {
    const there = filesFor(files, "save", path);
    await there.write(path, await this.encode(store));
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
    for (const held of [this.#pruner, this.#slots, this.#network]) held?.[Symbol.dispose]();
    this.#pruner = undefined;
  }

  /**
   * Frees all that the model holds on the device; once more does nothing. Calls under way, and later ones, end with a
   * StateError.
   */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#free();
    this.#images[Symbol.dispose]();
  }
}
