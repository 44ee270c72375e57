/**
 * Expands the text of a kernel, so that one text serves many sizes. A WGSL file may hold, as comments,
 *
 * - `// include gemm/software/subgroup_broadcast`: that file's lines take the line's place;
 * - `// let STRIPS = ROWS / 4`: a name for a number, from here to the end of the block or file;
 * - `// for i in 0..STRIPS`: the lines down to `// end`, once for each i below STRIPS. Several counters, separated by
 *   commas, are nested loops;
 * - `let rows_${i} = rows_at(row + ${4 * i}u);  // for i in 0..STRIPS`: the same for one line;
 * - `// if STRIPS > 1`: the lines down to `// else` or `// end` if that is true, otherwise those after `// else`.
 *
 * `${...}` in a line stands for a number: a counter, a `let`, one of the core's sizes (core_table.ts), or a term of
 * them with + - * / % < > and parentheses. Division drops the remainder; 0 is false.
 *
 * @module
 */
import { KernelError } from "../errors.ts";

/** Numbers by name. */
export type Numbers = Readonly<Record<string, number>>;

/** A line of an expanded kernel, and its position in kernels/. */
export interface SourceLine {
  readonly text: string;
  /** The file's stem. */
  readonly file: string;
  /** Its number in the file, from 1 on. */
  readonly line: number;
}

/** A line, or a directive with its lines. */
type Node =
  & { readonly line: number }
  & (
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "include"; readonly file: string }
    | { readonly kind: "let"; readonly name: string; readonly value: string }
    | { readonly kind: "for"; readonly counters: readonly Counter[]; readonly body: readonly Node[] }
    | {
      readonly kind: "if";
      readonly condition: string;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  );

/** A counter of a `for`: from one term to below another. */
interface Counter {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** The position of a line, for error messages. */
type SourcePosition = Pick<SourceLine, "file" | "line">;

function fail({ file, line }: SourcePosition, current: string, wanted: string): never {
  throw new KernelError({ act: "expand kernel", thing: `${file}, line ${line}`, current, wanted });
}

/**
 * Expands a file of kernels/.
 *
 * @param file The file's stem, such as `gemm/software/register`.
 * @param sizes The numbers that the text leaves open.
 * @param readFile Gives a file's text by its stem.
 * @throws {KernelError} If a directive or a term is unknown. The message gives file and line.
 */
export function expandKernel(
  file: string,
  sizes: Numbers,
  readFile: (stem: string) => string,
): readonly SourceLine[] {
  return expandNodes(parseNodes(file, readFile(file)), sizes, { file, readFile });
}

/** The lines of a text as a tree of directives. */
function parseNodes(file: string, source: string): readonly Node[] {
  const lines = source.split("\n");
  let next = 0;
  const parseUntil = (
    opener: SourcePosition | undefined,
    ends: readonly string[],
  ): [readonly Node[], string] => {
    const nodes: Node[] = [];
    while (next < lines.length) {
      const text = lines[next++], line = next, directive = text.trim();
      if (ends.includes(directive)) return [nodes, directive];
      if (directive === "// else" || directive === "// end") {
        fail({ file, line }, `"${directive}" with nothing to close`, "a for or an if before it");
      }
      const [, keyword, rest] = /^\s*\/\/ (include|let|for|if) (.+)$/.exec(text) ?? [];
      const counters = parseCounters(keyword === "for" ? rest : /\S.*\/\/ for (.+)$/.exec(text)?.[1]);
      const assignment = /^([A-Z_]\w*) = (.+)$/.exec(rest ?? "");
      if (keyword === "include" && /^[\w/]+$/.test(rest)) {
        nodes.push({ kind: "include", file: rest, line });
      } else if (keyword === "let" && assignment) {
        nodes.push({ kind: "let", name: assignment[1], value: assignment[2], line });
      } else if (keyword === "if" && /^[A-Z_0-9]+( [<>] [A-Z_0-9]+)?$/.test(rest)) {
        const [body, end] = parseUntil({ file, line }, ["// else", "// end"]);
        const [otherwise] = end === "// else" ? parseUntil({ file, line }, ["// end"]) : [[]];
        nodes.push({ kind: "if", condition: rest, body, otherwise, line });
      } else if (keyword === "for" && counters) {
        nodes.push({ kind: "for", counters, body: parseUntil({ file, line }, ["// end"])[0], line });
      } else if (counters) {
        const repeated = text.replace(/\s*\/\/ for .*$/, "");
        nodes.push({ kind: "for", counters, body: [{ kind: "text", text: repeated, line }], line });
      } else nodes.push({ kind: "text", text, line });
    }
    if (opener) fail(opener, "a directive that nothing closes", ends.join(" or "));
    return [nodes, ""];
  };
  return parseUntil(undefined, [])[0];
}

/** Reads `i in 0..4, j in 0..STRIPS`; undefined if the text is not such a list, as in a comment for readers. */
function parseCounters(text: string | undefined): readonly Counter[] | undefined {
  const counters = text?.split(", ").map((part) => /^(\w+) in (.+)\.\.(.+)$/.exec(part));
  if (!counters?.every((found) => found !== null)) return undefined;
  return counters.map(([, name, from, to]) => ({ name, from, to }));
}

function expandNodes(
  nodes: readonly Node[],
  outer: Numbers,
  from: { readonly file: string; readonly readFile: (stem: string) => string },
): readonly SourceLine[] {
  const { file, readFile } = from;
  let numbers = outer;
  return nodes.flatMap((node): readonly SourceLine[] => {
    const { line } = node, at = { file, line };
    switch (node.kind) {
      case "text": {
        const text = node.text.replace(
          /\$\{([^}]+)\}/g,
          (_, term: string) => `${evaluate(term, numbers, at)}`,
        );
        return [{ text, ...at }];
      }
      case "include":
        return expandKernel(node.file, numbers, readFile);
      case "let":
        numbers = { ...numbers, [node.name]: evaluate(node.value, numbers, at) };
        return [];
      case "if": {
        const taken = evaluate(node.condition, numbers, at) !== 0 ? node.body : node.otherwise;
        return expandNodes(taken, numbers, from);
      }
      case "for":
        return expandCounters(node.counters, numbers, at).flatMap((scope) =>
          expandNodes(node.body, scope, from)
        );
    }
  });
}

