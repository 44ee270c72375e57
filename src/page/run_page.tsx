/**
 * The page that shows what a prune run found: one file of HTML that needs no network and no script.
 *
 * @module
 */
import { renderToStaticMarkup } from "preact-render-to-string";
import type { Latency, PruneReport, RunTimes } from "../report/prune_report.ts";
import { standardError } from "../train/evaluate.ts";
import { accuracyText, percentText } from "../text/accuracy.ts";
import { formatFlips } from "../text/prune.ts";
import { Chart, Legend, Table } from "./parts.tsx";
import { drawHistograms, drawLines, drawMatrix, drawShares, type PlotPoint } from "./plots.ts";
import { style } from "./style.ts";

/** What a run wrote. */
export interface RunResult {
  readonly report: PruneReport;
  /** When it was made and how long things took, if that is known. */
  readonly times?: RunTimes | undefined;
}

/** The most layers, and classes, that a chart has room for. */
const mostLayers = 60, mostClasses = 40;

const integer = (value: number) => Math.round(value).toLocaleString("en");

/** Bytes in the largest unit that leaves a number above 1. */
function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"], i = Math.min(3, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** i).toFixed(i === 0 ? 0 : 1)} ${units[i]}`;
}

/** A number before and after, and the share that is left. */
function changeText(before: number, after: number, text: (value: number) => string): string {
  return `${text(before)} to ${text(after)} (${percentText(after / Math.max(1, before))})`;
}

const batchText = ({ beforeMs, afterMs }: Latency) => `${beforeMs.toFixed(1)} to ${afterMs.toFixed(1)} ms`;

/**
 * The page of a run.
 *
 * @returns HTML of one file: light or dark as the reader's system is, without any reference to the network.
 */
export function formatRunPage(result: RunResult): string {
  const { report } = result, title = `${report.model} pruned on ${report.dataset.name}`;
  const body = renderToStaticMarkup(
    <main>
      <h1>{title}</h1>
      <Outcome {...result} />
      <Path report={report} />
      <Training report={report} />
      <Layers report={report} />
      <Confidence report={report} />
      <Classes report={report} />
      <Costs {...result} />
      <Provenance {...result} />
    </main>,
  );
  const head = renderToStaticMarkup(
    <head>
      <meta charSet="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>{title}</title>
    </head>,
  );
  return `<!doctype html>\n<html lang="en">\n${head.replace("</head>", `<style>${style}</style></head>`)}\n` +
    `<body>${body}</body>\n</html>\n`;
}

/** What came out, first. */
function Outcome({ report, times }: RunResult) {
  const { accuracy, parameters, cost, fileBytes, dataset: { test }, warnings = [] } = report;
  const kept = parameters.prunable - parameters.removed;
  const cards: readonly (readonly [string, string])[] = [
    ["Test accuracy before", accuracyText(accuracy.trained, test)],
    ["Test accuracy after", accuracyText(accuracy.finetuned, test)],
    ["Weights kept", `${percentText(kept / Math.max(1, parameters.prunable))}: ${integer(kept)}`],
    ["File", `${bytesText(fileBytes.before)} to ${bytesText(fileBytes.after)}`],
    ["Multiply-adds kept", percentText(cost.after.multiplyAdds / Math.max(1, cost.before.multiplyAdds))],
    ...(times?.batch ? [[`Batch of ${times.batch.batch}`, batchText(times.batch)] as const] : []),
  ];
  return (
    <>
      <ul class="cards">
        {cards.map(([name, value]) => (
          <li>
            <span class="faint">{name}</span>
            <b>{value}</b>
          </li>
        ))}
      </ul>
      <p>{formatFlips(report)}</p>
      <p class="faint">
        Accuracies are of {integer(test)}{" "}
        test examples, with their standard errors. Test examples decided nothing.
      </p>
      {warnings.map((warning) => <p key={warning} class="warning">Warning: {warning}.</p>)}
    </>
  );
}

