import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Chart, drawChart } from "../../src/text/chart.ts";
import { ShapeError } from "../../src/errors.ts";

const chart: Chart = {
  x: { label: "work", ticks: [1, 10, 100], isLogarithmic: true },
  y: { label: "time", ticks: [0, 1] },
  lines: [{ name: "a & <b>", points: [{ x: 1, y: 0 }, { x: 10, y: 1, deviation: 0.5 }, { x: 100, y: 0.5 }] }],
};

Deno.test("drawChart() draws every point where its axes put it, and bars where there are deviations", () => {
  const svg = drawChart(chart);
  assertEquals(/<path d="(M[^"]*L[^"]*)"/.exec(svg)?.[1], "M60.0 370.0L305.0 20.0L550.0 195.0");
  const dots = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [x, y]);
  assertEquals(dots, [["60.0", "370.0"], ["305.0", "20.0"], ["550.0", "195.0"]]);
  assertEquals(svg.match(/d="M305\.0 195\.0V-155\.0"/g)?.length, 1);
  assert(svg.includes(">a &amp; &lt;b&gt;</text>") && !svg.includes("stroke-dasharray"));
  assert(drawChart({ ...chart, level: 0.5 }).includes('d="M60 195.0H550" stroke="#999" stroke-dasharray'));
});

Deno.test("drawChart() refuses what would show nothing", () => {
  for (
    const [wrong, message] of [
      [{ ...chart, lines: [] }, "no line"],
      [{ ...chart, lines: [...chart.lines, { name: "b", points: [] }] }, 'Cannot draw "b": no point'],
      [{ ...chart, x: { label: "work", ticks: [] } }, 'Cannot draw "work": no tick'],
    ] as const
  ) {
    assertThrows(() => drawChart(wrong), ShapeError, message);
  }
});
