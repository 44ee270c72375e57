/**
 * A rule for `deno lint`: an assertion that stands under a condition must be known to run. Either the other branch asserts
 * too, or what is asserted is counted (`count++`), so that the test can assert the count.
 *
 * @module
 */

/** A node of the syntax tree, as far as the rule looks at it. */
type Node = Deno.lint.Node;

const message = "This assertion runs only under a condition, which may never hold";
const hint = "Assert in the other branch too, or count how often it runs (count++) and assert the count";

/** True for `assert(...)`, `assertEquals(...)` and `assert.equal(...)`. */
function isAssertion({ callee }: Deno.lint.CallExpression): boolean {
  const named = callee.type === "MemberExpression" ? callee.object : callee;
  return named.type === "Identifier" && named.name.startsWith("assert");
}

/** True for the nodes that a condition above them does not reach into. */
function isFunction({ type }: Node): boolean {
  return ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"].includes(type);
}

/** True where a statement ends with leaving the round of a loop, or the function, that it stands in. */
function leaves(statement: Node, by: readonly string[]): boolean {
  if (statement.type === "BlockStatement") return statement.body.some((last) => leaves(last, by));
  return by.includes(statement.type);
}

/** A condition above an assertion: the branch that it stands in, and the other. */
interface Condition {
  readonly branch: readonly Node[];
  readonly others: readonly Node[];
}

/** The node above another; undefined at the top. */
function parentOf(node: Node): Node | undefined {
  return "parent" in node ? node.parent as Node : undefined;
}

/** What stands behind a statement in its block. */
function behind(statement: Node): readonly Node[] {
  const block = parentOf(statement);
  if (block?.type !== "BlockStatement") return [];
  return block.body.slice(block.body.indexOf(statement as Deno.lint.Statement) + 1);
}

/** The conditions above a node, within its function. */
function conditionsOf(node: Node): readonly Condition[] {
  const conditions: Condition[] = [];
  for (let at = node, parent; (parent = parentOf(at)) && !isFunction(at); at = parent) {
    if (parent.type === "IfStatement" && at !== parent.test) {
      const { consequent, alternate } = parent, isElse = at === alternate;
      // What stands behind a branch that leaves is as good as an else.
      const rest = leaves(consequent, ["ReturnStatement", "ContinueStatement"]) ? behind(parent) : [];
      conditions.push({ branch: [at], others: isElse ? [consequent] : alternate ? [alternate] : rest });
    }
    if (parent.type === "LogicalExpression" && at === parent.right) {
      conditions.push({ branch: [at], others: [] });
    }
    if (parent.type === "BlockStatement") {
      for (const before of parent.body.slice(0, parent.body.indexOf(at as Deno.lint.Statement))) {
        if (before.type !== "IfStatement" || before.alternate) continue;
        if (!leaves(before.consequent, ["ContinueStatement"])) continue;
        conditions.push({ branch: behind(before), others: [before.consequent] });
      }
    }
  }
  return conditions;
}

const plugin: Deno.lint.Plugin = {
  name: "winnow",
  rules: {
    "counted-asserts": {
      create(context) {
        const textOf = (node: Node) => context.sourceCode.getText(node);
        const isKnown = ({ branch, others }: Condition) =>
          others.some((node) => /\bassert\w*(\.\w+)?\(/.test(textOf(node))) ||
          branch.some((node) => /\b\w+\+\+/.test(textOf(node)));
        return {
          CallExpression(node) {
            if (isAssertion(node) && !conditionsOf(node).every(isKnown)) {
              context.report({ node, message, hint });
            }
          },
        };
      },
    },
  },
};
export default plugin;
