/**
 * What a pruned model is worth: its file, its cost, and the time that compaction gains on the device at hand.
 *
 * @module
 */
import { Owner } from "../dispose.ts";
import { type Split, takeSplit } from "../data/dataset.ts";
import type { Gpu } from "../gpu/device.ts";
import { decodeModel, encodeModel, type WeightStore } from "../io/model_file.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import { summarizeModel } from "../model/summary.ts";
import type { CompactOptions } from "../prune/compact/compact.ts";
import type { CompactionReport } from "../prune/compact/compact_network.ts";
import { computeCost, computeDenseCost } from "../prune/cost.ts";
import type { PruneOutcome } from "../prune/loop.ts";
import type { Latency, PruneReport } from "../report/prune_report.ts";
import { Model } from "../api/model.ts";
import type { ImageTask } from "../data/split.ts";
import { getCore } from "../api/model_core.ts";
import { openEvaluation } from "../api/evaluate_model.ts";

/** Examples of the batch that is timed. */
const timedBatch = 128;

/** Batches of which the median is taken, after one that warms up. */
const timedRuns = 7;

/** The file of a pruned model as it is to be written, and what a report says of it. */
export interface PrunedModel extends Pick<PruneReport, "cost" | "compaction"> {
  readonly model: Uint8Array;
  /** What compaction gained in time; null where no layer became smaller. */
  readonly latency: Latency | null;
}

/**
 * Writes a pruned model as asked for, compacted or not.
 *
 * @param bytes Its file, dense and as wide as before.
 * @param layers What its layers keep.
 * @throws {KernelError} Where the compacted model's logits differ from its own by more than rounding.
 */
export async function finishPruned(
  gpu: Gpu,
  bytes: Uint8Array,
  { layers, compact, ...context }: Pick<PruneOutcome, "layers"> & CompactionContext & {
    readonly compact: boolean;
  },
): Promise<PrunedModel> {
  const stored = decodeModel(bytes, "the pruned model", undefined, context.ownLayers),
    { store } = context,
    isSparse = store === "sparse";
  const before = computeDenseCost(summarizeModel(stored.graph));
  if (compact) {
    const { report, latency, model, graph, layers } = await measureCompaction(gpu, bytes, context);
    // Of what stays as wide as before, single weights may be gone too.
    const after = computeCost(graph, layers, { isSparse });
    return { model, compaction: report, latency, cost: { before, after } };
  }
  const after = computeCost(stored.graph, layers, { isSparse });
  const model = isSparse ? encodeModel(stored, store) : bytes;
  return { model, compaction: null, latency: null, cost: { before, after } };
}

/** What a model is compacted with. */
interface CompactionContext extends CompactOptions {
  readonly task: ImageTask;
  /** Examples to compare logits on and to time. */
  readonly examples: Split;
  readonly store: WeightStore;
  /** The layers that the model may have beside the library's. Default: none. */
  readonly ownLayers?: readonly LayerDefinition[] | undefined;
  /** Picks how the products are computed by which logits are compared. */
  readonly choose: ProductChooser;
  /** Examples that evaluation takes at a time; as many as the device can hold, up to 256, where left out. */
  readonly evaluationBatch?: number | undefined;
}

/** A smaller model, and what its layers keep of what they now have. */
interface CompactedModel extends Pick<PruneOutcome, "layers"> {
  readonly report: CompactionReport;
  readonly latency: Latency | null;
  /** The bytes of its file. */
  readonly model: Uint8Array;
  readonly graph: Graph;
}

/**
 * Makes a smaller model of the bytes of a pruned one, and times both in turn where they differ.
 *
 * @throws {KernelError} Where the two models' logits differ by more than rounding.
 */
async function measureCompaction(
  gpu: Gpu,
  bytes: Uint8Array,
  { task, examples, store, choose, protect, evaluationBatch, ownLayers }: CompactionContext,
): Promise<CompactedModel> {
  const stored = decodeModel(bytes, "the pruned model", undefined, ownLayers),
    batch = takeSplit(examples, Math.min(timedBatch, examples.count));
  const { examples: trainedOn } = stored;
  using smaller = new Model(gpu, stored.graph, { task, choose, evaluationBatch, examples: trainedOn });
  smaller.restore(stored);
  const report = await smaller.compact(batch, { protect });
  const layers = await getCore(smaller).pruner.count();
  const isSmaller = report.channels.length > 0 || report.removedLayers.length > 0;
  const latency = isSmaller ? await measureLatency() : null;
  return { report, latency, model: await smaller.encode(store), graph: smaller.graph, layers };

  async function measureLatency(): Promise<Latency> {
    using masked = new Model(gpu, stored.graph, { task, evaluationBatch });
    using timed = new Model(gpu, smaller.graph, { task, evaluationBatch });
    masked.restore(stored);
    timed.restore(await smaller.state());
    const [beforeMs, afterMs] = await timeInTurn([masked, timed], batch);
    return { batch: batch.count, beforeMs, afterMs };
  }
}

/** The median time that each model takes for a batch; in turn, so that what else the machine does falls on both. */
async function timeInTurn(models: readonly Model[], batch: Split): Promise<readonly number[]> {
  using stack = new Owner();
  const evaluators = [];
  for (const model of models) evaluators.push(stack.use(await openEvaluation(getCore(model), batch)));
  const times: number[][] = models.map(() => []);
  for (let run = 0; run <= timedRuns; run++) {
    for (const [i, evaluator] of evaluators.entries()) {
      const start = performance.now();
      await evaluator.evaluate();
      if (run > 0) times[i].push(performance.now() - start);
    }
  }
  return times.map((own) => own.sort((a, b) => a - b)[timedRuns >> 1]);
}