/** The numbers of each round of a `for`, the last counter fastest. */
function expandCounters(
  counters: readonly Counter[],
  numbers: Numbers,
  at: SourcePosition,
): readonly Numbers[] {
  return counters.reduce((scopes: readonly Numbers[], { name, from, to }) =>
    scopes.flatMap((scope) => {
      const first = evaluate(from, scope, at), count = Math.max(0, evaluate(to, scope, at) - first);
      return Array.from({ length: count }, (_, i) => ({ ...scope, [name]: first + i }));
    }), [numbers]);
}

type Operator = (a: number, b: number) => number;

/** The operators, loosest binding first. */
const operators: readonly ReadonlyMap<string | undefined, Operator>[] = [
  new Map<string, Operator>([["<", (a, b) => Number(a < b)], [">", (a, b) => Number(a > b)]]),
  new Map<string, Operator>([["+", (a, b) => a + b], ["-", (a, b) => a - b]]),
  new Map<string, Operator>([["*", (a, b) => a * b], ["/", (a, b) => Math.floor(a / b)], [
    "%",
    (a, b) => a % b,
  ]]),
];

/** The value of a term, a whole number. */
function evaluate(term: string, numbers: Numbers, at: SourcePosition): number {
  const tokens = term.match(/\d+|\w+|\S/g) ?? [];
  let next = 0;
  const operand = (): number => {
    const token = tokens[next++] ?? "";
    if (token === "(") {
      const value = binary(0);
      if (tokens[next++] !== ")") fail(at, `\${${term}}`, "as many ) as (");
      return value;
    }
    if (/^\d+$/.test(token)) return Number(token);
    if (Object.hasOwn(numbers, token)) return numbers[token];
    const names = Object.keys(numbers).join(", ");
    return fail(at, `"${token}" in \${${term}}`, `a number${names && ` or one of ${names}`}`);
  };
  const binary = (level: number): number => {
    if (level === operators.length) return operand();
    let value = binary(level + 1);
    for (let operator; (operator = operators[level].get(tokens[next])) !== undefined;) {
      next++;
      value = operator(value, binary(level + 1));
    }
    return value;
  };
  const value = binary(0);
  if (next < tokens.length) fail(at, `"${tokens[next]}" in \${${term}}`, "an operator, or the end");
  if (!Number.isFinite(value)) fail(at, `\${${term}} is ${value}`, "a whole number");
  return value;
}
