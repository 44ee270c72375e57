/**
 * Picks cores, splits and read paths of matrix products by timing them on the device at hand.
 *
 * @module
 */
import { FileError, KernelError } from "../errors.ts";
import type { ReadPath } from "../kernels/assemble.ts";
import { choiceText, shapeKey } from "../kernels/choices.ts";
import {
  defaultChooser,
  type ProductChoice,
  type ProductChooser,
  type ProductShape,
  productSplits,
  textureCost,
  usableCores,
} from "../kernels/gemm.ts";
import type { Gpu } from "./device.ts";
import {
  readTunerCache,
  type TunedProduct,
  type TunerCacheFile,
  type TunerKey,
  tunerKey,
  writeTunerCache,
} from "./tuner_cache.ts";
import { openTrial, type ProductTrial, type TrialOpener } from "./tuner_trial.ts";

export type { TunedProduct, TunerCacheFile } from "./tuner_cache.ts";

/** How much is measured: nothing, the likely candidates a few times, or all of them more often. */
export type TunerMode = "off" | "quick" | "full";

/** How a tuner is opened. */
export interface TunerOptions {
  readonly mode: TunerMode;
  /** Where choices are kept; without it they last as long as the tuner. */
  readonly cache?: TunerCacheFile;
  /** Name and version of the runtime, such as `Deno 2.9.6`, which is part of the cache's key. */
  readonly runtime: string;
  /** Called with a line for what a user may want to know: a cache that does not serve, a wrong candidate. */
  readonly note: (line: string) => void;
  /** Opens the trial of a product; tests put another in its place. */
  readonly openTrial?: TrialOpener;
}

/** What a mode asks for. */
interface Effort {
  /** Candidates timed for a product besides the default. */
  readonly candidates: number;
  /** Workgroups that the splits of a product are to make, each a candidate. */
  readonly workgroups: readonly number[];
  readonly paths: "own" | "both";
  /** Products of fewer multiplications are left at the default: their kernels take longer to compile than to run. */
  readonly multiplications: number;
  /** Milliseconds for which a promising candidate runs after the first rounds, if it fits in once. */
  readonly sampleMs: number;
}

const efforts: Readonly<Record<"quick" | "full", Effort>> = {
  quick: { candidates: 1, workgroups: [32], paths: "own", multiplications: 2e6, sampleMs: 60 },
  full: { candidates: Infinity, workgroups: [8, 32, 128], paths: "both", multiplications: 0, sampleMs: 400 },
};

/** Rounds in which all candidates run, the first of which finds idle processors and cold memory. */
const firstRounds = 2;

/** Rounds at most in which the promising candidates run after that. */
const maxRounds = 32;

/** A candidate must be this much faster than the default to be taken, so that noise does not choose. */
const leastGain = 0.08;

/** A candidate whose first runs are this much slower than the best is not timed further. */
const hopeless = 2;

/** The core that every other is compared with, by storage buffers. */
const referenceCore = "gemm/register_8x8";

/** Lists the products that a lowering asks for, each once. */
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

/** Opens a tuner for a device, with the choices that its cache holds. */
export async function openTuner(gpu: Gpu, options: TunerOptions): Promise<Tuner> {
  const { mode, cache, runtime, note } = options;
  if (mode === "off") return new Tuner(gpu, options, { key: undefined, products: [] });
  const key = await tunerKey(gpu, runtime);
  return new Tuner(gpu, options, { key, products: cache ? await readTunerCache(cache, key, note) : [] });
}

