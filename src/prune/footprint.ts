/**
 * The device memory that a removal needs: scoring, selection and refit.
 *
 * @module
 */
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import type { BufferRef } from "../kernels/buffer_ref.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Footprint, HeldMemory } from "../plan/footprint.ts";
import {
  arenaMemory,
  findOuter,
  holdFiniteCheck,
  holdModel,
  openTally,
  sharedPool,
} from "../train/footprints.ts";
import { coupleChannels } from "./groups/coupling.ts";
import { layOutBlocks } from "./groups/blocks.ts";
import { packGroupRuns } from "./groups/scores.ts";
import { lowerMaskCounts, lowerMasking } from "./mask.ts";
import { listPrunerBuffers } from "./pruner.ts";
import { holdRefit } from "./refit/refit_footprint.ts";
import type { RefitSettings } from "./refit/settings.ts";
import { type FisherEstimate, lowerScoring } from "./score/accumulate.ts";
import { lowerPrior, type Prior } from "./score/confidence.ts";
import {
  type Criterion,
  criterionScratch,
  getCriterionType,
  lowerScores,
  prunableTensors,
} from "./score/criteria.ts";
import { joinRanges, lowerSelection } from "./select/select.ts";
import type { Granularity } from "./select/removal.ts";

/** What is known of a removal before it. */
export interface RemovalMemory {
  readonly by: Criterion;
  readonly fisher?: FisherEstimate | undefined;
  readonly prior?: Prior | undefined;
  readonly granularity?: Granularity | undefined;
  /** The settings of the refit, and its examples, if kept weights are refitted. */
  readonly refit?: { readonly examples: Examples; readonly settings: Partial<RefitSettings> } | undefined;
  readonly choose: ProductChooser;
}

/** The buffers that ranking groups takes, by name, with their words. */
function listGroupBuffers(
  { graph, layout }: Network,
  granularity: Granularity,
): readonly (readonly [name: string, words: number])[] {
  if (granularity === "element") return [];
  if (granularity === "channel") {
    const { groups } = coupleChannels(graph);
    const runs = layout.windows.map((window) =>
      packGroupRuns(layout, groups, { part: "all", window }).runs.length
    );
    return [
      ["group_starts", groups.length + 1],
      ["group_runs", Math.max(4, ...runs)],
      ...["group_sums", "group_counts"].map((name) => [name, groups.length] as const),
    ];
  }
  const blocks = layOutBlocks(prunableTensors(layout), granularity)
    .reduce((sum, { blocks }) => sum + blocks, 0);
  return ["block_sums", "block_counts", "block_keep"].map((name) => [name, blocks]);
}

/**
 * The device memory that a removal needs at its peak.
 *
 * @throws {ConfigError | ShapeError} If a setting of the refit is not possible, or the device cannot hold an example.
 */
export function pruningFootprint(
  network: Network,
  examples: Examples,
  { by, fisher, prior = "evidence", granularity = "element", refit, choose }: RemovalMemory,
): Footprint {
  const { layout } = network, memory = openTally(network.gpu), type = getCriterionType(by);
  holdModel(memory, network);
  const refitUse = refit?.examples === examples ? "scoring" : "refit";
  holdExamples(refit?.examples, refitUse);
  const apply = refit &&
    holdRefit(memory, network, refit.examples, { ...refit.settings, choose, use: refitUse });
  holdExamples(examples, "scoring");
  const words = new Map([
    ...listPrunerBuffers(layout),
    ...criterionScratch(network, by),
    ...listGroupBuffers(network, granularity),
  ]);
  const find = (ref: BufferRef): HeldMemory =>
    "arena" in ref
      ? arenaMemory(layout, ref.arena)
      : "input" in ref
      ? { name: `pruning ${ref.input}`, sizeBytes: 4 * words.get(ref.input)! }
      : { name: ref.tensor, sizeBytes: 0 };
  for (const [name, count] of words) memory.hold({ name: `pruning ${name}`, sizeBytes: 4 * count });
  for (const role of ["scores", "mean"] as const) memory.hold(arenaMemory(layout, role));
  const needs = type.needs.filter((need) => need !== "variance");
  if (needs.length > 0) {
    const plan = lowerScoring(network, examples, { choose, ...(fisher ? { estimate: fisher } : {}) });
    const outer = findOuter(network, { inputs: { tally: 16 }, examples, use: "scoring" });
    memory.holdPlan(plan, { program: "scoring program", pool: sharedPool }, outer);
    holdFiniteCheck(memory, network, "scoring", ["fisher", "gradient_mean"]);
  }
  if (refitUse !== "scoring" || !refit) memory.release("scoring");
  else for (const part of ["program", "check", "tally"]) memory.release(`scoring ${part}`);
  const settings = { examples: 1, seed: 0 };
  const runs = [
    [...(type.readsPrior ? lowerPrior(layout, prior, 1) : []), ...lowerScores(network, by, settings)],
    lowerSelection(joinRanges(prunableTensors(layout)), 1),
    lowerMasking(layout, ["values", "mean", "velocity"]),
    lowerMaskCounts(layout),
  ];
  for (const dispatches of runs) {
    memory.holdProgram("run", dispatches, find);
    memory.release("run");
  }
  // A later round finds the mirrors and arenas that the first one made.
  apply?.();
  apply?.();
  return memory.peak;

  /** Adds the buffers of examples. */
  function holdExamples(held: Examples | undefined, use: string): void {
    for (const name of ["images", "classes", "rows", "normalization"]) {
      const buffer = held?.input(name);
      if (buffer) memory.hold({ name: `${use} ${name}`, sizeBytes: buffer.sizeBytes });
    }
  }
}
