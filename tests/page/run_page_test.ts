/** Tests of the page of a run: it shows the report's numbers, opens offline, and takes no name for markup. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseHTML } from "linkedom";
import { formatRunPage } from "../../src/page/run_page.tsx";
import { type PruneReport, pruneReportSchema } from "../../src/report/prune_report.ts";

const first = pruneReportSchema.parse(
  JSON.parse(Deno.readTextFileSync(new URL("../config/version1_report.json", import.meta.url))),
);

/** A report with what the first version did not have. */
const report: PruneReport = {
  ...first,
  loss: { untrained: 2.3, trained: 1.1, finetuned: 1.2 },
  confusion: {
    trained: first.classes.map((_, i) => first.classes.map((_, j) => i === j ? 7 : 0)),
    finetuned: first.classes.map((_, i) => first.classes.map((_, j) => i === j ? 6 : 0)),
  },
};
const times = {
  started: "2026-11-30T12:00:00.000Z",
  seconds: 61.25,
  isResumed: false,
  batch: { batch: 128, beforeMs: 20, afterMs: 5 },
};

const open = (html: string) => parseHTML(html).document;
const texts = (page: ReturnType<typeof open>, selector: string) =>
  [...page.querySelectorAll(selector)].map((element) => element.textContent);

Deno.test("the page of a run begins with what came out, and shows every part of the report", () => {
  const html = formatRunPage({ report, times }), page = open(html);
  assertEquals(texts(page, "h1"), [`${report.model} pruned on ${report.dataset.name}`]);
  assertEquals(texts(page, "h2"), [
    ...[
      "Accuracy on the way",
      "Training",
      "Layers",
      "Confidence",
      "Classes",
      "Size and speed",
      "How it was made",
    ],
  ]);
  const [before, after] = texts(page, ".cards b");
  const shown = [report.accuracy.trained, report.accuracy.finetuned].map((value) => (100 * value).toFixed(1));
  assertEquals([before, after].map((text) => text.split(" ")[0]), shown);
  assertStringIncludes(page.querySelector(".cards")!.textContent, "20.0 to 5.0 ms");
  const rows = [...page.querySelectorAll('[aria-label="Layers"] tbody tr')].map((row) =>
    row.firstChild!.textContent
  );
  assertEquals(rows, report.layers.map(({ name }) => name));
  assertEquals(page.querySelectorAll('[aria-label="Rounds"] tbody tr').length, report.rounds.length);
  // Each class of the matrix before pruning has its 7 examples, each at the end its 6.
  const matrices = [...page.querySelectorAll("svg")].filter((svg) =>
    svg.getAttribute("aria-label")!.startsWith("Confusion")
  );
  const counts = matrices.map((svg) =>
    [...svg.querySelectorAll('[aria-label="text"] text')].map((one) => one.textContent)
  );
  assertEquals(counts, [7, 6].map((count) => report.classes.map(() => `${count}`)));
});

Deno.test("the page of a run needs no network and no script, and all of its charts say what they show", () => {
  const html = formatRunPage({ report, times }), page = open(html);
  assertEquals(page.querySelectorAll("script, link, iframe, img[src^=http]").length, 0);
  assertEquals(
    [...html.matchAll(/(?:src|href)="(?!#)([^"]*)"|url\((?!#)([^)]*)\)/g)].map(([all]) => all),
    [],
  );
  const charts = [...page.querySelectorAll("svg")];
  assertEquals(charts.length, 7);
  for (const chart of charts) {
    assertEquals(chart.getAttribute("role"), "img");
    assertMatch(chart.getAttribute("aria-label")!, /^[A-Z]/);
    assertEquals(chart.outerHTML.includes("NaN"), false);
  }
  assertEquals(page.querySelectorAll("th:not([scope])").length, 0);
  assertStringIncludes(html, '<html lang="en">');
});

Deno.test("names that are markup stand in the page of a run as text", () => {
  const name = `<script>alert("x")</script>&amp;`;
  const html = formatRunPage({
    report: {
      ...report,
      model: name,
      dataset: { ...report.dataset, name, source: name },
      layers: report.layers.map((layer) => ({ ...layer, name })),
      classes: report.classes.map((one) => ({ ...one, name })),
      warnings: [name],
    },
  });
  const page = open(html);
  assertEquals(page.querySelectorAll("script").length, 0);
  assertStringIncludes(page.querySelector("h1")!.textContent, name);
  assertStringIncludes(page.querySelector(".warning")!.textContent, name);
  assertEquals(html.includes("<script>alert"), false);
});

Deno.test("a run without rounds, training or compared criteria has a page too, and so has a very large one", () => {
  const { training: _, confusion: __, ...old } = report;
  const small = open(formatRunPage({ report: { ...old, rounds: [], criteria: [] } }));
  assertEquals(texts(small, "h2"), ["Layers", "Confidence", "Classes", "Size and speed", "How it was made"]);
  const layers = Array.from({ length: 300 }, (_, i) => ({ ...report.layers[0]!, name: `layer${i}` }));
  const classes = Array.from({ length: 1000 }, (_, i) => ({ ...report.classes[0]!, name: `class${i}` }));
  const html = formatRunPage({ report: { ...old, layers, classes } });
  assertEquals(html.length < 2e6, true);
  assertStringIncludes(open(html).body.textContent, "the first 60 of 300");
});
