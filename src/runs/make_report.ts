/**
 * The report of a prune run, out of what its phases found.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import type { GpuIdentity } from "../gpu/identity.ts";
import { getOwnLayers, type Graph } from "../model/graph.ts";
import { decodeModel } from "../io/model_file.ts";
import { layOutParameters, type ParameterLayout } from "../plan/layout.ts";
import { compareClasses, countConfusion, countFlips } from "../report/analysis.ts";
import type { LayerConfidence } from "../prune/score/confidence.ts";
import type { PruneOutcome, PruneRound } from "../prune/loop.ts";
import { countPattern } from "../prune/select/pattern.ts";
import type { CriterionResult, NetworkStates, PhaseReport, PruneReport } from "../report/prune_report.ts";
import { describeWarnings } from "../report/warnings.ts";
import { type Evaluation, standardError } from "../train/evaluate.ts";
import type { PrunedModel } from "./measure_compaction.ts";
import { readGoal } from "./read_recipe.ts";
import type { RunSplits } from "./splits.ts";

/** The most classes of which a report holds the whole confusion matrix. */
const maxConfused = 256;

/** Accuracy, mean loss, and prediction of every test example. */
interface TestResult extends Pick<Evaluation, "accuracy" | "loss"> {
  readonly predictions: ArrayLike<number>;
}

/** What a run found. */
export interface PruneFindings {
  readonly versions?: Readonly<Record<string, string>>;
  readonly adapter: string;
  readonly gpu: GpuIdentity;
  readonly cores: Readonly<Record<string, string>>;
  readonly config: RunConfig;
  readonly ownCriteria?: Readonly<Record<string, string>>;
  readonly splits: Omit<RunSplits, "validation">;
  readonly graph: Graph;
  readonly layout: Pick<ParameterLayout, "count" | "prunableCount">;
  /** The classes of the test examples. */
  readonly labels: ArrayLike<number>;
  /** What the run started from. */
  readonly start: "random" | "given";
  readonly untrained: TestResult;
  readonly trained: TestResult;
  readonly finetuned: TestResult;
  /** The confidences of the trained network, by layer. */
  readonly confidences: readonly LayerConfidence[];
  readonly training: readonly PhaseReport[];
  readonly outcome: PruneOutcome;
  readonly criteria: readonly CriterionResult[];
  /** Bytes of the trained network's file. */
  readonly trainedBytes: number;
  readonly finished: PrunedModel;
}

/** Reports what a run found. */
export function pruneReport(findings: PruneFindings): PruneReport {
  const { config, graph, outcome, finished, splits: { limited, train, calibration, test } } = findings;
  const { count: total, prunableCount: prunable } = findings.layout;
  const pair = {
    labels: findings.labels,
    before: findings.trained.predictions,
    after: findings.finetuned.predictions,
  };
  return {
    version: 3,
    ...(findings.versions ? { versions: findings.versions } : {}),
    adapter: findings.adapter,
    gpu: findings.gpu,
    cores: findings.cores,
    dataset: {
      name: limited.name,
      source: limited.source,
      classes: limited.classes,
      train: train.count,
      calibration: calibration.count,
      test: test.count,
      ...(limited.images ? { images: limited.images } : {}),
    },
    model: graph.name,
    seed: config.seed,
    config,
    ...(findings.ownCriteria ? { ownCriteria: findings.ownCriteria } : {}),
    start: findings.start,
    warnings: describeWarnings({
      granularity: config.prune.select.granularity,
      layers: outcome.layers,
      removedLayers: finished.compaction?.removedLayers ?? [],
      rounds: outcome.rounds,
      accuracy: { trained: findings.trained.accuracy, finetuned: findings.finetuned.accuracy },
      classes: limited.classes.length,
      examples: test.count,
    }),
    accuracy: collectAccuracies(findings),
    loss: {
      untrained: findings.untrained.loss,
      trained: findings.trained.loss,
      finetuned: findings.finetuned.loss,
    },
    ...reportConfusion(findings),
    training: findings.training,
    criteria: findings.criteria,
    parameters: { total, prunable, removed: outcome.removed },
    bytes: { before: 4 * total, after: 4 * (total - outcome.removed) + Math.ceil(prunable / 8) },
    cost: finished.cost,
    fileBytes: { before: findings.trainedBytes, after: finished.model.byteLength },
    compaction: finished.compaction,
    rounds: outcome.rounds,
    end: outcome.end,
    ...(outcome.chosenRound === undefined ? {} : { chosenRound: outcome.chosenRound }),
    layers: reportLayers(findings),
    ...reportPattern(findings),
    classes: compareClasses(pair, limited.classes),
    flips: countFlips(pair),
  };
}

function collectAccuracies(
  { untrained, trained, finetuned, outcome: { rounds, chosenRound }, splits: { test } }: PruneFindings,
): PruneReport["accuracy"] {
  const isKept = ({ round, isUndone }: PruneRound) =>
    chosenRound === undefined ? !isUndone : round === chosenRound;
  const accuracy: NetworkStates = {
    untrained: untrained.accuracy,
    trained: trained.accuracy,
    // Where no round is kept, the network is the trained one.
    pruned: rounds.findLast(isKept)?.accuracyPruned ?? trained.accuracy,
    finetuned: finetuned.accuracy,
  };
  const errorOf = (state: keyof NetworkStates) => standardError(accuracy[state], test.count);
  return {
    ...accuracy,
    standardError: {
      untrained: errorOf("untrained"),
      trained: errorOf("trained"),
      pruned: errorOf("pruned"),
      finetuned: errorOf("finetuned"),
    },
  };
}

function reportConfusion(
  { labels, trained, finetuned, splits: { limited } }: PruneFindings,
): Pick<PruneReport, "confusion"> {
  const classes = limited.classes.length;
  if (classes > maxConfused) return {};
  const count = ({ predictions }: TestResult) => countConfusion({ labels, predictions, classes });
  return { confusion: { trained: count(trained), finetuned: count(finetuned) } };
}

/** How the written weights hold the pattern that was asked for, where one was. */
function reportPattern({ config, graph, finished }: PruneFindings): Pick<PruneReport, "pattern"> {
  const goal = readGoal(config, graph);
  if (!("pattern" in goal)) return {};
  const { parameters } = decodeModel(finished.model, "the pruned model", undefined, getOwnLayers(graph));
  return {
    pattern: { ...goal.pattern, layers: countPattern(layOutParameters(graph), parameters, goal.pattern) },
  };
}

function reportLayers({ outcome, confidences }: PruneFindings): PruneReport["layers"] {
  return outcome.layers.map((layer, i) => ({
    ...layer,
    confidenceHistogram: confidences[i].histogram,
    priorPrecision: confidences[i].priorPrecision,
  }));
}
