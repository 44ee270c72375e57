/**
 * Picks cores, splits and read paths of matrix products by timing them on the device at hand.
 *
 * @module
 */
import { FileError } from "../errors.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { choiceFault } from "../kernels/choice_fault.ts";
import { choiceText, shapeKey } from "../kernels/product_choices.ts";
import { usableCores } from "../kernels/cores.ts";
import { defaultChooser, productSplits } from "../kernels/gemm.ts";
import type {
  ProductChoice,
  ProductChooser,
  ProductShape,
  ProductTuner,
  TuneOptions,
} from "../kernels/product.ts";
import type { Gpu } from "./device.ts";
import {
  readTunerCache,
  type TunedProduct,
  type TunerCacheFile,
  type TunerKey,
  tunerKey,
  writeTunerCache,
} from "./tuner_cache.ts";
import {
  type Candidate,
  chooseFastest,
  efforts,
  findFault,
  listCandidates,
  timeCandidates,
} from "./tuner_candidates.ts";
import { openTrial, type TrialOpener } from "./tuner_trial.ts";

export type { TunedProduct, TunerCacheFile } from "./tuner_cache.ts";

/** The effort of tuning: none, the likely candidates a few times, or all candidates more often. */
export type TunerMode = "off" | "quick" | "full";

/** Options of opening a tuner. */
export interface TunerOptions {
  readonly mode: TunerMode;
  /** The file for choices. Default: they last as long as the tuner. */
  readonly cache?: TunerCacheFile;
  /** Name and version of the runtime, such as `Deno 2.9.6`, which is part of the cache's key. */
  readonly runtime: string;
  /** Called with one line per remark for the user: an unusable cache, a wrong candidate. */
  readonly note: (line: string) => void;
  /** Opens the trial of a product. Tests replace it. */
  readonly openTrial?: TrialOpener;
}

/** The reference core, on the storage path. */
const referenceCore = "gemm/software/register_8x8";

/** Lists the products of a lowering, each once. */
export function collectProducts(
  lower: (choose: ProductChooser) => void,
  fallback: ProductChooser,
): ProductShape[] {
  const shapes = new Map<string, ProductShape>();
  lower((shape) => {
    shapes.set(shapeKey(shape), shape);
    return fallback(shape);
  });
  return [...shapes.values()];
}

/** Opens a tuner for a device, with the choices in its cache. */
export async function openTuner(gpu: Gpu, options: TunerOptions): Promise<Tuner> {
  const { mode, cache, runtime, note } = options;
  if (mode === "off") return new Tuner(gpu, options, { key: undefined, products: [] });
  const key = await tunerKey(gpu, runtime);
  return new Tuner(gpu, options, { key, products: cache ? await readTunerCache(cache, key, note) : [] });
}

