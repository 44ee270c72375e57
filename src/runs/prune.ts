/**
 * One prune run from configuration to report: train, score on new data, remove, fine-tune, repeat; then the same
 * sparsity by other criteria, and where the errors come from.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import { choosesRound, countRounds } from "../config/prune.ts";
import { type Dataset, isStreamed, type Split } from "../data/dataset.ts";
import { readLabels } from "../data/shards_load.ts";
import { NumericError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { identityEntries } from "../gpu/identity.ts";
import { decodeModel } from "../io/model_file.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { getOwnLayers, type Graph } from "../model/graph.ts";
import type { Footprint } from "../plan/footprint.ts";
import { type CriterionName, needsVariance } from "../prune/score/criteria.ts";
import { type CriterionDefinition, describeDefinitions } from "../prune/score/own_criterion.ts";
import { type PruneRound, pruneUntilStable } from "../prune/loop.ts";
import { countRemovedWeights } from "../prune/recipe.ts";
import type { CriterionResult, Latency, PhaseReport, PruneReport } from "../report/prune_report.ts";
import { applyRecipe, toScoreOptions } from "../api/apply_recipe.ts";
import { type LoadedModel, openModel } from "../api/load_model.ts";
import { Model } from "../api/model.ts";
import type { ModelState, ModelTrainOptions } from "../api/model_options.ts";
import { epochsPerPhase, type RunProgress } from "../train/phase.ts";
import { type JournalSteps, type RunCheckpoints, RunJournal } from "./journal.ts";
import { runContents } from "./contents.ts";
import { checkCores, readCores } from "./cores.ts";
import { type RunSplits, splitDataset } from "./splits.ts";
import { finishPruned } from "./measure_compaction.ts";
import { tuneRun } from "./plans.ts";
import { pruneReport } from "./make_report.ts";
import { modelAsPruneTarget } from "../api/prune_target.ts";
import { getCore } from "../api/model_core.ts";
import { checkReachable } from "./check_reach.ts";
import { checkPrunable, readGoal, readRecipe } from "./read_recipe.ts";
import { readDistillation, readSchedule, readTraining } from "./read_training.ts";

/** Criteria that a run compares with, at the sparsity that it reached. */
const comparedCriteria = ["confidence", "magnitude", "gradient", "l1", "random"] as const;

/** What a run is given. */
export interface PruneRunOptions {
  /** What to do. */
  readonly config: RunConfig;
  /** The whole data set; the run takes its share and splits it. */
  readonly dataset: Dataset<Split>;
  /** The network, which must fit the data set. */
  readonly graph: Graph;
  /** Scores by a criterion of your own, in place of `config.prune.score.by`; a run that is resumed must be given it again. */
  readonly by?: CriterionDefinition;
  /** Parameters and masks to start from; random ones by the seed where left out. */
  readonly weights?: ModelState;
  /** Whom training and fine-tuning follow with `config.train.distillation`; fine-tuning the trained network without. */
  readonly teacher?: LoadedModel;
  /** Picks how matrix products are computed; a fixed choice by the read path where left out. */
  readonly choose?: ProductChooser;
  /** Called while training or refitting weights, with what is being done. */
  readonly onProgress?: (phase: string, progress: RunProgress) => void;
  /** Called after each round of pruning. */
  readonly onRound?: (round: PruneRound) => void;
  /** Called where a loss is not finite, with the file of the model as it was when all was. */
  readonly onLastGood?: (model: Uint8Array) => Promise<void>;
  /** Where checkpoints are written to, as often as `config.output.checkpointEvery` says, and read from. */
  readonly checkpoints?: RunCheckpoints;
  /**
   * Ends the run once it is aborted, within training, scoring, refits and evaluation too. Training then writes a checkpoint
   * where there are any; another step is done anew from the last one.
   */
  readonly signal?: AbortSignal;
  /** Called when all is checked that can be before the run, which then computes. */
  readonly onStart?: () => Promise<void>;
  /** How an earlier run computed its products, as its report says; others are as `choose` says. */
  readonly cores?: Readonly<Record<string, string>>;
  /** Versions of what computes, by name, for the report. */
  readonly versions?: Readonly<Record<string, string>>;
  /** Called before training with the device memory that training, evaluation and a removal will need. */
  readonly onFootprint?: (footprint: Footprint, use: "training" | "evaluation" | "a removal") => void;
}

/** What a run made. */
export interface PruneRunResult {
  /** What was found out, as `report.json` holds it. */
  readonly report: PruneReport;
  /** The pruned and fine-tuned model as the bytes of its file. */
  readonly model: Uint8Array;
  /** The time of a batch before and after compaction; null where no layer became smaller. */
  readonly latency: Latency | null;
}

