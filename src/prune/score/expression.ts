/**
 * Criteria as expressions in WGSL of the numbers of one weight, such as `abs(mean) * sqrt(fisher)`, which become
 * operations of kernels/score/score.wgsl.
 *
 * @module
 */
import { ConfigError } from "../../errors.ts";
import { arenaRef, type BufferRef, inputRef } from "../../kernels/buffer_ref.ts";
import { describeAlternatives } from "../../nearest.ts";
import { type CriterionNeed, type CriterionType, type GroupRule, lowerScore } from "./criterion.ts";

/** The names that an expression may use, besides functions: numbers of the weight, of its layer, and of the model. */
const arenas = ["mean", "fisher", "gradient_mean", "variance"] as const;
const names: readonly string[] = [...arenas, "prior_precision", "examples"];

/** The functions that an expression may call: those of WGSL that take numbers to a number. */
const functions: readonly string[] = [
  ...[
    "abs",
    "sign",
    "sqrt",
    "inverseSqrt",
    "pow",
    "exp",
    "exp2",
    "log",
    "log2",
    "min",
    "max",
    "clamp",
    "select",
  ],
  ...["floor", "ceil", "round", "trunc", "fract", "step", "smoothstep", "mix", "fma", "saturate"],
  ...["sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "f32"],
];

/** The tokens of an expression: numbers, names, and operators of arithmetic and comparison. */
const tokens = /\s+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?[fhu]?|[a-z_]\w*|[-+*/%(),]|[<>]=?|[=!]=|&&?|\|\|?|!/giy;

/** A criterion as an expression. */
export interface CriterionExpression {
  /** Its name, for messages and profiles. */
  readonly name: string;
  /** The score of one weight. */
  readonly expression: string;
  /** The worth of a group of its scores. */
  readonly group: GroupRule;
  /**
   * True if it is not in the library. A removed weight then scores 0, because the expression may not be valid for it.
   */
  readonly isOwn?: boolean;
}

/**
 * The names in an expression.
 *
 * @throws {ConfigError} If it holds what no expression may.
 */
function namesIn({ name, expression }: CriterionExpression): ReadonlySet<string> {
  const refuse = (current: string, wanted: string): never => {
    throw new ConfigError({ act: "define criterion", thing: name, current, wanted });
  };
  const found = new Set<string>(), wanted = "an expression of numbers, names and operators";
  let end = 0;
  for (const [token] of expression.matchAll(tokens)) {
    end += token.length;
    if (!/^[a-z_]/i.test(token) || functions.includes(token)) continue;
    if (!names.includes(token)) {
      refuse(`nothing is called "${token}"`, describeAlternatives(token, [...names, ...functions]));
    }
    found.add(token);
  }
  if (end < expression.length) refuse(`"${expression[end]}" at ${end} of "${expression}"`, wanted);
  if (expression.trim() === "") refuse("it is empty", wanted);
  return found;
}

/** The operation of the score core that computes an expression of such names. */
function operationText(
  { name, expression, isOwn = false }: CriterionExpression,
  used: ReadonlySet<string>,
): string {
  const read = arenas.filter((arena) => used.has(arena)), bound = isOwn ? [...read, "mask"] : read;
  const readsPrior = used.has("prior_precision");
  const fields = [
    ...["quads", "offset", "inner", "channels", ...(readsPrior ? ["layer"] : [])].map((field) =>
      `${field}: u32`
    ),
    ...(used.has("examples") ? ["examples: f32"] : []),
  ];
  const bindings = [
    ...bound.map((arena) => `var<storage, read> ${arena}: array<vec4f>;`),
    ...(readsPrior ? ["var<storage, read> prior_precision: array<f32>;"] : []),
    "var<storage, read_write> scores: array<vec4f>;",
  ];
  const inputs = [
    ...read.map((arena) => [arena, (lane: string) => `${arena}_quad.${lane}`] as const),
    ...(readsPrior ? [["prior_precision", () => "prior_precision[params.layer]"] as const] : []),
    ...(used.has("examples") ? [["examples", () => "params.examples"] as const] : []),
  ];
  const scores = [..."xyzw"].map((lane) => `score_of(${inputs.map(([, of]) => of(lane)).join(", ")})`);
  const all = `vec4f(${scores.join(", ")})`;
  return `// Criterion ${name}, of score/score.wgsl.
struct Params { ${fields.join(", ")} }

@group(0) @binding(0) var<uniform> params: Params;
${bindings.map((binding, i) => `@group(0) @binding(${i + 1}) ${binding}`).join("\n")}

fn score_of(${inputs.map(([input]) => `${input}: f32`).join(", ")}) -> f32 {
  return ${expression};
}

fn score(i: u32) -> vec4f {
${bound.map((arena) => `  let ${arena}_quad = read_${arena}(i);\n`).join("")}\
  return ${isOwn ? `select(vec4f(0.0), ${all}, mask_quad > vec4f(0.0))` : all};
}
`;
}

/**
 * A criterion that computes an expression.
 *
 * @throws {ConfigError} If it holds what no expression may.
 */
export function expressionCriterion(criterion: CriterionExpression): CriterionType {
  const { name, group, isOwn = false } = criterion, used = namesIn(criterion);
  const text = operationText(criterion, used), readsPrior = used.has("prior_precision");
  const read = [...arenas.filter((arena) => used.has(arena)), ...(isOwn ? ["mask"] as const : [])];
  const bindings: Record<string, BufferRef> = Object.fromEntries(
    read.map((arena) => [arena, arenaRef(arena)]),
  );
  if (readsPrior) bindings.prior_precision = inputRef("prior_precision");
  const needs = read.filter((arena): arena is CriterionNeed => arena !== "mean" && arena !== "mask");
  return {
    // The evidence prior needs the Fisher information.
    needs: readsPrior && !needs.includes("fisher") ? [...needs, "fisher"] : needs,
    group,
    readsPrior,
    readsExamples: used.has("examples"),
    lower: (tensor, { layer, examples }) => {
      const params = { ...(readsPrior ? { layer } : {}), ...(used.has("examples") ? { examples } : {}) };
      return [lowerScore(tensor, name, { text, bindings, params })];
    },
  };
}
