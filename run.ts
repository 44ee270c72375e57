/**
 * Whole runs as the commands make them: train, prune, fine-tune and report; comparisons, and scans of sensitivity; with
 * their configuration, checkpoints and reports.
 *
 * @module
 */
import "./src/dispose.ts";
import "./src/deno/host.ts";

export { fitRunSizes, lowerRunPlans } from "./src/runs/plans.ts";
export type { RunSizes } from "./src/runs/plans.ts";
export { runPrune } from "./src/runs/prune.ts";
export type { PruneRunOptions, PruneRunResult } from "./src/runs/prune.ts";
export { runCompare } from "./src/runs/compare.ts";
export type { CompareOptions } from "./src/runs/compare.ts";
export { runSensitivity } from "./src/runs/sensitivity.ts";
export type { SensitivityOptions } from "./src/runs/sensitivity.ts";
export type { TrainedOptions } from "./src/runs/trained_network.ts";
export { compareReportSchema, sensitivityReportSchema } from "./src/report/compare_report.ts";
export type {
  CompareCell,
  ComparedLists,
  ComparedOn,
  CompareReport,
  SensitivityCell,
  SensitivityReport,
  TrainedResult,
  ValidationResult,
} from "./src/report/compare_report.ts";
export { readSchedule } from "./src/runs/read_training.ts";
export { readResumedConfig, removeCheckpoints } from "./src/runs/journal.ts";
export type { RunCheckpoints } from "./src/runs/journal.ts";
export { describeConfig, parseRunConfig, runConfigSchema } from "./src/config/config.ts";
export type { ConfigField, Schema } from "./src/config/config.ts";
export type * from "./src/config/types.ts";
export type { ClassChange, Flips } from "./src/report/analysis.ts";
export type { PatternCount } from "./src/prune/select/pattern.ts";
export type { CompactionCost, CompactionReport } from "./src/prune/compact/compact_network.ts";
export { pruneReportSchema, runTimesSchema } from "./src/report/prune_report.ts";
export type {
  Confusion,
  CriterionResult,
  Latency,
  LayerReport,
  NetworkStates,
  PhaseReport,
  PruneReport,
  RunTimes,
} from "./src/report/prune_report.ts";