/** Chooses how products are computed on a device. `choose` goes wherever a plan is lowered. */
export class Tuner {
  /** The choice of a product that was tuned; the default of one that was not. */
  readonly choose: ProductChooser;
  readonly #gpu: Gpu;
  readonly #options: TunerOptions;
  readonly #key: TunerKey | undefined;
  readonly #products: Map<string, TunedProduct>;
  readonly #asked = new Set<string>();
  readonly #default: ProductChooser;

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
      const tuned = this.#products.get(shapeKey(shape));
      return tuned ? plainChoice(tuned.taken) : this.#default(shape);
    };
  }

  /**
   * Times the candidates of every product that has no choice yet, and keeps the choices in the cache.
   *
   * @returns How many products were measured.
   * @throws {KernelError} Where the device fails on the reference itself.
   */
  async tune(shapes: readonly ProductShape[]): Promise<number> {
    const { mode, cache, note } = this.#options;
    if (mode === "off") return 0;
    let measured = 0;
    for (const shape of shapes) {
      const key = shapeKey(shape), known = this.#products.get(key);
      if (!shape.trial) continue;
      this.#asked.add(key);
      if (known && (mode === "quick" || known.mode === "full")) continue;
      this.#products.set(key, await this.#measure(shape, mode));
      measured++;
    }
    if (measured > 0 && cache && this.#key) {
      try {
        await writeTunerCache(cache, this.#key, [...this.#products.values()]);
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        note(`the tuning choices are not kept: ${error.message}`);
      }
    }
    return measured;
  }

  /** For each product that `tune` was asked for: the choice taken, the default, and what every candidate took. */
  explain(): readonly TunedProduct[] {
    return [...this.#products.values()].filter(({ shape }) => this.#asked.has(shape));
  }

  async #measure(shape: ProductShape, mode: "quick" | "full"): Promise<TunedProduct> {
    const effort = efforts[mode], byDefault = plainChoice(this.#default(shape));
    if (shape.rows * shape.columns * shape.segments * shape.inner * 4 < effort.multiplications) {
      return { shape: shapeKey(shape), mode, taken: byDefault, byDefault, candidates: [] };
    }
    const choices = candidatesOf(this.#gpu, shape, { effort, byDefault });
    using trial = (this.#options.openTrial ?? openTrial)(this.#gpu, shape);
    const reference: ProductChoice = {
      core: referenceCore,
      splits: productSplits(shape, referenceCore, 1),
      path: "storage",
    };
    const wanted = await trial.result(reference);
    const candidates: Candidate[] = [];
    for (const choice of choices) {
      const rejected = await findFault(trial, choice, wanted);
      if (rejected !== undefined) {
        this.#options.note(`${choiceText(choice)} is not used for ${shape.operation}: ${rejected}`);
      }
      candidates.push(rejected === undefined ? { choice } : { choice, rejected });
    }
    if (candidates.every(({ rejected }) => rejected !== undefined)) candidates.push({ choice: reference });
    await timeCandidates(trial, candidates.filter(({ rejected }) => rejected === undefined), effort);
    return { shape: shapeKey(shape), mode, taken: fastestOf(candidates), byDefault, candidates };
  }
}

/** A choice as a fresh object, without a path that is undefined. */
function plainChoice({ core, splits, path }: { core: string; splits: number; path?: ReadPath | undefined }) {
  return path ? { core, splits, path } : { core, splits };
}

/** The candidates of a product: the default, then the others, the likeliest first. */
function candidatesOf(
  gpu: Gpu,
  shape: ProductShape,
  { effort, byDefault }: { readonly effort: Effort; readonly byDefault: ProductChoice },
): readonly ProductChoice[] {
  const other: ReadPath = gpu.path === "texture" ? "storage" : "texture";
  const paths = effort.paths === "own" ? [gpu.path] : [gpu.path, other];
  const all = paths.flatMap((path) =>
    usableCores(path, gpu.subgroups?.size, shape).flatMap((core) =>
      [...new Set(effort.workgroups.map((wanted) => productSplits(shape, core, wanted)))]
        .map((splits): ProductChoice => path === gpu.path ? { core, splits } : { core, splits, path })
    )
  );
  const defaultText = choiceText(byDefault);
  const others = all.filter((choice) => choiceText(choice) !== defaultText)
    .map((choice) => ({ choice, cost: textureCost(shape, choice) }))
    .sort((a, b) => a.cost - b.cost).map(({ choice }) => choice);
  return [byDefault, ...others.slice(0, effort.candidates)];
}

/** A candidate while it is being tried. */
interface Candidate {
  readonly choice: ProductChoice;
  readonly rejected?: string;
  timeMs?: number;
}

/** Says why a candidate may not be taken: it does not run, or its result is not the reference's. */
async function findFault(
  trial: ProductTrial,
  choice: ProductChoice,
  wanted: Float32Array,
): Promise<string | undefined> {
  try {
    const result = await trial.result(choice);
    const wrong = result.findIndex((value, i) => value !== wanted[i]);
    return wrong < 0 ? undefined : `${result[wrong]} at ${wrong}, expected ${wanted[wrong]}`;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.message;
  }
}

/** Sets the least time of each candidate; one that is hopeless after the first rounds is left at that. */
async function timeCandidates(
  trial: ProductTrial,
  candidates: readonly Candidate[],
  { sampleMs }: Effort,
): Promise<void> {
  const time = async (timed: readonly Candidate[], rounds: number) => {
    const times = await trial.timesMs(timed.map(({ choice }) => choice), rounds);
    for (const [i, candidate] of timed.entries()) {
      candidate.timeMs = Math.min(candidate.timeMs ?? Infinity, times[i]);
    }
  };
  await time(candidates, firstRounds);
  const least = Math.min(...candidates.map(({ timeMs }) => timeMs!));
  const promising = candidates.filter(({ timeMs }) => timeMs! <= hopeless * least);
  const rounds = Math.min(maxRounds, Math.floor(sampleMs / Math.max(least, 1e-3)));
  if (promising.length > 1 && rounds > 0) await time(promising, rounds);
}

/** The first candidate, or the fastest of those that beat it clearly; of equals the one that stands first. */
function fastestOf(candidates: readonly Candidate[]): ProductChoice {
  const [first, ...others] = candidates.filter(({ timeMs }) => timeMs !== undefined);
  const bar = first.timeMs! * (1 - leastGain);
  const better = others.filter(({ timeMs }) => timeMs! < bar);
  return better.reduce(
    (best, candidate) => candidate.timeMs! < best.timeMs! ? candidate : best,
    better[0] ?? first,
  )
    .choice;
}
