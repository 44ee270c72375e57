/**
 * What a prune run prints at its end.
 *
 * @module
 */
import { type PruneRound, stableFraction } from "../prune/loop.ts";
import type { CompactionReport } from "../prune/compact/compact_network.ts";
import type { Latency, PruneReport } from "../report/prune_report.ts";
import { isThin } from "../report/warnings.ts";
import { accuracyText, percentText as percent } from "./accuracy.ts";
import { escapeLine } from "./escape.ts";
import { formatTable } from "./table.ts";

const signed = (count: number): string => count > 0 ? `+${count}` : `${count}`;

/** The states of the network that differ: without training it is as it was loaded, without fine-tuning as pruned. */
function formatStates(
  { accuracy, config: { train, prune }, ownCriteria = {}, dataset: { test }, start }: PruneReport,
): string {
  const [criterion = prune.score.by] = Object.keys(ownCriteria);
  const isTrained = train.epochs > 0, isGiven = start === "given" || !isTrained;
  const rows: readonly (readonly [string, number])[] = [
    [isGiven ? "as loaded" : "untrained", accuracy.untrained],
    ...(isTrained ? [["trained", accuracy.trained] as const] : []),
    [`pruned by ${criterion}${"refit" in prune.after ? ", the rest refitted" : ""}`, accuracy.pruned],
    ...(prune.finetune.epochs > 0 ? [["fine-tuned", accuracy.finetuned] as const] : []),
  ];
  return formatTable(
    ["network", "test accuracy"],
    rows.map(([name, fraction]) => [name, accuracyText(fraction, test)]),
  );
}

/** The report as tables for people, with the time that compaction gains where it was measured. */
export function formatReport(report: PruneReport, latency: Latency | null = null): string {
  const { parameters, dataset } = report, isFinetuned = report.config.prune.finetune.epochs > 0;
  const sections = [
    `Accuracy on ${dataset.test} test examples of ${escapeLine(dataset.name)}, with its standard error`,
    formatStates(report),
    ...(report.training?.length ? ["Training, on the examples trained on", formatTraining(report)] : []),
    "Size",
    formatSizes(report),
    ...(report.compaction ? [formatCompaction(report.compaction, latency)] : []),
    `Rounds (${endText(report)})`,
    formatRounds(report),
  ];
  if (report.criteria.length > 0) {
    const rows = report.criteria.map(({ criterion, accuracy, accuracyFinetuned }) => [
      criterion,
      accuracyText(accuracy, dataset.test),
      ...(isFinetuned ? [accuracyText(accuracyFinetuned, dataset.test)] : []),
    ]);
    sections.push(
      `Criteria at ${percent(parameters.removed / parameters.prunable)} sparsity, removed at once`,
      formatTable(["criterion", "pruned", ...(isFinetuned ? ["fine-tuned"] : [])], rows),
    );
  }
  if (report.pattern) sections.push(formatPattern(report.pattern));
  sections.push(
    "Layers",
    formatLayers(report),
    "Classes, before pruning and at the end",
    formatClasses(report),
  );
  sections.push(formatFlips(report));
  return sections.join("\n\n");
}

/** The sizes before and after: of all that is kept; and, of a compacted network, as an ordinary dense one. */
function formatSizes(
  { cost: { before, after }, parameters, bytes, fileBytes, compaction }: PruneReport,
): string {
  const kept = parameters.prunable - parameters.removed;
  const rows: readonly (readonly [string, number, number | undefined, number])[] = [
    ["parameters", before.parameters, compaction?.after.parameters, after.parameters],
    ["prunable weights", parameters.prunable, undefined, kept],
    [
      "multiply-adds per image",
      before.multiplyAdds,
      compaction?.after.multiplyAdds,
      Math.round(after.multiplyAdds),
    ],
    ["bytes, with a bit per weight for a mask", bytes.before, compaction?.after.sizeBytes, bytes.after],
    ["bytes of the file", fileBytes.before, undefined, fileBytes.after],
  ];
  const columns = ["size", "before", ...(compaction ? ["compacted, dense"] : []), "what is kept"];
  return formatTable(
    columns,
    rows.map(([name, before, dense, after]) => [
      name,
      `${before}`,
      ...(compaction ? [`${dense ?? "-"}`] : []),
      `${after}`,
    ]),
  );
}

/** A warning as commands print it. */
export function formatWarning(sentence: string): string {
  return escapeLine(`Warning: ${sentence}.`);
}

/** The examples that changed sides, and how far accuracy changed, with the standard error of a change on the same examples. */
export function formatFlips({ flips, dataset: { test } }: PruneReport): string {
  const { rightToWrong: lost, wrongToRight: gained, stayedRight, stayedWrong } = flips;
  const change = (gained - lost) / test, error = Math.sqrt(((lost + gained) / test - change ** 2) / test);
  const points = (fraction: number) => (100 * fraction).toFixed(1);
  return `Of ${test} examples ${lost} went from right to wrong, ${gained} from wrong to right; ` +
    `${stayedRight} stayed right, ${stayedWrong} stayed wrong: ` +
    `accuracy changed by ${points(change)} +- ${points(error)} points.`;
}

