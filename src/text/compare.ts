/**
 * What comparisons print, and the figure that they draw.
 *
 * @module
 */
import type { CompareCell, CompareReport, SensitivityReport } from "../report/compare_report.ts";
import { standardError } from "../train/evaluate.ts";
import { type ChartLine, drawChart } from "./chart.ts";
import { listSome } from "../io/parameters.ts";
import { describeEmpty } from "../report/warnings.ts";
import { escapeLine } from "./escape.ts";
import { formatWarning } from "./prune.ts";
import { formatTable } from "./table.ts";

/** Mean and deviation of some numbers; the deviation (n - 1) is undefined for one alone. */
function describe(
  numbers: readonly number[],
): { readonly mean: number; readonly deviation: number | undefined } {
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  if (numbers.length < 2) return { mean, deviation: undefined };
  const squares = numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (numbers.length - 1)) };
}

const percent = (fraction: number) => (100 * fraction).toFixed(1);
const sparsityText = (sparsity: number) => `${Number((100 * sparsity).toFixed(4))} %`;

/** The mean of accuracies over seeds with their deviation, or one with the standard error of so many examples. */
function meanText(accuracies: readonly number[], examples: number): string {
  if (accuracies.length === 0) return "-";
  const { mean, deviation = standardError(mean, examples) } = describe(accuracies);
  return `${percent(mean)} +- ${percent(deviation)}`;
}

/** Test and validation examples that accuracies of a comparison are of. */
interface Counts {
  readonly test: number;
  readonly validation: number;
}

/** Says what stands behind `+-`. */
function explainErrors({ trained, cells }: CompareReport, { test, validation }: Counts): string {
  const ofTest = `${test} test examples`;
  const ofBoth = cells.some((cell) => cell.validation)
    ? `${ofTest}, or of ${validation} for validation`
    : ofTest;
  if (trained.length === 1) return `+- is the standard error of an accuracy on ${ofBoth}.`;
  const errors = cells.map(({ accuracy, accuracyFinetuned = accuracy }) =>
    standardError(accuracyFinetuned, test)
  );
  return "+- is the standard deviation over seeds; of one seed alone, the standard error of an accuracy on " +
    `${ofBoth}, which is up to ${percent(Math.max(...errors))} points on test examples here.`;
}

/** Variants and sparsities, in the order in which they first occur, the sparsities rising. */
function collectAxes(cells: readonly CompareCell[]) {
  return {
    variants: [...new Set(cells.map(({ variant }) => variant))],
    sparsities: [...new Set(cells.map(({ sparsity }) => sparsity))].sort((a, b) => a - b),
  };
}

/** Results of one kind on validation examples. */
type ValidationMeasure = "validation" | "validationFinetuned";

const mean = (numbers: readonly number[]) => describe(numbers).mean;

/** The variant at a sparsity whose mean accuracy over seeds is highest on validation examples; of equals that of the
 * lowest loss. */
function findBest(cells: readonly CompareCell[], sparsity: number, measure: ValidationMeasure) {
  const results = collectAxes(cells).variants.flatMap((variant) => {
    const own = cells.filter((cell) => cell.variant === variant && cell.sparsity === sparsity);
    const found = own.flatMap(({ [measure]: result }) => result ?? []);
    if (found.length === 0) return [];
    const means = {
      accuracy: mean(found.map(({ accuracy }) => accuracy)),
      loss: mean(found.map(({ loss }) => loss)),
    };
    return [{ variant, found, own, ...means }];
  });
  return results.sort((a, b) => b.accuracy - a.accuracy || a.loss - b.loss).at(0);
}

/** The best variants by validation: rows of sparsities. */
function formatBest(cells: readonly CompareCell[], measure: ValidationMeasure, counts: Counts): string {
  const test = measure === "validation" ? "accuracy" : "accuracyFinetuned";
  const rows = collectAxes(cells).sparsities.flatMap((sparsity) => {
    const best = findBest(cells, sparsity, measure);
    if (!best) return [];
    return [[
      sparsityText(sparsity),
      best.variant,
      meanText(best.found.map(({ accuracy }) => accuracy), counts.validation),
      best.loss.toFixed(4),
      meanText(best.own.flatMap(({ [test]: accuracy }) => accuracy ?? []), counts.test),
    ]];
  });
  return formatTable(["sparsity", "best on validation", "validation, %", "loss", "test, %"], rows);
}

/**
 * A comparison as tables: rows of variants, columns of sparsities, the mean and deviation over seeds, in per cent; with
 * results on validation examples those too, and the best variants by them.
 */
export function formatCompare(report: CompareReport): string {
  const { trained, cells, dataset, model, config } = report;
  const { variants, sparsities } = collectAxes(cells);
  const counts = {
    test: Math.min(config.data.testLimit || Infinity, dataset.test),
    validation: config.validation?.examples ?? 0,
  };
  const table = (accuracyOf: (cell: CompareCell) => number | undefined, examples: number) =>
    formatTable(
      ["variant", ...sparsities.map(sparsityText)],
      variants.map((variant) => {
        const own = cells.filter((cell) => cell.variant === variant);
        const at = (sparsity: number) => own.filter((cell) => cell.sparsity === sparsity);
        return [
          variant,
          ...sparsities.map((sparsity) =>
            meanText(at(sparsity).flatMap((cell) => accuracyOf(cell) ?? []), examples)
          ),
        ];
      }),
    );
  const validated = trained.flatMap(({ validation }) => validation?.accuracy ?? []);
  const onValidation = validated.length > 0
    ? ` (${meanText(validated, counts.validation)} % on ${counts.validation} validation examples)`
    : "";
  const sections = [
    `${escapeLine(`${model} on ${dataset.name}`)}: ${
      meanText(trained.map(({ accuracy }) => accuracy), counts.test)
    } % before pruning` +
    `${onValidation}, ${trained.length} ${trained.length === 1 ? "seed" : "seeds"}`,
  ];
  const kinds = [
    { when: "after removal", test: "accuracy", validation: "validation" },
    { when: "after fine-tuning", test: "accuracyFinetuned", validation: "validationFinetuned" },
  ] as const;
  for (const { when, test, validation } of kinds) {
    if (when === "after removal" || cells.some(({ [test]: accuracy }) => accuracy !== undefined)) {
      sections.push(`Test accuracy ${when}, %`, table(({ [test]: accuracy }) => accuracy, counts.test));
    }
    if (cells.every(({ [validation]: result }) => result === undefined)) continue;
    sections.push(
      `Validation accuracy ${when}, %`,
      table(({ [validation]: result }) => result?.accuracy, counts.validation),
    );
    sections.push(formatBest(cells, validation, counts));
  }
  if (cells.length > 0) sections.push(explainErrors(report, counts));
  const warnings = formatWarnings(cells);
  if (warnings.length > 0) sections.push(warnings.join("\n"));
  return sections.join("\n\n");
}

