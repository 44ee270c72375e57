/**
 * The mean gradient and the diagonal Fisher information of a network's parameters on calibration examples.
 *
 * @module
 */
import type { Examples } from "../../gpu/examples.ts";
import { findNotFinite, notFinite } from "../../gpu/finite.ts";
import { fitBatch } from "../../gpu/fitting.ts";
import type { Network } from "../../gpu/network.ts";
import { preparePlan } from "../../gpu/plan_program.ts";
import type { SlotPool } from "../../gpu/slots.ts";
import { Tally } from "../../gpu/tally.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import { lowerPlan } from "../../plan/lower.ts";
import type { Plan } from "../../plan/plan.ts";
import { mixBits } from "../../random.ts";
import { type CallOptions, StepWatch } from "../../train/call_options.ts";

/**
 * Examples per batch of scoring gradients, if the device can hold so many. They are few, because the Fisher
 * information is that of one example.
 */
export const scoreBatch = 16;

/**
 * The estimates of the Fisher information F:
 *
 * - `batch`: B times the mean squared gradient of batches of 16 with the given labels;
 * - `example`: the mean squared gradient of single examples with the given labels: exact, but one step per example,
 *   so many times slower;
 * - `sampled`: batches of 16 whose labels are drawn from the model's own predictions: the Fisher information proper.
 *   The gradients of different examples are then uncorrelated, so the estimate has no bias. The mean gradient is then
 *   one of drawn labels, and no criterion may use it.
 *
 * Source: Kunstner, Balles and Hennig 2019, arXiv 1905.12558.
 */
export type FisherEstimate = "batch" | "example" | "sampled";

/** Options of the accumulation. */
export interface AccumulateOptions extends CallOptions {
  readonly choose: ProductChooser;
  readonly slots: SlotPool;
  /** The estimate of the Fisher information. Default: `batch`. */
  readonly estimate?: FisherEstimate;
  /** Seed of drawn labels. Default: 0. */
  readonly seed?: number;
}

/** Lowers a batch of scoring, as large as the device can hold. @throws {ShapeError} If it cannot hold a single example. */
export function lowerScoring(
  { gpu, graph, layout }: Network,
  examples: Examples,
  { choose, estimate = "batch", seed = 0 }: Pick<AccumulateOptions, "choose" | "estimate" | "seed">,
): Plan {
  const maxBatch = estimate === "example" ? 1 : Math.min(scoreBatch, examples.count, examples.batch);
  const images = examples.areImages ? { images: { augmentation: "none" } as const } : {};
  const sampled = estimate === "sampled" ? { sampledLabels: mixBits(seed) } : {};
  const lower = (batch: number) =>
    lowerPlan(graph, { layout, batch, mode: "score", choose, ...images, ...sampled });
  return lower(fitBatch(gpu, maxBatch, lower, ["score", graph.name]));
}

/**
 * Fills the arenas `fisher` and `gradient_mean` over as many whole batches of the examples as there are.
 *
 * @returns The number of examples in these batches.
 * @throws {NumericError} If a weight, a statistic, a logit, a gradient or what is accumulated is not finite.
 * @throws The reason of the signal if it ends the accumulation.
 */
export async function accumulateGradients(
  network: Network,
  examples: Examples,
  { choose, slots, estimate = "batch", seed = 0, ...watched }: AccumulateOptions,
): Promise<number> {
  const { gpu } = network;
  const plan = lowerScoring(network, examples, { choose, estimate, seed }), { batch } = plan;
  using tally = new Tally(gpu);
  const input = (name: string) => name === "tally" ? tally.buffer : examples.input(name);
  using step = await preparePlan(plan, { network, slots, input });
  network.clearArena("fisher");
  network.clearArena("gradient_mean");
  const order = { batch, seed: 0, epoch: 0, shuffle: false, dropLast: true };
  const batches = Math.floor(examples.count / batch);
  const weights = { "fisher_weight": batch / batches, "gradient_weight": 1 / batches };
  const watch = new StepWatch(watched, batches, () => tally.read());
  let index = 0;
  for await (const rows of examples.batches(order)) {
    await watch.next();
    examples.select(rows, step.bind);
    step.program.run({ ...weights, count: batch, index, seed: 0 });
    // Readings limit the work in flight.
    if (++index % 25 === 0) await tally.read();
  }
  await watch.next();
  const found = await findNotFinite(network, ["values", "statistics", "fisher", "gradient_mean"]);
  const { bad } = await tally.read();
  if (found === undefined && bad === undefined) return batch * batches;
  const what = bad?.isLoss ? "a logit" : "a gradient";
  throw notFinite(network, "compute gradients of", found ?? `${what} of batch ${bad!.step} is not finite`);
}
