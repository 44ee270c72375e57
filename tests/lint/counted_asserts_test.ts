/** Holds the rule against code that breaks it, and code that keeps it. */
import { assertEquals } from "@std/assert";
import plugin from "./counted_asserts.ts";

/** The lines of code that the rule reports. */
function linesOf(code: string): readonly number[] {
  return Deno.lint.runPlugin(plugin, "case.ts", code)
    .map(({ range: [start] }) => code.slice(0, start).split("\n").length);
}

Deno.test("the rule reports assertions that may never run", () => {
  assertEquals(linesOf("assert(1);\nfor (const x of xs) assertEquals(x, 1);"), []);
  assertEquals(linesOf("if (x) {\n  assert.equal(1, 1);\n}"), [2]);
  assertEquals(linesOf("if (x) run();\nelse assertEquals(1, 1);"), [2]);
  assertEquals(linesOf("x && assert(y);"), [1]);
  assertEquals(linesOf("for (const x of xs) {\n  if (x) continue;\n  for (const y of x) assert(y);\n}"), [3]);
  assertEquals(linesOf("if (x) {\n  if (y) assert(1);\n  else assert(2);\n}"), [2, 3]);
  // An assertion in a function that is made under a condition is asked where that is called.
  assertEquals(linesOf("if (x) run(() => assert(1));"), []);
});

Deno.test("the rule lets assertions pass where the other branch asserts or they are counted", () => {
  assertEquals(linesOf("if (x) assert(1);\nelse assertEquals(1, 1);"), []);
  assertEquals(linesOf("if (x) {\n  count++;\n  assert(1);\n}\nassert(count > 3);"), []);
  assertEquals(linesOf("for (const x of xs) {\n  if (x) continue;\n  count++;\n  assert(x);\n}"), []);
  assertEquals(linesOf("function f() {\n  if (x) {\n    assert(1);\n    return;\n  }\n  assert(2);\n}"), []);
  assertEquals(linesOf("if (assert(x)) run();"), []);
});
