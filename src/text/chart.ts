/**
 * Lines in a figure, as SVG: what `deno task compare` draws, and the figures of docs/.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";

/** One axis. It spans its ticks, from the first to the last. */
export interface ChartAxis {
  readonly label: string;
  /** Rising numbers, written beside the axis. */
  readonly ticks: readonly number[];
  /** True gives equal ratios equal lengths; ticks are then above 0. */
  readonly isLogarithmic?: boolean;
}

/** A point of a line. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  /** Half the length of the bar through the point, in units of y; without one there is no bar. */
  readonly deviation?: number | undefined;
}

/** A line with its name. */
export interface ChartLine {
  readonly name: string;
  readonly points: readonly ChartPoint[];
}

/** A figure. */
export interface Chart {
  readonly x: ChartAxis;
  readonly y: ChartAxis;
  readonly lines: readonly ChartLine[];
  /** Where a dashed level line lies, in units of y. */
  readonly level?: number | undefined;
}

/** Colours told apart by most people (Okabe and Ito 2008), repeated from the ninth on. */
const colours = ["#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000", "#999999"];

const width = 760, height = 420, left = 60, right = 210, top = 20, bottom = 50;

/** Maps an axis' numbers to pixels. */
function makeScale({ ticks, isLogarithmic }: ChartAxis, from: number, to: number): (value: number) => number {
  const transform = isLogarithmic ? Math.log : (value: number) => value;
  const low = transform(ticks[0]!), span = transform(ticks[ticks.length - 1]!) - low || 1;
  return (value) => from + (transform(value) - low) / span * (to - from);
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/**
 * Draws lines, each in its colour, with a dot at each point, bars of deviations, and names at the right.
 *
 * @throws {ShapeError} Where there is no line, an axis has no tick, or a line has no point: such a figure says nothing.
 */
export function drawChart({ x, y, lines, level }: Chart): string {
  const refuse = (thing: string, current: string, wanted: string) =>
    new ShapeError({ act: "draw", thing, current, wanted });
  if (lines.length === 0) throw refuse(y.label, "no line", "at least one");
  for (const { label, ticks } of [x, y]) {
    if (ticks.length === 0) throw refuse(label, "no tick", "at least one");
  }
  for (const { name, points } of lines) {
    if (points.length === 0) throw refuse(name, "no point", "at least one");
  }
  const xOf = makeScale(x, left, width - right), yOf = makeScale(y, height - bottom, top);
  const at = (pixels: number) => pixels.toFixed(1);
  const text = (px: number, py: number, label: string, more = "") =>
    `<text x="${at(px)}" y="${at(py)}"${more}>${
      label.replaceAll(/[&<>"]/g, (sign) => escapes[sign]!)
    }</text>`;
  const grid = y.ticks.map((tick) =>
    `<path d="M${left} ${at(yOf(tick))}H${width - right}" stroke="#ddd"/>` +
    text(left - 8, yOf(tick) + 4, `${tick}`, ' text-anchor="end"')
  );
  const marks = x.ticks.map((tick) =>
    text(xOf(tick), height - bottom + 18, `${tick}`, ' text-anchor="middle"')
  );
  const drawn = lines.map(({ name, points }, i) => {
    const colour = colours[i % colours.length]!;
    const path = points.map((point, j) => `${j ? "L" : "M"}${at(xOf(point.x))} ${at(yOf(point.y))}`).join("");
    const dots = points.map((point) => {
      const { deviation } = point, px = at(xOf(point.x));
      const bar = deviation === undefined
        ? ""
        : `<path d="M${px} ${at(yOf(point.y - deviation))}V${
          at(yOf(point.y + deviation))
        }" stroke="${colour}"/>`;
      return `${bar}<circle cx="${px}" cy="${at(yOf(point.y))}" r="2.5" fill="${colour}"/>`;
    });
    const label = text(width - right + 16, top + 12 + 16 * i, name, ` fill="${colour}" font-weight="600"`);
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>${dots.join("")}${label}`;
  });
  const dashes = level === undefined
    ? []
    : [`<path d="M${left} ${at(yOf(level))}H${width - right}" stroke="#999" stroke-dasharray="4 3"/>`];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"` +
    ` font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...grid,
    ...marks,
    ...dashes,
    ...drawn,
    text((left + width - right) / 2, height - 12, x.label, ' text-anchor="middle"'),
    text(14, height / 2, y.label, ` text-anchor="middle" transform="rotate(-90 14 ${height / 2})"`),
    "</svg>\n",
  ].join("\n");
}
