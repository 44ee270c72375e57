/** Tests that nothing which a file says steers the terminal. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { escapeLine, escapeText, formatJson } from "../../src/text/escape.ts";
import { openProgress } from "../../src/cli/progress.ts";
import { formatTable } from "../../src/text/table.ts";
import { runTask } from "../helpers/command.ts";

/** What a file may hold to clear the screen, name the window, or turn the direction of writing around. */
const evil = "x\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\u2066\u061c\r\b\u007f\u2028";
const steering = {
  test: (text: string) => /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(text.replaceAll("\n", "")),
};

Deno.test("escapeText() keeps line feeds and other languages, and escapes what steers a terminal", () => {
  assertEquals(escapeText("a\nb\tc\u001b[31m"), "a\nb\\u{9}c\\u{1b}[31m");
  assertEquals(escapeText("höher, 猫, שלום, 👩‍🔬"), "höher, 猫, שלום, 👩‍🔬");
  assertEquals(escapeText("\u{e0041}\ud800"), "\\u{e0041}\\u{d800}");
  assertEquals(escapeLine("a\nb"), "a\\u{a}b");
  assert(!steering.test(escapeText(evil)));
});

Deno.test("formatJson() stays JSON of the same value", () => {
  const value = { [evil]: [evil, "\u{e0041}", "a\nb"] };
  for (const indent of [undefined, 2]) {
    const text = formatJson(value, indent);
    assertEquals(JSON.parse(text), value);
    assert(!steering.test(text) && !/[\u{e0000}-\u{e007f}]/u.test(text));
  }
});

Deno.test("formatTable() escapes cells before it measures them", () => {
  const lines = formatTable([evil, "n"], [["a\nb", "1"]]).split("\n");
  assertEquals(lines.length, 3);
  assertEquals(new Set(lines.map((line) => line.length)).size, 1);
  assert(!steering.test(lines.join("\n")));
});

Deno.test("openProgress() escapes its label, and only that", () => {
  let text = "";
  const progress = openProgress({ write: (part) => text += part, isTerminal: true, columns: 200 });
  progress.update({ label: evil, done: 1, total: 2 });
  progress.finish();
  assertMatch(text, /^\rx\\u\{1b\}/);
  assert(!steering.test(text.replaceAll("\r", "").replaceAll("\u001b[K", "")));
});

Deno.test("model escapes names out of a file, in tables, errors and JSON", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/evil.json`, input = { channels: 1, height: 2, width: 2 };
    const write = (layers: readonly object[]) =>
      Deno.writeTextFile(path, JSON.stringify({ name: evil, input, layers }));
    const flatten = { kind: "flatten", name: evil }, linear = { kind: "linear", name: "fc", outFeatures: 2 };
    await write([flatten, linear]);
    const shown = await runTask("model", [path]);
    assertEquals([shown.code, shown.stderr], [0, ""]);
    assertMatch(shown.stdout, /^x\\u\{1b\}\]0;owned.*: images of 1 x 2 x 2$/m);
    assert(!steering.test(shown.stdout));
    const json = await runTask("model", [path, "--json"]);
    assertEquals(JSON.parse(json.stdout).name, evil);
    assert(!steering.test(json.stdout));
    await write([{ ...linear, name: evil }]);
    const wrong = await runTask("model", [path]);
    assertEquals([wrong.code, wrong.stdout], [1, ""]);
    assertMatch(wrong.stderr, /^error: Cannot apply layer "x\\u\{1b\}/);
    assert(!steering.test(wrong.stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