/** Accuracy on the way to the goal, and that of other criteria at its end. */
function Path({ report }: { readonly report: PruneReport }) {
  const { rounds, criteria, accuracy, parameters, dataset: { test }, config, chosenRound } = report;
  const isFinetuned = config.prune.finetune.epochs > 0, per = 100;
  const done = rounds.filter(({ isUndone }) => !isUndone);
  if (done.length === 0) return null;
  const own = isFinetuned ? "this run, fine-tuned" : "this run";
  const first: PlotPoint = { line: own, x: 0, y: per * accuracy.trained };
  const points: PlotPoint[] = [
    first,
    ...done.map(({ sparsity, accuracyFinetuned }) => ({
      line: own,
      x: per * sparsity,
      y: per * accuracyFinetuned,
      error: per * standardError(accuracyFinetuned, test),
    })),
    ...(isFinetuned
      ? done.map(({ sparsity, accuracyPruned }) => ({
        line: "this run, before fine-tuning",
        x: per * sparsity,
        y: per * accuracyPruned,
      }))
      : []),
    ...criteria.map(({ criterion, sparsity, accuracy, accuracyFinetuned }) => ({
      line: `${criterion}, removed at once`,
      x: per * sparsity,
      y: per * (isFinetuned ? accuracyFinetuned : accuracy),
    })),
  ];
  const lonely = criteria.map(({ criterion }) => `${criterion}, removed at once`);
  const label = "Test accuracy against the share of weights that is removed";
  const svg = drawLines({
    ...{
      label,
      points,
      lonely,
      x: "weights removed, %",
      y: "test accuracy, %",
      level: per * accuracy.trained,
    },
  });
  return (
    <section>
      <h2>Accuracy on the way</h2>
      <Legend names={[...new Set(points.map(({ line }) => line))]} />
      <Chart svg={svg}>
        {label}. The dashed line is the network before pruning. It ended by: {report.end}
        {chosenRound === undefined ? "" : `; validation examples chose round ${chosenRound}`}.
      </Chart>
      <Table
        label="Rounds"
        head={["round", "removed in all", "sparsity", "removed now", "brought back", "pruned", "fine-tuned"]}
        rows={rounds.map((round) => [
          `${round.round}${round.isUndone ? " (undone)" : ""}`,
          integer(round.removed),
          percentText(round.sparsity),
          integer(round.outflow),
          integer(round.inflow),
          accuracyText(round.accuracyPruned, test),
          isFinetuned ? accuracyText(round.accuracyFinetuned, test) : "-",
        ])}
      />
      {criteria.length === 0 ? null : (
        <>
          <h3>Other criteria at {percentText(parameters.removed / parameters.prunable)} sparsity</h3>
          <Table
            label="Criteria"
            head={["criterion", "pruned", "fine-tuned"]}
            rows={criteria.map(({ criterion, accuracy, accuracyFinetuned }) => [
              criterion,
              accuracyText(accuracy, test),
              isFinetuned ? accuracyText(accuracyFinetuned, test) : "-",
            ])}
          />
          <p class="faint">
            Each removed as many weights at once, from the same trained network, and had one phase of
            fine-tuning. This run had one in each of its rounds.
          </p>
        </>
      )}
    </section>
  );
}

/** Loss and accuracy, epoch by epoch, of the training that led to the pruned network. */
function Training({ report: { training = [] } }: { readonly report: PruneReport }) {
  const phases = training.filter(({ phase }) => !phase.startsWith("compare "));
  const epochs = phases.flatMap(({ phase, epochs }) => epochs.map((epoch) => ({ phase, ...epoch })));
  if (epochs.length < 2) return null;
  const collect = (key: "loss" | "accuracy", factor: number) =>
    epochs.flatMap(({ validation, ...epoch }, i) => [
      { line: "examples trained on", x: i + 1, y: factor * epoch[key] },
      ...(validation ? [{ line: "validation examples", x: i + 1, y: factor * validation[key] }] : []),
    ]).sort((a, b) => a.line < b.line ? -1 : a.line > b.line ? 1 : 0);
  const losses = collect("loss", 1), accuracies = collect("accuracy", 100);
  const lossLabel = "Cross-entropy by epoch", accuracyLabel = "Accuracy by epoch";
  return (
    <section>
      <h2>Training</h2>
      <Legend names={[...new Set(losses.map(({ line }) => line))]} />
      <Chart
        svg={drawLines({ label: lossLabel, x: "epoch", y: "loss, nats", points: losses, isCount: true })}
      >
        {lossLabel}.
      </Chart>
      <Chart
        svg={drawLines({
          label: accuracyLabel,
          x: "epoch",
          y: "accuracy, %",
          points: accuracies,
          isCount: true,
        })}
      >
        {accuracyLabel}. Phases one after the other:{" "}
        {phases.map(({ phase, epochs }) => `${phase} (${epochs.length})`).join(", ")}.
      </Chart>
    </section>
  );
}

/** What each layer keeps. */
function Layers({ report: { layers } }: { readonly report: PruneReport }) {
  const label = "Share of its weights that each layer keeps";
  const shown = layers.slice(0, mostLayers);
  return (
    <section>
      <h2>Layers</h2>
      <Chart
        svg={drawShares(label, shown.map(({ name, kept, weights }) => ({ name, share: kept / weights })))}
      >
        {label}
        {layers.length > mostLayers ? `: the first ${mostLayers} of ${layers.length}` : ""}.
      </Chart>
      <Table
        label="Layers"
        head={["layer", "weights", "kept", "share", "channels", "empty channels"]}
        rows={layers.map(({ name, weights, kept, channels, emptyChannels }) => [
          name,
          integer(weights),
          integer(kept),
          percentText(kept / weights),
          integer(channels),
          integer(emptyChannels),
        ])}
      />
    </section>
  );
}

