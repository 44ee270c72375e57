/**
 * Evaluation: loss, accuracy, confusion counts and predictions on a split, all counted on the device.
 *
 * @module
 */
import type { Examples } from "../gpu/examples.ts";
import { notFinite, openFiniteCheck } from "../gpu/finite.ts";
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

/** A network ready to be evaluated on a split, as often as wanted. */
export interface Evaluator extends Disposable {
  /** @throws {NumericError} Where a weight, a statistic, a logit or the loss is not finite. */
  evaluate(): Promise<Evaluation>;
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
  const others = (name: string) => own.get(name) ?? examples.resolve(name);
  const step = await preparePlan(plan, { network, slots, others });
  const order = { batch, seed: 0, epoch: 0, shuffle: false, dropLast: false };
  const check = await openFiniteCheck(network, ["values", "statistics"]);
  return {
    async evaluate() {
      check.run();
      tally.clear();
      counts.write(new Uint32Array(classes * classes));
      let offset = 0;
      for await (const rows of examples.batches(order)) {
        examples.select(rows, step.resolve);
        step.program.run({ count: rows.length, index: offset, offset, seed: 0 });
        offset += rows.length;
      }
      const { lossSum, correct, count, bad } = await tally.read();
      const read = await readBuffers(gpu, [counts, kept, check.found].map((buffer) => ({ buffer })));
      const [confusion, predictions, found] = read.map((bytes) => new Uint32Array(bytes));
      // Weights first: what is wrong with them may show in no logit, since ReLU makes NaN 0.
      const wrong = await check.name(found);
      if (wrong !== undefined) throw notFinite(network, "evaluate", wrong);
      if (bad !== undefined) {
        const last = Math.min(bad.step + batch, examples.count) - 1;
        throw notFinite(network, "evaluate", `a logit of examples ${bad.step} to ${last} is not finite`);
      }
      return {
        accuracy: correct / count,
        loss: lossSum / count,
        count,
        confusion: confusion.slice(0, classes * classes),
        predictions: predictions.slice(0, examples.count),
      };
    },
    [Symbol.dispose]() {
      step[Symbol.dispose]();
      check[Symbol.dispose]();
      for (const buffer of own.values()) buffer[Symbol.dispose]();
    },
  };
}
