/**
 * What a prune run prints at its end.
 *
 * @module
 */
import type { PruneReport } from "../prune/report.ts";
import { formatTable } from "./table.ts";

const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;
const signed = (count: number): string => count > 0 ? `+${count}` : `${count}`;

/** The report as tables for people. */
export function formatReport(report: PruneReport): string {
  const { accuracy, parameters, bytes, dataset, flips, config } = report;
  const states = formatTable(["network", "test accuracy"], [
    ["untrained", percent(accuracy.untrained)],
    ["trained", percent(accuracy.trained)],
    [`pruned by ${config.criterion}`, percent(accuracy.pruned)],
    ["fine-tuned", percent(accuracy.finetuned)],
  ]);
  const sizes = formatTable(["size", "before", "after"], [
    ["parameters", `${parameters.total}`, `${parameters.total - parameters.removed}`],
    ["prunable weights", `${parameters.prunable}`, `${parameters.prunable - parameters.removed}`],
    ["bytes", `${bytes.before}`, `${bytes.after}`],
  ]);
  const rounds = formatTable(
    ["round", "removed", "sparsity", "pruned", "fine-tuned"],
    report.rounds.map((round) => [
      `${round.round}`,
      `${round.removed}`,
      percent(round.sparsity),
      percent(round.accuracyPruned),
      percent(round.accuracyFinetuned),
    ]),
  );
  const sections = [
    `Accuracy on ${dataset.test} test examples of ${dataset.name}`,
    states,
    `Size (after: kept values, and a bit a weight for the mask)`,
    sizes,
    `Rounds (ended by: ${report.end})`,
    rounds,
  ];
  if (report.criteria.length > 0) {
    const rows = report.criteria.map(({ criterion, accuracy, accuracyFinetuned }) => {
      return [criterion, percent(accuracy), percent(accuracyFinetuned)];
    });
    sections.push(
      `Criteria at ${percent(parameters.removed / parameters.prunable)} sparsity, removed at once`,
      formatTable(["criterion", "pruned", "fine-tuned"], rows),
    );
  }
  sections.push("Layers", formatLayers(report), "Classes, trained to fine-tuned", formatClasses(report));
  const changed = `${flips.rightToWrong} from right to wrong, ${flips.wrongToRight} from wrong to right`;
  sections.push(
    `Of ${dataset.test} examples ${changed}; ` +
      `${flips.stayedRight} stayed right, ${flips.stayedWrong} stayed wrong.`,
  );
  return sections.join("\n\n");
}

function formatClasses({ classes }: PruneReport): string {
  return formatTable(
    ["class", "before", "after", "examples", "mistaken most for"],
    classes.map(({ name, before, after, change, mistakenFor }) => [
      name,
      percent(before),
      percent(after),
      signed(change),
      mistakenFor ? `${mistakenFor.name} (${mistakenFor.count})` : "none",
    ]),
  );
}

/** Kept weights and how the trained network's confidence is distributed, in quarters of [0, 1]. */
function formatLayers({ layers }: PruneReport): string {
  const quarters = ["below 0.25", "to 0.5", "to 0.75", "to 1"];
  return formatTable(
    ["layer", "weights", "kept", "empty channels", ...quarters.map((quarter) => `confidence ${quarter}`)],
    layers.map(({ name, weights, kept, channels, emptyChannels, confidenceHistogram }) => {
      const total = confidenceHistogram.reduce((sum, count) => sum + count, 0);
      const size = confidenceHistogram.length / 4;
      const shares = quarters.map((_, i) => {
        const bins = confidenceHistogram.slice(Math.round(i * size), Math.round((i + 1) * size));
        return percent(bins.reduce((sum, count) => sum + count, 0) / Math.max(1, total));
      });
      return [name, `${weights}`, percent(kept / weights), `${emptyChannels} of ${channels}`, ...shares];
    }),
  );
}
