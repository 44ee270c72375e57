/**
 * What a prune run prints at its end.
 *
 * @module
 */
import type { PruneRound } from "../prune/loop.ts";
import type { CompactionResult, PhaseReport, PruneReport } from "../prune/report.ts";
import { isThin } from "../prune/warnings.ts";
import { escapeLine } from "./print.ts";
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
  const { before, after } = report.cost;
  const sizes = formatTable(["size", "before", "after"], [
    ["parameters", `${before.parameters}`, `${after.parameters}`],
    ["prunable weights", `${parameters.prunable}`, `${parameters.prunable - parameters.removed}`],
    ["multiply-adds an image", `${before.multiplyAdds}`, `${Math.round(after.multiplyAdds)}`],
    ["bytes, with a bit a weight for the mask", `${bytes.before}`, `${bytes.after}`],
    ["bytes of the file", `${report.fileBytes.before}`, `${report.fileBytes.after}`],
  ]);
  const sections = [
    `Accuracy on ${dataset.test} test examples of ${escapeLine(dataset.name)}`,
    states,
    ...(report.training?.length ? ["Training", formatTraining(report.training)] : []),
    report.compaction ? "Size (after: compacted, what is kept)" : "Size (after: what is kept)",
    sizes,
    ...(report.compaction ? [formatCompaction(report.compaction, Math.min(128, dataset.test))] : []),
    `Rounds (ended by: ${report.end})`,
    formatRounds(report),
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
  if (report.warnings?.length) sections.push(report.warnings.map(formatWarning).join("\n"));
  if (report.pattern) sections.push(formatPattern(report.pattern));
  sections.push("Layers", formatLayers(report), "Classes, trained to fine-tuned", formatClasses(report));
  const changed = `${flips.rightToWrong} from right to wrong, ${flips.wrongToRight} from wrong to right`;
  sections.push(
    `Of ${dataset.test} examples ${changed}; ` +
      `${flips.stayedRight} stayed right, ${flips.stayedWrong} stayed wrong.`,
  );
  return sections.join("\n\n");
}

/** A warning as commands print it. */
export function formatWarning(sentence: string): string {
  return escapeLine(`Warning: ${sentence}.`);
}

/** What each phase ended with; with validation examples the epoch, from 1, that the values are of. */
function formatTraining(phases: readonly PhaseReport[]): string {
  const isWatched = phases.some(({ best }) => best);
  const rows = phases.map(({ phase, epochs, best }) => {
    const { loss, accuracy } = epochs[epochs.length - 1];
    const watched = best ? [`${best.epoch + 1}`, percent(best.accuracy)] : ["-", "-"];
    const cells = [phase, `${epochs.length}`, loss.toFixed(4), percent(accuracy)];
    return isWatched ? [...cells, ...watched] : cells;
  });
  const columns = ["phase", "epochs", "loss", "accuracy"];
  return formatTable(isWatched ? [...columns, "best epoch", "validation"] : columns, rows);
}

/** Rounds with what went and what came back; the temperature chosen, validation accuracy and what was undone, where there is any. */
function formatRounds({ rounds }: PruneReport): string {
  const columns: readonly (readonly [string, (round: PruneRound) => string])[] = [
    ["round", ({ round }) => `${round}`],
    ["removed", ({ removed }) => `${removed}`],
    ["sparsity", ({ sparsity }) => percent(sparsity)],
    ...(rounds.some(({ posteriorTemperature }) => posteriorTemperature)
      ? [
        [
          "T",
          ({ posteriorTemperature }: PruneRound) => `${posteriorTemperature?.temperature ?? "-"}`,
        ] as const,
      ]
      : []),
    ["out", ({ outflow }) => `${outflow}`],
    ...(rounds.some(({ inflow }) => inflow > 0)
      ? [["in", ({ inflow }: PruneRound) => `${inflow}`] as const]
      : []),
    ["pruned", ({ accuracyPruned }) => percent(accuracyPruned)],
    ["fine-tuned", ({ accuracyFinetuned }) => percent(accuracyFinetuned)],
    ...(rounds.some(({ accuracyValidation }) => accuracyValidation !== undefined)
      ? [
        ["validation", ({ accuracyValidation = 0 }: PruneRound) => percent(accuracyValidation)] as const,
        ["undone", ({ isUndone }: PruneRound) => isUndone ? "yes" : "no"] as const,
      ]
      : []),
  ];
  return formatTable(
    columns.map(([title]) => title),
    rounds.map((round) => columns.map(([, text]) => text(round))),
  );
}

function formatCompaction(
  { channels, removedLayers, largestDifference, latencyMs }: CompactionResult,
  batch: number,
): string {
  const { before, after } = latencyMs, ms = (time: number) => `${time.toFixed(2)} ms`;
  const isAnyThin = channels.some(({ before, after }) => isThin(after, before));
  const rows = channels.map(({ name, before, after }) => {
    const cells = [escapeLine(name), `${before}`, `${after}`, percent(after / before)];
    return isAnyThin ? [...cells, isThin(after, before) ? "under 5 %" : ""] : cells;
  });
  const columns = ["compacted", "channels before", "after", "kept"];
  const narrower = formatTable(isAnyThin ? [...columns, "warning"] : columns, rows);
  return [
    channels.length > 0 ? `${narrower}\n` : "Compacted: no layer has fewer channels.",
    ...(removedLayers.length > 0 ? [escapeLine(`Taken out: ${removedLayers.join(", ")}.`)] : []),
    `A batch of ${batch} takes ${ms(before)} before and ${ms(after)} after, medians of 7 in turn.`,
    `Logits differ by at most ${largestDifference.toExponential(1)} of the largest.`,
  ].join("\n");
}

/** How many groups of columns hold the pattern, and the layers of which not all do. */
function formatPattern({ keep, of, layers }: NonNullable<PruneReport["pattern"]>): string {
  const all = layers.reduce((sum, { groups }) => sum + groups, 0);
  const fitting = layers.reduce((sum, layer) => sum + layer.fitting, 0);
  const others = layers.filter((layer) => layer.fitting < layer.groups)
    .map((layer) => `${layer.name} (${layer.fitting} of ${layer.groups})`);
  return escapeLine(
    `${keep}:${of} along PyTorch's columns: ${fitting} of ${all} groups` +
      (others.length > 0 ? `; not all of ${others.join(", ")}.` : ", every one."),
  );
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