/** Warnings of layers of which nothing is left, and notes on little that is left and on accuracy at chance. */
function formatWarnings(cells: readonly CompareCell[]): readonly string[] {
  const { variants, sparsities } = collectAxes(cells);
  const each = variants.flatMap((variant) =>
    sparsities.map((sparsity) => ({
      where: `${variant} at ${sparsityText(sparsity)}`,
      own: cells.filter((cell) => cell.variant === variant && cell.sparsity === sparsity),
    }))
  );
  const warnings = each.flatMap(({ where, own }) => {
    const names = [...new Set(own.flatMap(({ emptyLayers = [] }) => emptyLayers))];
    return names.length > 0 ? [formatWarning(describeEmpty(names, where))] : [];
  });
  const thin = each.flatMap(({ where, own }) => {
    const names = [...new Set(own.flatMap(({ thinLayers = [] }) => thinLayers))];
    return names.length > 0 ? [`${where} (${listSome(names)})`] : [];
  });
  const lost = each.flatMap(({ where, own }) => own.some(({ isAtChance }) => isAtChance) ? [where] : []);
  return [
    ...warnings,
    ...(thin.length > 0 ? [`Note: under 5 % of a layer is left by ${thin.join(", ")}.`] : []),
    ...(lost.length > 0 ? [`Note: accuracy is no better than chance by ${lost.join(", ")}.`] : []),
  ].map(escapeLine);
}

/** Layers of a coupled set that a table names; of more it says how many there are. */
const namedLayers = 2;

/** The name of what was pruned, short enough for a table. */
function shortName(layer: string): string {
  const names = layer.split(" + "), more = names.length - namedLayers;
  return more <= 1 ? layer : `${names.slice(0, namedLayers).join(" + ")} + ${more} more`;
}

/** A scan as a table: rows of layers, columns of sparsities, accuracy on the validation examples in per cent. */
export function formatSensitivity({ trained, cells, model, config }: SensitivityReport): string {
  const layers = [...new Set(cells.map(({ layer }) => layer))];
  const sparsities = [...new Set(cells.map(({ sparsity }) => sparsity))].sort((a, b) => a - b);
  const rows = layers.map((layer) => [
    shortName(layer),
    ...sparsities.map((sparsity) => {
      const cell = cells.find((cell) => cell.layer === layer && cell.sparsity === sparsity);
      return cell ? meanText([cell.accuracy], trained.validation) : "-";
    }),
  ]);
  const before = `${
    meanText([trained.accuracy], trained.validation)
  } % on ${trained.validation} validation examples, loss ${trained.loss.toFixed(4)}`;
  const [what, head] = config.prune.select.granularity === "channel"
    ? ["the channels that some layers make", "layers"]
    : ["one layer", "layer"];
  return [
    `${escapeLine(model)}: ${before}; accuracy with ${what} pruned alone, % +- standard error`,
    formatTable([head, ...sparsities.map(sparsityText)], rows),
  ].join("\n\n");
}

/** The lines of a figure of accuracies in per cent against sparsities in per cent. */
export function drawAccuracies(lines: readonly ChartLine[], dense: number): string {
  const sparsities = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) =>
    a - b
  );
  return drawChart({
    x: { label: "weights removed, %", ticks: sparsities },
    y: { label: "test accuracy, %", ticks: [0, 20, 40, 60, 80, 100] },
    lines,
    level: dense,
  });
}

/**
 * A comparison as an SVG figure: mean accuracy against sparsity, after fine-tuning where all results have that, a line a
 * variant, bars of one deviation.
 *
 * @throws {ShapeError} Where there is no result.
 */
export function drawCompare({ trained, cells }: CompareReport): string {
  const { variants, sparsities } = collectAxes(cells);
  const isFinetuned = cells.every(({ accuracyFinetuned }) => accuracyFinetuned !== undefined);
  const accuraciesOf = (variant: string, sparsity: number) =>
    cells.filter((cell) => cell.variant === variant && cell.sparsity === sparsity)
      .map(({ accuracy, accuracyFinetuned }) => 100 * (isFinetuned ? accuracyFinetuned! : accuracy));
  const lines = variants.map((name) => ({
    name,
    points: sparsities.flatMap((sparsity) => {
      const accuracies = accuraciesOf(name, sparsity);
      if (accuracies.length === 0) return [];
      const { mean: y, deviation } = describe(accuracies);
      return [{ x: Number((100 * sparsity).toFixed(2)), y, deviation }];
    }),
  }));
  return drawAccuracies(lines, mean(trained.map(({ accuracy }) => 100 * accuracy)));
}
