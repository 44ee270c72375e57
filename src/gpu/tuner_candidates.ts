/**
 * The tuner's candidates for a product: which are tried, which are rejected, and how they are timed.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { choiceText } from "../kernels/product_choices.ts";
import { usableCores } from "../kernels/cores.ts";
import { productSplits, textureCost } from "../kernels/gemm.ts";
import type { ProductChoice, ProductShape } from "../kernels/product.ts";
import type { Gpu } from "./device.ts";
import type { ProductTrial } from "./tuner_trial.ts";
import { readsTextures } from "./read_paths.ts";

/** The effort of a mode. */
export interface Effort {
  /** Candidates timed for a product besides the default. */
  readonly candidates: number;
  /** Numbers of workgroups; each gives a candidate with so many splits. */
  readonly workgroups: readonly number[];
  readonly paths: "own" | "both";
  /** Products of fewer multiplications keep the default: their kernels take longer to compile than to run. */
  readonly multiplications: number;
  /** Milliseconds for a promising candidate after the first rounds, if one run fits. */
  readonly sampleMs: number;
}

/** Effort by mode. */
export const efforts: Readonly<Record<"quick" | "full", Effort>> = {
  quick: { candidates: 1, workgroups: [32], paths: "own", multiplications: 2e6, sampleMs: 60 },
  full: { candidates: Infinity, workgroups: [8, 32, 128], paths: "both", multiplications: 0, sampleMs: 400 },
};

/** Rounds in which all candidates run. The first round finds idle processors and cold memory. */
const firstRounds = 2;

/** Maximum number of further rounds for the promising candidates. */
const maxRounds = 32;

/** A candidate must be this much faster than the default to be chosen, so noise does not choose. */
const minGain = 0.08;

/** A candidate whose first runs are this much slower than the best is not timed further. */
const hopeless = 2;

/** The candidates of a product: the default, then the others, the likeliest first. */
export function listCandidates(
  gpu: Gpu,
  shape: ProductShape,
  { effort, byDefault }: { readonly effort: Effort; readonly byDefault: ProductChoice },
): readonly ProductChoice[] {
  const other: ReadPath = gpu.path === "texture" ? "storage" : "texture";
  const triesBoth = effort.paths === "both" && readsTextures(gpu.adapter.name);
  const paths = triesBoth ? [gpu.path, other] : [gpu.path];
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
export interface Candidate {
  readonly choice: ProductChoice;
  readonly rejected?: string;
  timeMs?: number;
}

/** The reason to reject a candidate: it does not run, or its result differs from the reference's. */
export async function findFault(
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

/** Measures the minimum time of each candidate. A hopeless candidate stops after the first rounds. */
export async function timeCandidates(
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
  const fastest = Math.min(...candidates.map(({ timeMs }) => timeMs!));
  const promising = candidates.filter(({ timeMs }) => timeMs! <= hopeless * fastest);
  const rounds = Math.min(maxRounds, Math.floor(sampleMs / Math.max(fastest, 1e-3)));
  if (promising.length > 1 && rounds > 0) await time(promising, rounds);
}

/** The first candidate, or the fastest of those that are clearly faster; of equals, the first. */
export function chooseFastest(candidates: readonly Candidate[]): ProductChoice {
  const [first, ...others] = candidates.filter(({ timeMs }) => timeMs !== undefined);
  const bar = first.timeMs! * (1 - minGain);
  const better = others.filter(({ timeMs }) => timeMs! < bar);
  return better.reduce(
    (best, candidate) => candidate.timeMs! < best.timeMs! ? candidate : best,
    better[0] ?? first,
  )
    .choice;
}