/** What each phase ended with; with validation examples the epoch, from 1, that the values are of. */
function formatTraining({ training: phases = [], config: { validation } }: PruneReport): string {
  const isWatched = phases.some(({ best }) => best);
  const rows = phases.map(({ phase, epochs, best }) => {
    const { loss, accuracy } = epochs[epochs.length - 1];
    const watched = best
      ? [`${best.epoch + 1}`, accuracyText(best.accuracy, validation?.examples ?? 0)]
      : ["-", "-"];
    const cells = [phase, `${epochs.length}`, loss.toFixed(4), percent(accuracy)];
    return isWatched ? [...cells, ...watched] : cells;
  });
  const columns = ["phase", "epochs", "loss", "accuracy"];
  return formatTable(isWatched ? [...columns, "best epoch", "validation"] : columns, rows);
}

/** Rounds with what went and what came back; the temperature chosen, validation accuracy and what was undone, where there is any. */
function formatRounds(
  { rounds, chosenRound, config: { validation, prune }, dataset: { test } }: PruneReport,
): string {
  const columns: readonly (readonly [string, (round: PruneRound) => string])[] = [
    ["round", ({ round }) => `${round}`],
    ["removed in all", ({ removed }) => `${removed}`],
    ["sparsity", ({ sparsity }) => percent(sparsity)],
    ...(rounds.some(({ posteriorTemperature }) => posteriorTemperature)
      ? [
        [
          "T",
          ({ posteriorTemperature }: PruneRound) => `${posteriorTemperature?.temperature ?? "-"}`,
        ] as const,
      ]
      : []),
    ...(rounds.some(({ below }) => below !== undefined)
      ? [
        ["below", ({ below = 0 }: PruneRound) => `${below}`] as const,
        ["above", ({ above = 0 }: PruneRound) => `${above}`] as const,
      ]
      : []),
    ["removed now", ({ outflow }) => `${outflow}`],
    ...(rounds.some(({ inflow }) => inflow > 0)
      ? [["brought back", ({ inflow }: PruneRound) => `${inflow}`] as const]
      : []),
    ["pruned", ({ accuracyPruned }) => accuracyText(accuracyPruned, test)],
    ...(prune.finetune.epochs > 0
      ? [
        ["fine-tuned", ({ accuracyFinetuned }: PruneRound) => accuracyText(accuracyFinetuned, test)] as const,
      ]
      : []),
    ...(rounds.some(({ accuracyValidation }) => accuracyValidation !== undefined)
      ? [
        [
          "validation",
          ({ accuracyValidation = 0 }: PruneRound) =>
            accuracyText(accuracyValidation, validation?.examples ?? 0),
        ] as const,
      ]
      : []),
    ...(chosenRound === undefined ? [] : [
      ["loss on validation", (round: PruneRound) => lossText(round)] as const,
      ["kept", ({ round }: PruneRound) => round === chosenRound ? "yes" : ""] as const,
    ]),
    ...(rounds.some(({ isUndone }) => isUndone)
      ? [["undone", ({ isUndone }: PruneRound) => isUndone ? "yes" : "no"] as const]
      : []),
  ];
  return formatTable(
    columns.map(([title]) => title),
    rounds.map((round) => columns.map(([, text]) => text(round))),
  );
}

/** A round's validation loss with its standard error. */
function lossText({ lossValidation = NaN, lossErrorValidation = NaN }: PruneRound): string {
  return `${lossValidation.toFixed(3)} +- ${lossErrorValidation.toFixed(3)}`;
}

/** A round towards a threshold as one line: what is gone, what lies on either side, and how far the end is. */
export function formatRound({ round, sparsity, below = 0, above = 0, outflow, inflow }: PruneRound): string {
  const share = (count: number) => `${(100 * count / Math.max(1, below + above)).toFixed(2)} %`;
  const back = inflow > 0 ? `, ${inflow} came back` : "";
  return `round ${round}: ${below} weights lay below the threshold and ${above} above; ${outflow} went${back}, ` +
    `${share(Math.max(outflow, inflow))} of what was left (under ${
      100 * stableFraction
    } % twice in a row is the end); ` +
    `${percent(sparsity)} are gone`;
}

/** Why the rounds ended, and which one is kept where that is not the last. */
function endText({ end, rounds, chosenRound }: PruneReport): string {
  const last = rounds.at(-1)?.round ?? 0, why = end === "rounds" ? "the most rounds allowed" : end;
  if (chosenRound === undefined || chosenRound === last) return `ended by: ${why}`;
  const what = chosenRound === 0 ? "the trained network" : `round ${chosenRound}`;
  return `ended by: ${why}; kept: ${what}, the sparsest within a standard error of the lowest validation loss`;
}

function formatCompaction(
  { channels, removedLayers, largestDifference }: CompactionReport,
  latency: Latency | null,
): string {
  const ms = (time: number) => `${time.toFixed(2)} ms`;
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
    ...(latency
      ? [
        `A batch of ${latency.batch} takes ${ms(latency.beforeMs)} before and ${
          ms(latency.afterMs)
        } after, ` +
        "medians of 7 in turn.",
      ]
      : []),
    ...(channels.length > 0 || removedLayers.length > 0
      ? [`Logits differ by at most ${largestDifference.toExponential(1)} of the largest.`]
      : []),
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
    ["class", "before", "after", "gained", "mistaken most for"],
    classes.map(({ name, count, before, after, change, mistakenFor }) => [
      name,
      ...[before, after].map((accuracy) => count > 0 ? accuracyText(accuracy, count) : "-"),
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
