/**
 * Whole runs as the commands make them: train, prune, fine-tune and report; comparisons, and scans of sensitivity; with
 * their configuration, checkpoints and reports.
 *
 * @module
 */
import "./src/dispose.ts";
import "./src/deno/host.ts";

export { fitRunSizes, lowerRunPlans } from "./src/api/run_plans.ts";
export type { RunSizes } from "./src/api/run_plans.ts";
export { runPrune } from "./src/api/prune_run.ts";
export type { PruneRunOptions, PruneRunResult } from "./src/api/prune_run.ts";
export type { TunePlans } from "./src/api/measure_compaction.ts";
export { runCompare } from "./src/api/compare_run.ts";
export type { CompareOptions } from "./src/api/compare_run.ts";
export { runSensitivity } from "./src/api/sensitivity_run.ts";
export type { SensitivityOptions } from "./src/api/sensitivity_run.ts";
export type { TrainedOptions } from "./src/api/trained_network.ts";
export { compareReportSchema, sensitivityReportSchema } from "./src/prune/compare_report.ts";
export type {
  CompareCell,
  ComparedOn,
  CompareReport,
  SensitivityCell,
  SensitivityReport,
  TrainedResult,
  ValidationResult,
} from "./src/prune/compare_report.ts";
export { optimizerOf, scheduleOf } from "./src/api/training_of.ts";
export { readResumedConfig, removeCheckpoints } from "./src/api/run_journal.ts";
export type { RunCheckpoints } from "./src/api/run_journal.ts";
export { describeConfig, parsePruneConfig, pruneConfigSchema } from "./src/config.ts";
export type { ConfigField, PruneConfig, Schema } from "./src/config.ts";
export type { ClassChange, Flips } from "./src/prune/analysis.ts";
export type { PatternCount } from "./src/prune/pattern.ts";
export type { CompactionCost, CompactionReport } from "./src/prune/compact_network.ts";
export { pruneReportSchema } from "./src/prune/report.ts";
export type {
  CompactionResult,
  CriterionResult,
  LayerReport,
  NetworkStates,
  PhaseReport,
  PruneReport,
} from "./src/prune/report.ts";