/**
 * Runs everything that `deno task prune` does between reading its input and writing its output.
 *
 * @throws {ShapeError} Where the model does not fit the data, or there are too few examples.
 * @throws {NumericError} Where a loss is not finite.
 * @throws {ConfigError} Where a checkpoint to go on from is of another run, or the model has not what pruning it takes, or
 *   may not lose so much.
 * @throws {FormatError} Where `cores`, or a checkpoint, hold what is no choice or does not compute its product.
 * @throws {AdapterError} Where they name a core that the device has not.
 * @throws The reason of `options.signal` where it ends the run.
 */
export async function runPrune(gpu: Gpu, options: PruneRunOptions): Promise<PruneRunResult> {
  const { config, graph } = options, { by = config.prune.score.by } = options;
  const own = describeDefinitions([options.by]);
  const splits = await splitDataset(gpu, config, options.dataset);
  const { train, calibration, test, limited } = splits;
  const counts = {
    "training examples": train.count,
    "calibration examples": calibration.count,
    "test examples": test.count,
  };
  const choices = readCores(gpu, options.cores), { checkpoints, signal } = options;
  const surroundings = {
    ...identityEntries(gpu.adapter.name, gpu.identity),
    graph: JSON.stringify(graph),
    ...(own.ownCriteria ? { criterion: JSON.stringify(own.ownCriteria) } : {}),
    ...counts,
    ...(checkpoints ? await runContents(splits, options) : {}),
  };
  const journal = await RunJournal.open(config, surroundings, {
    ...{ checkpoints, choices, signal },
    layers: getOwnLayers(graph),
  });
  checkCores(gpu, journal.cores, { graph, batch: config.train.batch, train: train.count, test: test.count });
  const choose = journal.chooser(options.choose ?? gpu.choose);
  const { seed, device: { evaluationBatch } } = config;
  const examples = train.count;
  using model = new Model(gpu, graph, { task: limited, seed, choose, evaluationBatch, examples });
  using _kept = model.keepOnDevice(...[train, calibration, test, splits.validation ?? []].flat());
  checkPrunable(getCore(model).network, readRecipe(config, limited, by));
  const masks = options.weights?.masks;
  checkReachable(getCore(model).network, config, { goal: readGoal(config, graph), masks, by });
  if (options.weights) model.restore(options.weights);
  await options.onStart?.();
  await journal.begin();
  if (!options.choose) await tuneRun(gpu, { ...options, cores: journal.cores });
  try {
    return await pruneModel(model, splits, { ...options, choose, steps: journal.on(model), journal });
  } catch (error) {
    if (error instanceof NumericError) await options.onLastGood?.(await model.encode());
    throw error;
  }
}

