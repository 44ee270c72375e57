/**
 * Variants of pruning, named by a criterion and what else is to differ, such as `confidence/matched/channel`.
 *
 * @module
 */
import { isPattern, parsePruneConfig, type PruneConfig, readGranularity } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { describeAlternatives } from "../nearest.ts";
import { criteria, type Criterion, type CriterionName, readsFisher } from "../prune/score/criteria.ts";
import type { CriterionDefinition } from "../prune/score/own_criterion.ts";

/** One variant: its name, and the configuration that its pruning follows. */
export interface CompareVariant {
  readonly name: string;
  readonly config: PruneConfig;
  /** What weights are scored by. */
  readonly by: Criterion;
  /** True where weights go in stages, each scored anew: by `staged`, and always with a refit. */
  readonly isStaged: boolean;
}

/** The keys that a part of a name may set, and to what. */
const parts: readonly (readonly [keyof PruneConfig, readonly string[]])[] = [
  ["prior", ["evidence", "matched"]],
  ["fisher", ["batch", "example", "sampled"]],
  ["scope", ["global", "layer"]],
  ["recalibratePruned", ["none", "plain", "augmented"]],
];

/**
 * Refuses a granularity that says how much goes, where sparsities do.
 *
 * @throws {ConfigError} Where it is N:M.
 */
export function refusePattern({ granularity }: PruneConfig, act: string): void {
  if (!isPattern(granularity)) return;
  const current = "it has one sparsity of its own", wanted = "element, filter, channel or RxC";
  throw new ConfigError({ act, thing: `granularity ${granularity}`, current, wanted });
}

/**
 * Reads a variant's name: a criterion, then after slashes any of a prior, an estimate of the Fisher information, a scope,
 * a granularity (no N:M, which has a sparsity of its own), how batch norm is measured after the removal, `refit`, and
 * `obs`, which is `refit` with layers that choose their own weights, `staged`, and `T=` a temperature of the posterior or
 * `T=auto`, which has it chosen on the validation examples.
 *
 * @param base What the variant has where its name says nothing.
 * @param own Criteria beside the library's.
 * @throws {ConfigError} Where a part of the name is none, or parts do not go together.
 */
export function readVariant(
  name: string,
  base: PruneConfig,
  own: readonly CriterionDefinition[] = [],
): CompareVariant {
  refusePattern(base, "compare at sparsities");
  const [first, ...rest] = name.split("/"), definition = own.find(({ name }) => name === first);
  const known: readonly string[] = [...criteria, ...own.map(({ name }) => name)];
  if (!known.includes(first)) {
    const wanted = describeAlternatives(first, known);
    throw new ConfigError({ act: "compare", thing: name, current: `no criterion is "${first}"`, wanted });
  }
  const by = definition ?? first as CriterionName;
  // What a configuration says of a criterion are rules of what it reads.
  const criterion = definition ? readsFisher(definition) ? "obd" : "magnitude" : first;
  const settings: Record<string, unknown> = { criterion };
  let isStaged = false;
  for (const part of rest) {
    if (part === "staged") {
      isStaged = true;
      continue;
    }
    if (part === "refit" || part === "obs") {
      const selection = part === "refit" ? "score" : "obs";
      Object.assign(settings, { refit: true, recalibratePruned: "none", selection });
      continue;
    }
    const temperature = /^T=(.+)$/.exec(part)?.[1];
    if (temperature !== undefined) {
      if (criterion !== "confidence") {
        const current = `"${part}" says nothing of criterion ${first}`;
        throw new ConfigError({ act: "compare", thing: name, current, wanted: "confidence" });
      }
      settings.posteriorTemperature = temperature === "auto" ? temperature : Number(temperature);
      continue;
    }
    const isGranularity = readGranularity(part) !== undefined && !isPattern(part);
    const key = isGranularity ? "granularity" : parts.find(([, values]) => values.includes(part))?.[0];
    if (key === undefined) {
      const wanted = describeAlternatives(part, [
        ...parts.flatMap(([, values]) => values),
        ...["element", "filter", "channel", "4x4", "refit", "obs", "staged", "T=2", "T=auto"],
      ]);
      throw new ConfigError({ act: "compare", thing: name, current: `"${part}" says nothing`, wanted });
    }
    if (Object.hasOwn(settings, key)) {
      const current = `"${part}" sets ${key} again`;
      throw new ConfigError({ act: "compare", thing: name, current, wanted: "each at most once" });
    }
    settings[key] = part;
  }
  // A base that refits single weights lets layers choose them, which groups cannot.
  if (settings.granularity !== undefined) settings.selection ??= "score";
  const usesFisher = readsFisher(by);
  // A base that says how the Fisher information is estimated means the criteria that read it.
  const fisher = usesFisher || settings.fisher !== undefined ? {} : { fisher: "batch" };
  const config = parsePruneConfig({ ...base, ...fisher, ...settings }, `variant ${name}`);
  if (isStaged && config.refit) {
    const current = "a refit goes in stages by itself";
    throw new ConfigError({ act: "compare", thing: name, current, wanted: 'no "staged" beside it' });
  }
  return { name, config, by, isStaged: isStaged || config.refit };
}