/** Chooses how products are computed on a device. Pass `choose` to lowerings. */
export class Tuner implements ProductTuner {
  /** The choice of a tuned product; the default for others. */
  readonly choose: ProductChooser;
  readonly #gpu: Gpu;
  readonly #options: TunerOptions;
  readonly #key: TunerKey | undefined;
  readonly #products: Map<string, TunedProduct>;
  readonly #asked = new Set<string>();
  readonly #default: ProductChooser;
  #last: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(
    gpu: Gpu,
    options: TunerOptions,
    { key, products }: { readonly key: TunerKey | undefined; readonly products: readonly TunedProduct[] },
  ) {
    this.#gpu = gpu;
    this.#options = options;
    this.#key = key;
    this.#products = new Map(products.map((product) => [product.shape, product]));
    this.#default = defaultChooser(gpu.path, gpu.subgroups?.size);
    this.choose = (shape) => {
      const tuned = this.#known(shape);
      return tuned ? plainChoice(tuned.taken) : this.#default(shape);
    };
  }

  /** The measurement of a product; undefined if a damaged cache has an impossible choice. */
  #known(shape: ProductShape): TunedProduct | undefined {
    const key = shapeKey(shape), known = this.#products.get(key);
    if (!known) return undefined;
    const taken = plainChoice(known.taken), { path = this.#gpu.path } = taken;
    const isUsable = usableCores(path, this.#gpu.subgroups?.size, shape).includes(taken.core);
    if (isUsable && !choiceFault(taken, shape)) return known;
    this.#products.delete(key);
    const { cache, note } = this.#options, found = `${choiceText(taken)} for ${shape.operation}`;
    note(`the tuning cache ${cache?.path} has ${found}, which does not compute it, so it is measured again`);
    return undefined;
  }

  /** Measures the products of plans, as `tune` does, after measurements in progress. */
  tunePlans(lower: (choose: ProductChooser) => void, options?: TuneOptions): Promise<number> {
    const shapes = collectProducts(lower, this.#default);
    const turn = this.#last.then(() => this.tune(shapes, options));
    this.#last = turn.catch(() => {});
    return turn;
  }

  /**
   * Times the candidates of every product without a choice, and keeps the choices in the cache.
   *
   * @returns The number of products that were measured.
   * @throws {KernelError} If the device fails on the reference core.
   * @throws The reason of the signal where it ends the measuring.
   */
  async tune(shapes: readonly ProductShape[], { onProduct, signal }: TuneOptions = {}): Promise<number> {
    const { mode } = this.#options;
    if (mode === "off") return 0;
    const asked = new Map(shapes.filter(({ trial }) => trial).map((shape) => [shapeKey(shape), shape]));
    for (const key of asked.keys()) this.#asked.add(key);
    const unknown = [...asked].filter(([, shape]) => {
      const known = this.#known(shape);
      return !known || mode === "full" && known.mode !== "full";
    });
    let measured = 0;
    try {
      for (const [key, shape] of unknown) {
        if (measured === 0) onProduct?.(0, unknown.length);
        this.#products.set(key, await this.#measure(shape, { mode, signal }));
        measured++;
        onProduct?.(measured, unknown.length);
      }
    } finally {
      if (measured > 0) await this.#keep();
    }
    return measured;
  }

  /** Keeps the choices in the cache. */
  async #keep(): Promise<void> {
    const { cache, note } = this.#options;
    if (!cache || !this.#key) return;
    try {
      await writeTunerCache(cache, this.#key, [...this.#products.values()]);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      note(`the tuning choices are not kept: ${error.message}`);
    }
  }

  /** For each product: the choice, the default, and the times of all candidates. */
  explain(): readonly TunedProduct[] {
    return [...this.#products.values()].filter(({ shape }) => this.#asked.has(shape));
  }

  async #measure(
    shape: ProductShape,
    { mode, signal }: { readonly mode: "quick" | "full"; readonly signal: AbortSignal | undefined },
  ): Promise<TunedProduct> {
    signal?.throwIfAborted();
    const effort = efforts[mode], byDefault = plainChoice(this.#default(shape));
    if (shape.rows * shape.columns * shape.segments * shape.inner * 4 < effort.multiplications) {
      return { shape: shapeKey(shape), mode, taken: byDefault, byDefault, candidates: [] };
    }
    const choices = listCandidates(this.#gpu, shape, { effort, byDefault });
    using trial = (this.#options.openTrial ?? openTrial)(this.#gpu, shape);
    const reference: ProductChoice = {
      core: referenceCore,
      splits: productSplits(shape, referenceCore, 1),
      path: "storage",
    };
    const wanted = await trial.result(reference);
    const candidates: Candidate[] = [];
    for (const choice of choices) {
      signal?.throwIfAborted();
      const rejected = await findFault(trial, choice, wanted);
      if (rejected !== undefined) {
        this.#options.note(`${choiceText(choice)} is not used for ${shape.operation}: ${rejected}`);
      }
      candidates.push(rejected === undefined ? { choice } : { choice, rejected });
    }
    if (candidates.every(({ rejected }) => rejected !== undefined)) candidates.push({ choice: reference });
    await timeCandidates(trial, candidates.filter(({ rejected }) => rejected === undefined), effort);
    return { shape: shapeKey(shape), mode, taken: chooseFastest(candidates), byDefault, candidates };
  }
}

/** A copy of a choice, without an undefined path. */
function plainChoice({ core, splits, path }: { core: string; splits: number; path?: ReadPath | undefined }) {
  return path ? { core, splits, path } : { core, splits };
}