async function pruneModel(
  model: Model,
  { limited, train, calibration, validation, test }: RunSplits,
  options: PruneRunOptions & {
    readonly choose: ProductChooser;
    readonly steps: JournalSteps;
    readonly journal: RunJournal;
  },
): Promise<PruneRunResult> {
  const { config, graph, onProgress, steps, choose, signal } = options;
  const { goal: asked, finetune: { epochs: finetuneEpochs }, compare: compares } = config.prune;
  const rounds = countRounds(asked), schedule = "schedule" in asked ? asked.schedule : undefined;
  const { by = config.prune.score.by } = options;
  const recipe = readRecipe(config, limited, by), goal = readGoal(config, graph);
  const inputs = { calibration, train, validation, trainedOn: train.count, signal };
  const training: ModelTrainOptions = {
    ...readTraining(config, limited),
    keepsVariance: needsVariance(by),
    ...(validation ? { validation } : {}),
  };
  const distillation = readDistillation(config);
  const isTaught = options.teacher !== undefined;
  using teacher = !distillation
    ? undefined
    : isTaught
    ? openModel(model.gpu, options.teacher, { task: limited, choose })
    : model.copy();
  // Found out before any work is done: whether the batch fits.
  const footprint = model.footprint(train, teacher ? { ...training, distillation, teacher } : training);
  if (options.onFootprint) {
    const { score: { fisher, prior }, select: { granularity }, after } = recipe;
    options.onFootprint(footprint, "training");
    options.onFootprint(model.evaluationFootprint(test), "evaluation");
    const removal = { by, ...(fisher ? { fisher } : {}), ...(prior ? { prior } : {}), granularity, after };
    options.onFootprint(await model.pruningFootprint(calibration, removal), "a removal");
  }
  const reportAs = (name: () => string) => (progress: RunProgress) => onProgress?.(name(), progress);
  let phase = 0;
  const phases: PhaseReport[] = [];
  const trainPhase = async (name: string, epochs: number): Promise<void> => {
    const firstEpoch = epochsPerPhase * phase++;
    if (epochs === 0) return;
    const report = reportAs(() => name);
    const isFirst = name === "train", schedule = readSchedule(config, isFirst ? "train" : "finetune");
    const taught = teacher && (isTaught || !isFirst) ? { teacher, distillation } : {};
    const settings = { ...training, ...taught, epochs, firstEpoch, schedule, onProgress: report };
    const result = await steps.train(name, (more) => model.train(train, { ...settings, ...more }));
    phases.push({ phase: name, ...result });
  };
  const evaluate = (name: string) =>
    steps.step(name, async () => {
      const { accuracy, loss, predictions } = await model.evaluate(test, { signal });
      return { accuracy, loss, predictions: [...predictions] };
    });
  const untrained = await evaluate("untrained");
  await trainPhase("train", config.train.epochs);
  const trained = await evaluate("trained");
  const kept = await steps.keep("trained.safetensors", () => model.encode());
  const trainedState = decodeModel(kept, "the trained model", graph);
  if (!isTaught) teacher?.restore(trainedState);
  const recipeBy = (criterion: CriterionName) => readRecipe(config, limited, criterion);
  const confidences = await steps.step(
    "confidence",
    async () =>
      (await model.confidence(calibration, {
        ...toScoreOptions(recipeBy("confidence").score, inputs),
        signal,
      })).layers,
  );
  let roundsDone = 0;
  const ofRounds = (round: number) =>
    rounds === Infinity || round > rounds ? `${round}` : `${round}/${rounds}`;
  const target = modelAsPruneTarget(getCore(model), {
    ...{ recipe, goal, test, steps },
    inputs: { ...inputs, onRefit: reportAs(() => `refit ${ofRounds(roundsDone + 1)}`) },
    finetune: (round) => {
      roundsDone = round;
      return trainPhase(`fine-tune ${ofRounds(round)}`, finetuneEpochs);
    },
  });
  const outcome = await pruneUntilStable(target, {
    ...{ goal, schedule, rounds },
    allowedDrop: config.validation?.allowedDrop,
    choosesRound: choosesRound(asked),
    onRound: options.onRound,
  });
  const finetuned = await evaluate("fine-tuned");
  const bytes = await steps.keep("pruned.safetensors", () => model.encode());
  const compare = async (criterion: CriterionName): Promise<CriterionResult> => {
    const measure = async () => (await model.evaluate(test, { signal })).accuracy;
    const isPattern = "pattern" in goal && outcome.removed > 0;
    const amount = isPattern ? goal : { weights: outcome.removed };
    const onRefit = reportAs(() => `refit for ${criterion}`);
    const { accuracy, layers, temperature } = await steps.step(`remove by ${criterion}`, async () => {
      model.restore(trainedState);
      const removal = await applyRecipe(getCore(model), recipeBy(criterion), amount, { ...inputs, onRefit });
      return { ...removal, accuracy: await measure() };
    });
    // Every criterion trains on the same batches.
    phase = epochsPerPhase;
    await trainPhase(`compare ${criterion}`, finetuneEpochs);
    const accuracyFinetuned = await steps.step(`compared ${criterion}`, measure);
    const sparsity = countRemovedWeights(layers) / prunable;
    const chosen = temperature ? { posteriorTemperature: temperature } : {};
    return { criterion, sparsity, accuracy, accuracyFinetuned, ...chosen };
  };
  const { prunableCount: prunable } = getCore(model).network.layout;
  const criteria: CriterionResult[] = [];
  if (compares) { for (const criterion of comparedCriteria) criteria.push(await compare(criterion)); }
  signal?.throwIfAborted();
  const labels = isStreamed(test) ? await readLabels(test) : test.labels;
  const { store, compact } = config.output;
  const finished = await finishPruned(model.gpu, bytes, {
    ...{ layers: outcome.layers, task: limited, examples: test },
    ...{ store, compact, choose, protect: recipe.select.protect },
    ...{ evaluationBatch: config.device.evaluationBatch, ownLayers: getOwnLayers(graph) },
  });
  const report = pruneReport({
    ...(options.versions ? { versions: options.versions } : {}),
    ...{ adapter: model.gpu.adapter.name, gpu: model.gpu.identity },
    cores: options.journal.cores,
    splits: { limited, train, calibration, test },
    ...{ config, graph, labels, outcome, criteria, confidences, finished },
    ...describeDefinitions([options.by]),
    start: options.weights ? "given" : "random",
    ...{ untrained, trained, finetuned, trainedBytes: kept.byteLength, training: phases },
    layout: getCore(model).network.layout,
  });
  return { report, model: finished.model, latency: finished.latency };
}
