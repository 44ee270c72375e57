/**
 * Draws the figures of docs/ from measured JSON.
 *
 *     deno run --no-lock --allow-read --allow-write=docs --allow-env bench/plot.ts sweep sweep.json docs/criteria.svg
 *     deno run --no-lock --allow-read --allow-write=docs --allow-env bench/plot.ts scaling scaling.jsonl docs/scaling.svg
 *
 * @module
 */
import type { SweepPoint } from "./criteria_sweep.ts";

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

/** A colour a name, and the names in their colours as text at the left, from so many pixels above the bottom on. */
function colourNames(plot: Plot, names: readonly string[], bottomPixels: number) {
  const range = names.map((_, i) => colours[i % colours.length]!);
  const legend = names.map((name, i) =>
    plot.text([name], {
      frameAnchor: "bottom-left",
      dx: 12,
      dy: -bottomPixels - 16 * (names.length - 1 - i),
      fill: range[i],
      fontWeight: 600,
    })
  );
  return { color: { domain: names, range }, legend };
}

/** One-shot accuracy against sparsity, a line a criterion, the mean over seeds. */
function plotSweep(plot: Plot, points: readonly SweepPoint[], document: unknown) {
  const dense = mean(points.filter(({ criterion }) => criterion === "dense").map(({ accuracy }) => accuracy));
  const groups = Map.groupBy(
    points.filter(({ criterion }) => criterion !== "dense"),
    ({ criterion, sparsity }) => `${criterion}|${sparsity}`,
  );
  const rows = [...groups.values()].map((group) => ({
    criterion: group[0]!.criterion,
    sparsity: 100 * group[0]!.sparsity,
    accuracy: 100 * mean(group.map(({ accuracy }) => accuracy)),
  }));
  const { color, legend } = colourNames(plot, [...new Set(rows.map(({ criterion }) => criterion))], 110);
  const channels = { x: "sparsity", y: "accuracy", stroke: "criterion" };
  return plot.plot({
    document,
    width: 760,
    height: 420,
    marginRight: 30,
    style,
    x: { label: "weights removed, %", domain: [48, 100] },
    y: { label: "test accuracy without training after it, %", grid: true, domain: [0, 70] },
    color,
    marks: [
      ...legend,
      plot.ruleY([100 * dense], { stroke: "#999", strokeDasharray: "4 3" }),
      plot.line(rows, channels),
      plot.dot(rows, { ...channels, fill: "criterion", r: 2.5 }),
    ],
  });
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

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const [what, from, to] = Deno.args as [string, string, string];
const plot = await import(packages.plot) as Plot;
const { parseHTML } = await import(packages.dom) as { parseHTML(html: string): { document: unknown } };
const { document } = parseHTML("<!doctype html><html><body></body></html>");
const text = await Deno.readTextFile(from);
const figure = what === "sweep"
  ? plotSweep(plot, JSON.parse(text), document)
  : plotScaling(plot, text.trim().split("\n").map((line) => JSON.parse(line)), document);
const svg = figure.outerHTML.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ');
await Deno.writeTextFile(to, `${svg}\n`);
