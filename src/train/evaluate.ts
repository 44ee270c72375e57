/**
 * Evaluation: loss, accuracy, confusion counts and predictions on a split, all counted on the device.
 *
 * @module
 */
import { NumericError } from "../errors.ts";
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { readBuffers } from "../gpu/readback.ts";
import type { SlotPool } from "../gpu/slots.ts";
import { Tally } from "../gpu/tally.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { resolveGraph } from "../model/graph.ts";
import { lowerPlan } from "../plan/lower.ts";
import { featuresOf } from "../shape.ts";

/** How a network did on a split. */
export interface Evaluation {
  /** Fraction of the examples whose label was predicted. */
  readonly accuracy: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** Examples evaluated. */
  readonly count: number;
  /** Examples by label and prediction: (classes, classes) in rows of labels. */
  readonly confusion: Uint32Array;
  /** The prediction for each example, in the order of the split. */
  readonly predictions: Uint32Array;
}

/**
 * The standard error of an accuracy: how far that of other examples, drawn alike, lies from it in the root mean square.
 *
 * @param accuracy Fraction of the examples predicted right, in [0, 1].
 * @param examples How many examples it was measured on, at least 1.
 */
export function standardError(accuracy: number, examples: number): number {
  return Math.sqrt(accuracy * (1 - accuracy) / examples);
}

/** A network ready to be evaluated on a split, as often as wanted. */
export interface Evaluator extends Disposable {
  /**
   * @throws {NumericError} Where a loss is not finite.
   * @throws The reason of the signal where it is aborted before all batches are started.
   */
  evaluate(signal?: AbortSignal): Promise<Evaluation>;
}

/** Prepares evaluation of a network, whose parameters may change between runs, on a split. */
export async function openEvaluator(
  network: Network,
  examples: Examples,
  { choose, slots }: { readonly choose: ProductChooser; readonly slots: SlotPool },
): Promise<Evaluator> {
  const { gpu, graph } = network;
  const nodes = resolveGraph(graph);
  const classes = featuresOf(nodes[nodes.length - 1].output);
  const batch = Math.min(examples.batch, examples.count);
  const images = examples.areImages ? { images: { augmentation: "none" } as const } : {};
  const tally = new Tally(gpu);
  const counts = gpu.createBuffer("confusion", 4 * classes * classes);
  const kept = gpu.createBuffer("predictions of the split", 4 * examples.count);
  const own = new Map([["tally", tally.buffer], ["counts", counts], ["kept", kept]]);
  const plan = lowerPlan(graph, { batch, mode: "evaluate", choose, ...images });
  const input = (name: string) => own.get(name) ?? examples.input(name);
  const step = await preparePlan(plan, { network, slots, input });
  const order = { batch, seed: 0, epoch: 0, shuffle: false, dropLast: false };
  return {
    async evaluate(signal) {
      tally.clear();
      counts.write(new Uint32Array(classes * classes));
      let offset = 0;
      for await (const rows of examples.batches(order)) {
        signal?.throwIfAborted();
        examples.select(rows, step.bind);
        step.program.run({ count: rows.length, index: offset, offset, seed: 0 });
        offset += rows.length;
      }
      const { lossSum, correct, count, badStep } = await tally.read();
      if (badStep !== undefined) {
        const current = "the loss is not finite";
        throw new NumericError({
          act: "evaluate at example",
          thing: `${badStep}`,
          current,
          wanted: "a number",
        }, badStep);
      }
      const [confusion, predictions] = await readBuffers(gpu, [{ buffer: counts }, { buffer: kept }]);
      return {
        accuracy: correct / count,
        loss: lossSum / count,
        count,
        confusion: new Uint32Array(confusion).slice(0, classes * classes),
        predictions: new Uint32Array(predictions).slice(0, examples.count),
      };
    },
    [Symbol.dispose]() {
      step[Symbol.dispose]();
      for (const buffer of own.values()) buffer[Symbol.dispose]();
    },
  };
}
