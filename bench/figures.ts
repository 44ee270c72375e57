/**
 * Draws the figures of docs/: those of tables out of the tables of docs/results.md, those of trainings out of what
 * bench/curves.ts printed.
 *
 *     deno run --allow-read --allow-write=docs bench/figures.ts
 *
 * @module
 */
import { type ChartPoint, drawChart } from "../src/text/chart.ts";
import { drawAccuracies } from "../src/text/compare.ts";

/** Reads a file of the repository. */
type ReadText = (path: string) => string;

/** A table of Markdown: its head, and its rows by their first cells. */
interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const cellsOf = (line: string) => line.split("|").slice(1, -1).map((cell) => cell.trim());

/** The table whose head begins with a title. */
function readTable(text: string, title: string): Table {
  const lines = text.split("\n"), first = lines.findIndex((line) => line.startsWith(`| ${title} |`));
  if (first < 0) throw new Error(`docs/results.md has no table whose head begins with "${title}"`);
  const end = lines.findIndex((line, i) => i > first && !line.startsWith("|"));
  return { head: cellsOf(lines[first]!), rows: lines.slice(first + 2, end).map(cellsOf) };
}

/** One line for each criterion, as it is by default, out of the table of all variants. */
function drawCriteria(read: ReadText): string {
  const text = read("docs/results.md"), { head, rows } = readTable(text, "variant");
  const dense = Number(/(\d+\.\d) \+- \d+\.\d\s+before pruning/.exec(text)?.[1]);
  const lines = rows.filter(([name]) => !name!.includes(",") || name!.endsWith("(default)")).map((cells) => ({
    name: cells[0]!.split(",")[0]!,
    points: cells.slice(1).map((cell, i) => {
      const [y, deviation] = cell.split(" +- ").map(Number);
      return { x: parseFloat(head[i + 1]!), y: y!, deviation };
    }),
  }));
  return drawAccuracies(lines, dense);
}

/** Time for each unit of work against the amount of work, both as multiples of the first row of a table. */
function drawScaling(read: ReadText): string {
  const titles = {
    "examples": "Examples a step",
    "width": "Width, as a multiple of the seed network's",
    "convolutions": "Convolutions",
    "parameters": "Parameters scored, thresholded and masked",
  };
  const lines = Object.entries(titles).map(([name, title]) => {
    const { rows } = readTable(read("docs/results.md"), title);
    const sizes = rows.map(([size]) => Number(size!.replaceAll(",", "")));
    const points = rows.flatMap((cells, i): ChartPoint[] => {
      const y = Number(cells.at(-1));
      return Number.isNaN(y) ? [] : [{ x: sizes[i]! / sizes[0]!, y }];
    });
    return { name, points };
  });
  return drawChart({
    x: {
      label: "amount of work, as a multiple of the smallest",
      ticks: [1, 2, 4, 10, 20, 40, 100],
      isLogarithmic: true,
    },
    y: { label: "time for each unit of work, relative", ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
    lines,
  });
}

/** Accuracy on the examples trained on, and on test images, against epochs. */
function drawCurves(text: string, ticks: { readonly x: readonly number[]; readonly y: readonly number[] }) {
  const rows: readonly Readonly<Record<string, number>>[] = text.trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  const names = { accuracy: "trained on, as augmented", testAccuracy: "test images" };
  const lines = Object.entries(names).map(([key, name]) => ({
    name,
    points: rows.flatMap((row): ChartPoint[] => key in row ? [{ x: row.epoch!, y: 100 * row[key]! }] : []),
  }));
  return drawChart({
    x: { label: "epochs", ticks: ticks.x },
    y: { label: "accuracy, %", ticks: ticks.y },
    lines,
  });
}

/** What bench/loop_paths.ts prints, as far as its figure shows it. */
type LoopLine =
  | { readonly kind: "dense"; readonly accuracy: number }
  | { readonly kind: "confidence"; readonly prunable: number; readonly rounds: readonly LoopRound[] }
  | { readonly kind: "magnitude, same rounds"; readonly rounds: readonly LoopRound[] }
  | { readonly kind: "magnitude, at once"; readonly removed: number; readonly accuracy: number };

interface LoopRound {
  readonly removed: number;
  readonly accuracy?: number;
  readonly accuracyFinetuned?: number;
}

/** Accuracy after each round of the loop against the share of the weights that is left. */
function drawLoop(text: string) {
  const rows: readonly LoopLine[] = text.trim().split("\n").map((line) => JSON.parse(line));
  const prunable = rows.find((row) => row.kind === "confidence")!.prunable;
  const x = (removed: number) => 100 * (1 - removed / prunable);
  const dense = rows.find((row) => row.kind === "dense")!.accuracy;
  return drawChart({
    x: { label: "weights left, %", ticks: [1, 2, 5, 10, 20, 50, 100], isLogarithmic: true },
    y: { label: "accuracy, %", ticks: [40, 45, 50, 55, 60] },
    lines: rows.flatMap((row) => {
      if (row.kind === "dense") return [];
      const rounds: readonly LoopRound[] = "rounds" in row ? row.rounds : [row];
      const points = rounds.map(({ removed, accuracy, accuracyFinetuned = accuracy! }) => ({
        x: x(removed),
        y: 100 * accuracyFinetuned,
      }));
      return [{ name: row.kind, points }];
    }),
    level: 100 * dense,
  });
}

/** The figures by their paths. */
export const figures: Readonly<Record<string, (read: ReadText) => string>> = {
  "docs/criteria.svg": drawCriteria,
  "docs/scaling.svg": drawScaling,
  "docs/loop.svg": (read) => drawLoop(read("docs/loop.jsonl")),
  "docs/curves.svg": (read) =>
    drawCurves(read("docs/curves.jsonl"), {
      x: [0, 5, 10, 15, 20, 25, 30, 35, 40],
      y: [0, 20, 40, 60, 80, 100],
    }),
  "docs/finetune.svg": (read) =>
    drawCurves(read("docs/finetune.jsonl"), { x: [0, 2, 4, 6, 8, 10], y: [80, 82, 84, 86, 88, 90, 92, 94] }),
};

if (import.meta.main) {
  const root = new URL("..", import.meta.url);
  for (const [path, draw] of Object.entries(figures)) {
    const svg = draw((from) => Deno.readTextFileSync(new URL(from, root)));
    await Deno.writeTextFile(new URL(path, root), svg);
  }
}