/** How the confidence in the trained network's weights is distributed. */
function Confidence({ report: { layers } }: { readonly report: PruneReport }) {
  const label = "Weights of the trained network by the confidence in their sign";
  const shown = layers.slice(0, mostLayers).map(({ name, confidenceHistogram: bins }) => {
    const total = Math.max(1, bins.reduce((sum, count) => sum + count, 0));
    return { name, shares: bins.map((count) => count / total) };
  });
  return (
    <section>
      <h2>Confidence</h2>
      <Chart svg={drawHistograms(label, shown)}>
        {label}, from 0 to 1 in each layer
        {layers.length > mostLayers ? `: the first ${mostLayers} of ${layers.length}` : ""}.
      </Chart>
    </section>
  );
}

/** Which classes gained and lost, and what is taken for what. */
function Classes({ report: { classes, confusion } }: { readonly report: PruneReport }) {
  const names = classes.map(({ name }) => name);
  const matrices = confusion && classes.length <= mostClasses
    ? [["before pruning", confusion.trained], ["at the end", confusion.finetuned]] as const
    : [];
  return (
    <section>
      <h2>Classes</h2>
      <Table
        label="Classes"
        head={["class", "examples", "before", "after", "gained", "mistaken most for"]}
        rows={classes.map(({ name, count, before, after, change, mistakenFor }) => [
          name,
          integer(count),
          count > 0 ? accuracyText(before, count) : "-",
          count > 0 ? accuracyText(after, count) : "-",
          change > 0 ? `+${change}` : `${change}`,
          mistakenFor ? `${mistakenFor.name} (${mistakenFor.count})` : "none",
        ])}
      />
      {matrices.map(([when, counts]) => (
        <Chart svg={drawMatrix(`Confusion matrix ${when}`, names, counts)}>
          Test examples by their class (rows) and the class that was predicted (columns), {when}.
        </Chart>
      ))}
    </section>
  );
}

/** What the network costs before and after. */
function Costs({ report: { cost, fileBytes, parameters, compaction }, times }: RunResult) {
  const rows: (readonly [string, string])[] = [
    ["parameters", changeText(cost.before.parameters, cost.after.parameters, integer)],
    ["prunable weights", changeText(parameters.prunable, parameters.prunable - parameters.removed, integer)],
    ["multiply-adds per image", changeText(cost.before.multiplyAdds, cost.after.multiplyAdds, integer)],
    ["file", changeText(fileBytes.before, fileBytes.after, bytesText)],
  ];
  if (compaction) {
    const { before, after } = compaction;
    rows.push(
      ["parameters, as a dense network", changeText(before.parameters, after.parameters, integer)],
      ["multiply-adds, as a dense network", changeText(before.multiplyAdds, after.multiplyAdds, integer)],
    );
  }
  if (times?.batch) {
    const { batch, beforeMs, afterMs } = times.batch;
    rows.push([`time of a batch of ${batch}`, changeText(beforeMs, afterMs, (ms) => `${ms.toFixed(2)} ms`)]);
  }
  return (
    <section>
      <h2>Size and speed</h2>
      <Table label="Size and speed" head={["what", "before to after"]} rows={rows} />
      {compaction && compaction.channels.length > 0
        ? (
          <details>
            <summary>Channels of each layer before and after</summary>
            <Table
              label="Channels"
              head={["layer", "before", "after"]}
              rows={compaction.channels.map((
                { name, before, after },
              ) => [name, integer(before), integer(after)])}
            />
          </details>
        )
        : null}
    </section>
  );
}

/** What made it, and how to make it again. */
function Provenance({ report, times }: RunResult) {
  const { dataset, adapter, versions = {}, config } = report;
  const rows: (readonly [string, string])[] = [
    ["data set", `${dataset.name}, from ${dataset.source}`],
    [
      "examples",
      `${integer(dataset.train)} trained on, ${integer(dataset.calibration)} scored on, ${
        integer(dataset.test)
      } tested on`,
    ],
    ["adapter", adapter],
    ...Object.entries(versions),
    ...(times
      ? [
        ["started", times.started] as const,
        [times.isResumed ? "seconds since it went on" : "seconds", times.seconds.toFixed(1)] as const,
      ]
      : []),
  ];
  return (
    <section>
      <h2>How it was made</h2>
      <Table label="How it was made" head={["what", "which"]} rows={rows} />
      <p>
        To make it again, give the run this report: <code>./winnow prune --config report.json</code>
      </p>
      <details>
        <summary>The whole configuration</summary>
        <pre>{JSON.stringify(config, undefined, 2)}</pre>
      </details>
    </section>
  );
}
