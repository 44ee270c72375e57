/**
 * Draws the figures of docs/ from what `deno task bench --scaling --json` and bench/curves.ts print.
 *
 *     deno run --no-lock --allow-read --allow-write=docs --allow-env bench/plot.ts scaling scaling.jsonl docs/scaling.svg
 *     deno run --no-lock --allow-read --allow-write=docs --allow-env bench/plot.ts curves curves.jsonl docs/curves.svg
 *
 * @module
 */
// Names that are known only at run time keep these packages out of everybody else's cache.
const packages = { plot: "npm:@observablehq/plot@0.6.17", dom: "npm:linkedom@0.18.12" };

/** The part of Observable Plot that is used. */
interface Plot {
  plot(options: Record<string, unknown>): { toString(): string; outerHTML: string };
  line(values: readonly unknown[], options: Record<string, unknown>): unknown;
  dot(values: readonly unknown[], options: Record<string, unknown>): unknown;
  text(values: readonly unknown[], options: Record<string, unknown>): unknown;
  ruleY(values: readonly number[], options: Record<string, unknown>): unknown;
}

/** Colours told apart by most people (Okabe and Ito 2008), repeated from the ninth on. */
const colours = ["#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000", "#999999"];

const style = { fontFamily: "system-ui, sans-serif", fontSize: "13px", background: "white" };

/** A colour a name, and the names in their colours as text, from so many pixels above the bottom and right of the left on. */
function colourNames(plot: Plot, names: readonly string[], bottomPixels: number, leftPixels = 12) {
  const range = names.map((_, i) => colours[i % colours.length]!);
  const legend = names.map((name, i) =>
    plot.text([name], {
      frameAnchor: "bottom-left",
      dx: leftPixels,
      dy: -bottomPixels - 16 * (names.length - 1 - i),
      fill: range[i],
      fontWeight: 600,
    })
  );
  return { color: { domain: names, range }, legend };
}

/** Cost for each unit of work against the amount of work, both as multiples of the first point of a series. */
function plotScaling(plot: Plot, rows: readonly Record<string, unknown>[], document: unknown) {
  const series = Map.groupBy(rows.filter(({ size, value }) => size && value), ({ series }) => String(series));
  const points = [...series].flatMap(([name, group]) => {
    const first = group[0]!;
    return group.map((row) => ({
      series: name,
      work: Number(row.size) / Number(first.size),
      cost: Number(row.perUnit) / Number(first.perUnit),
    }));
  });
  const { color, legend } = colourNames(plot, [...series.keys()], 220);
  const channels = { x: "work", y: "cost", stroke: "series" };
  return plot.plot({
    document,
    width: 760,
    height: 380,
    style,
    x: { label: "amount of work, as a multiple of the smallest", type: "log" },
    y: { label: "time for each unit of work, as a multiple of the smallest", grid: true, domain: [0, 2] },
    color,
    marks: [
      ...legend,
      plot.ruleY([1], { stroke: "#999" }),
      plot.line(points, channels),
      plot.dot(points, channels),
    ],
  });
}

/** Accuracy on the examples trained on, before each step, and on test images, after each epoch. */
function plotCurves(plot: Plot, rows: readonly Record<string, unknown>[], document: unknown) {
  const names = { accuracy: "trained on, as augmented", testAccuracy: "test images" };
  const points = Object.entries(names).flatMap(([key, series]) =>
    rows.filter((row) => row[key] !== undefined)
      .map((row) => ({ series, epoch: Number(row.epoch), accuracy: 100 * Number(row[key]) }))
  );
  const { color, legend } = colourNames(plot, Object.values(names), 40, 420);
  const channels = { x: "epoch", y: "accuracy", stroke: "series" };
  return plot.plot({
    document,
    width: 760,
    height: 380,
    style,
    x: { label: "epochs" },
    y: { label: "accuracy, %", grid: true },
    color,
    marks: [...legend, plot.line(points, channels), plot.dot(points, { ...channels, r: 2 })],
  });
}

const [what, from, to] = Deno.args as [string, string, string];
const plot = await import(packages.plot) as Plot;
const { parseHTML } = await import(packages.dom) as { parseHTML(html: string): { document: unknown } };
const { document } = parseHTML("<!doctype html><html><body></body></html>");
const text = await Deno.readTextFile(from);
const rows = text.trim().split("\n").map((line) => JSON.parse(line));
const figure = (what === "curves" ? plotCurves : plotScaling)(plot, rows, document);
const svg = figure.outerHTML.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ');
await Deno.writeTextFile(to, `${svg}\n`);
