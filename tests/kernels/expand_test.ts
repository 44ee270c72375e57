/** Tests how the text of a kernel is expanded: includes, names, repeated lines, conditions, and what it refuses. */
import assert from "node:assert/strict";
import { expandKernel, type Numbers } from "../../src/kernels/expand.ts";

/** Expands files given as lists of lines, from `main` on; each line as `file:line text`. */
function expand(files: Readonly<Record<string, readonly string[]>>, sizes: Numbers = {}): readonly string[] {
  return expandKernel("main", sizes, (stem) => files[stem].join("\n"))
    .map(({ file, line, text }) => `${file}:${line} ${text}`);
}

const refuses = (lines: readonly string[], message: string) =>
  assert.throws(() => expand({ main: lines }, { ROWS: 8 }), {
    name: "KernelError",
    message: `Cannot expand kernel "main, ${message}`,
  });

Deno.test("expandKernel() leaves text and comments alone", () => {
  const main = ["// for readers: i in a list", "// if it rains", "fn f() {}", "", "// lets go", "// ${}"];
  assert.deepEqual(expand({ main }), main.map((text, i) => `main:${i + 1} ${text}`));
});

Deno.test("expandKernel() repeats blocks and single lines, with counters in terms", () => {
  const main = [
    "// let STRIPS = ROWS / 4",
    "// for i in 0..STRIPS",
    "a_${i}(${4 * i + 1}u);",
    "  b_${i}_${j} = ${(i + j) % 2};  // for j in 1..3",
    "// end",
    "c_${i}${j};  // for i in 0..2, j in i..2",
  ];
  assert.deepEqual(expand({ main }, { ROWS: 11 }), [
    "main:3 a_0(1u);",
    "main:4   b_0_1 = 1;",
    "main:4   b_0_2 = 0;",
    "main:3 a_1(5u);",
    "main:4   b_1_1 = 0;",
    "main:4   b_1_2 = 1;",
    "main:6 c_00;",
    "main:6 c_01;",
    "main:6 c_11;",
  ]);
  assert.deepEqual(expand({ main: ["x;  // for i in 0..ROWS - 11"] }, { ROWS: 11 }), []);
});

Deno.test("expandKernel() takes one side of a condition, and what a block names ends with it", () => {
  const main = [
    "// if ROWS > 4",
    "// let MANY = 2",
    "many ${MANY}",
    "// if ROWS < 9",
    "but below 9",
    "// end",
    "// else",
    "few",
    "// end",
  ];
  assert.deepEqual(expand({ main }, { ROWS: 8 }), ["main:3 many 2", "main:5 but below 9"]);
  assert.deepEqual(expand({ main }, { ROWS: 9 }), ["main:3 many 2"]);
  assert.deepEqual(expand({ main }, { ROWS: 4 }), ["main:8 few"]);
  refuses([...main, "${MANY}"], 'line 10": "MANY" in ${MANY}, expected a number or one of ROWS');
});

Deno.test("expandKernel() includes files, which see the sizes, and says which file a line is of", () => {
  const part = ["part ${ROWS} ${i}"];
  assert.deepEqual(
    expand({ main: ["// for i in 0..2", "// include a/part", "// end"], "a/part": part }, { ROWS: 8 }),
    [
      "a/part:1 part 8 0",
      "a/part:1 part 8 1",
    ],
  );
});

Deno.test("expandKernel() refuses by file and line what it does not know", () => {
  refuses(["", "${WORS}"], 'line 2": "WORS" in ${WORS}, expected a number or one of ROWS');
  refuses(["${1 +}"], 'line 1": "" in ${1 +}, expected a number or one of ROWS');
  refuses(["${1 2}"], 'line 1": "2" in ${1 2}, expected an operator, or the end');
  refuses(["${(1}"], 'line 1": ${(1}, expected as many ) as (');
  refuses(["${ROWS / 0}"], 'line 1": ${ROWS / 0} is Infinity, expected a whole number');
  refuses(["// end"], 'line 1": "// end" with nothing to close, expected a for or an if before it');
  refuses(
    ["// for i in 0..2", "// else", "// end"],
    'line 2": "// else" with nothing to close, expected a for or an if before it',
  );
  refuses(["x", "// for i in 0..2", "x"], 'line 2": a directive that nothing closes, expected // end');
  refuses(["// if ROWS", "x"], 'line 1": a directive that nothing closes, expected // else or // end');
});
