/**
 * Charts of a report as SVG for a page: axes, marks and scales are Observable Plot's. Colours are the page's variables, so
 * that a chart is dark where the page is.
 *
 * @module
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

/** A point of a chart by the name of its line, or of its group of bars. */
export interface PlotPoint {
  readonly line: string;
  readonly x: number;
  readonly y: number;
  /** Half the height of the bar through it, in units of y. */
  readonly error?: number | undefined;
}

/** What lines stand in. */
export interface LinePlot {
  /** What the chart shows, for those who do not see it. */
  readonly label: string;
  readonly x: string;
  readonly y: string;
  readonly points: readonly PlotPoint[];
  /** The names of points that no line joins. */
  readonly lonely?: readonly string[];
  /** Where a dashed level line lies. */
  readonly level?: number;
  /** True if x counts things, so that ticks are whole numbers. */
  readonly isCount?: boolean;
}

/** Numbers of equal bins from 0 to 1, by name. */
export interface Histogram {
  readonly name: string;
  readonly shares: readonly number[];
}

const { document } = parseHTML("<html><body></body></html>");

/** The page's colours for lines, in order. */
export const lineColours = Array.from({ length: 8 }, (_, i) => `var(--line-${i + 1})`);

const common = { document, width: 720, marginLeft: 56, marginRight: 24 } as const;

/** The colour of a line by its place among the lines. */
function colourScale(points: readonly PlotPoint[]): Plot.ScaleOptions {
  const domain = [...new Set(points.map(({ line }) => line))];
  return { domain, range: domain.map((_, i) => lineColours[i % lineColours.length]!) };
}

function draw(label: string, options: Plot.PlotOptions): string {
  const svg = Plot.plot({ ...common, ...options, ariaLabel: label });
  svg.setAttribute("role", "img");
  return svg.outerHTML;
}

/** Lines with their points and errors; the legend names them. */
export function drawLines({ label, x, y, points, lonely = [], level, isCount }: LinePlot): string {
  const joined = points.filter(({ line }) => !lonely.includes(line));
  const distinct = new Set(points.map(({ x }) => x)).size;
  const uncertain = points.filter(({ error }) => error !== undefined);
  return draw(label, {
    height: 300,
    x: { label: x, inset: 8, ...(isCount ? { ticks: Math.min(10, distinct), tickFormat: "d" } : {}) },
    y: { label: y, grid: true, nice: true },
    color: colourScale(points),
    marks: [
      ...(level === undefined
        ? []
        : [Plot.ruleY([level], { strokeDasharray: "4 3", stroke: "var(--faint)" })]),
      Plot.line(joined, { x: "x", y: "y", stroke: "line", strokeWidth: 2 }),
      Plot.ruleX(uncertain, {
        x: "x",
        y1: (point: PlotPoint) => point.y - point.error!,
        y2: (point: PlotPoint) => point.y + point.error!,
        stroke: "line",
      }),
      Plot.dot(points, { x: "x", y: "y", fill: "line", r: points.length > 100 ? 1.5 : 3 }),
    ],
  });
}

/** A bar for each name, from 0 to its share of 1. */
export function drawShares(
  label: string,
  rows: readonly { readonly name: string; readonly share: number }[],
): string {
  const longest = Math.max(...rows.map(({ name }) => name.length));
  return draw(label, {
    height: 40 + 22 * rows.length,
    marginLeft: Math.min(260, 24 + 7 * longest),
    x: { domain: [0, 100], label: "kept, %", grid: true },
    y: { domain: rows.map(({ name }) => name), label: null },
    marks: [
      Plot.barX(rows, {
        x: ({ share }: { readonly share: number }) => 100 * share,
        y: "name",
        fill: "var(--line-1)",
      }),
      Plot.ruleX([0]),
    ],
  });
}

/** A small histogram for each name, all to one scale. */
export function drawHistograms(label: string, histograms: readonly Histogram[]): string {
  const columns = 4, rows = Math.ceil(histograms.length / columns);
  const bars = histograms.flatMap(({ name, shares }, i) =>
    shares.map((share, bin) => ({
      ...{ name, column: i % columns, row: Math.floor(i / columns) },
      from: bin / shares.length,
      to: (bin + 1) / shares.length,
      share: 100 * share,
    }))
  );
  const titles = histograms.map(({ name }, i) => ({
    name: name.length > 24 ? `${name.slice(0, 11)}...${name.slice(-10)}` : name,
    column: i % columns,
    row: Math.floor(i / columns),
  }));
  const facet = { fx: "column", fy: "row" };
  return draw(label, {
    height: 50 + 110 * rows,
    marginTop: 24,
    x: { label: "confidence", ticks: [0, 0.5, 1] },
    y: { label: "weights, %", ticks: 3, grid: true },
    fx: { axis: null, padding: 0.15 },
    fy: { axis: null, padding: 0.35 },
    marks: [
      Plot.rectY(bars, { ...facet, x1: "from", x2: "to", y: "share", fill: "var(--line-1)" }),
      Plot.text(titles, { ...facet, text: "name", frameAnchor: "top", dy: -14 }),
    ],
  });
}

/** A matrix of counts with the share of each row as its shade: true classes in rows, predicted ones in columns. */
export function drawMatrix(
  label: string,
  classes: readonly string[],
  counts: readonly (readonly number[])[],
): string {
  const cells = counts.flatMap((row, i) => {
    const total = Math.max(1, row.reduce((sum, count) => sum + count, 0));
    return row.map((count, j) => ({ row: classes[i]!, column: classes[j]!, count, share: count / total }));
  });
  const longest = Math.max(...classes.map((name) => name.length)), side = Math.max(320, 34 * classes.length);
  const names = classes.length <= 20;
  return draw(label, {
    width: side + 7 * longest + 30,
    height: side + 7 * longest + 30,
    marginLeft: 7 * longest + 24,
    marginTop: 7 * longest + 24,
    marginBottom: 8,
    padding: 0.04,
    x: { domain: [...classes], axis: "top", label: "predicted", tickRotate: -60 },
    y: { domain: [...classes], label: "true" },
    color: { type: "identity" },
    marks: [
      Plot.cell(cells, {
        x: "column",
        y: "row",
        fill: "var(--line-1)",
        fillOpacity: (cell: { readonly share: number }) => cell.share,
      }),
      ...(names
        ? [
          Plot.text(cells.filter(({ count }) => count > 0), {
            x: "column",
            y: "row",
            text: "count",
            fill: "currentColor",
          }),
        ]
        : []),
    ],
  });
}
