/**
 * Variants of pruning, named by a criterion and what else is to differ, such as `confidence/matched/channel`: each is a
 * patch of the branch `prune`.
 *
 * @module
 */
import { parseRunConfig, type RunConfig } from "../config/config.ts";
import { joinKeys, type Keys, valuesByPath } from "../config/nodes.ts";
import { selectionSteps } from "../config/prune.ts";
import { readGranularity } from "../config/words.ts";
import { ConfigError } from "../errors.ts";
import { describeAlternatives } from "../nearest.ts";
import { criteria, type Criterion, type CriterionName, readsFisher } from "../prune/score/criteria.ts";
import type { CriterionDefinition } from "../prune/score/own_criterion.ts";

/** One variant: its name, and the configuration that its pruning follows. */
export interface CompareVariant {
  readonly name: string;
  readonly config: RunConfig;
  /** What weights are scored by. */
  readonly by: Criterion;
  /** True where weights go in stages, each scored anew: by `staged`, and always with a refit. */
  readonly isStaged: boolean;
}

/** What parts of a name set, beside granularities and temperatures. */
const parts: ReadonlyMap<string, Keys> = new Map<string, Keys>([
  ...["evidence", "matched"].map((prior) => [prior, { score: { prior } }] as const),
  ...["batch", "example", "sampled"].map((fisher) => [fisher, { score: { fisher } }] as const),
  ...["global", "layer"].map((scope) => [scope, { select: { scope } }] as const),
  ...["none", "plain", "augmented"].map((recalibrate) => [recalibrate, { after: { recalibrate } }] as const),
  ["refit", { after: { refit: { selectionSteps: selectionSteps.score } } }],
  ["obs", { after: { refit: { selectionSteps: selectionSteps.obs } } }],
  ...(["blocks", "end-to-end"] as const).map((by) => [by, { after: { refit: { by } } }] as const),
]);

/**
 * Refuses a pattern, which says how much goes, where sparsities do.
 *
 * @throws {ConfigError} Where the goal is one.
 */
export function refusePattern({ prune: { goal } }: RunConfig, act: string): void {
  if (!("pattern" in goal)) return;
  const current = "it has one sparsity of its own", wanted = "element, filter, channel or RxC";
  const thing = `granularity ${goal.pattern.keep}:${goal.pattern.of}`;
  throw new ConfigError({ act, thing, current, wanted });
}

/** What a part of a name sets in the branch `prune`; undefined where it is none. */
function readPart(part: string): Keys | undefined {
  const temperature = /^T=(.+)$/.exec(part)?.[1];
  if (temperature !== undefined) {
    return { score: { temperature: temperature === "auto" ? "validation" : Number(temperature) } };
  }
  const granularity = readGranularity(part);
  if (granularity === undefined || typeof granularity === "object" && "keep" in granularity) {
    return parts.get(part);
  }
  return { select: { granularity } };
}

/**
 * Reads a variant's name: a criterion, then after slashes any of a prior, an estimate of the Fisher information, a scope,
 * a granularity (no N:M, which has a sparsity of its own), how batch norm is measured after the removal, `refit`,
 * `obs`, which is `refit` with layers that choose their own weights, `blocks` or `end-to-end` of a refit, `staged`, and `T=` a temperature of the posterior or
 * `T=auto`, which has it chosen on the validation examples.
 *
 * @param base What the variant has where its name says nothing.
 * @param own Criteria beside the library's.
 * @throws {ConfigError} Where a part of the name is none, or parts do not go together.
 */
export function readVariant(
  name: string,
  base: RunConfig,
  own: readonly CriterionDefinition[] = [],
): CompareVariant {
  refusePattern(base, "compare at sparsities");
  const refuse = (current: string, wanted: string) =>
    new ConfigError({ act: "compare", thing: name, current, wanted });
  const [first, ...words] = name.split("/"), definition = own.find(({ name }) => name === first);
  const known: readonly string[] = [...criteria, ...own.map(({ name }) => name)];
  if (!known.includes(first)) throw refuse(`no criterion is "${first}"`, describeAlternatives(first, known));
  const by = definition ?? first as CriterionName;
  // What a configuration says of a criterion are rules of what it reads.
  let prune: Keys = { score: { by: definition ? readsFisher(definition) ? "obd" : "magnitude" : first } };
  for (const word of words.filter((word) => word !== "staged")) {
    const set = readPart(word);
    if (!set) {
      const others = ["element", "filter", "channel", "4x4", "staged", "T=2", "T=auto"];
      throw refuse(`"${word}" says nothing`, describeAlternatives(word, [...parts.keys(), ...others]));
    }
    const before = new Map(valuesByPath(prune)), again = valuesByPath(set).find(([path]) => before.has(path));
    if (again) throw refuse(`"${word}" sets ${again[0]} again`, "each at most once");
    prune = joinKeys(prune, set, null);
  }
  // A base that refits single weights lets layers choose them, which groups cannot.
  const isOfGroups = valuesByPath(prune).some(([path]) => path.startsWith("select.granularity"));
  const start = isOfGroups && "refit" in base.prune.after
    ? joinKeys(base, { prune: { after: { refit: { selectionSteps: undefined } } } })
    : base;
  const config = parseRunConfig(joinKeys(start, { prune }), `variant ${name}`);
  const isStaged = words.includes("staged"), refits = "refit" in config.prune.after;
  if (isStaged && refits) throw refuse("a refit goes in stages by itself", 'no "staged" beside it');
  return { name, config, by, isStaged: isStaged || refits };
}
