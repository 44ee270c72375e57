/**
 * Compacts a network on the device: removes what its mask makes superfluous, and checks that it computes the same.
 *
 * @module
 */
import { bindBuffers } from "../../gpu/bind.ts";
import { arenaRef, type ArenaRole, inputRef, tensorRef } from "../../kernels/buffer_ref.ts";
import { KernelError, NumericError, ShapeError } from "../../errors.ts";
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Examples } from "../../gpu/examples.ts";
import { Program } from "../../gpu/executor.ts";
import { checkArenasFinite } from "../../gpu/finite.ts";
import { fitBatch } from "../../gpu/fitting.ts";
import { createArena, Network } from "../../gpu/network.ts";
import { preparePlan } from "../../gpu/plan_program.ts";
import { readBuffers, readFloats } from "../../gpu/readback.ts";
import type { SlotPool } from "../../gpu/slots.ts";
import type { Dispatch } from "../../kernels/dispatch.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import { resolveGraph } from "../../model/graph.ts";
import { summarizeModel } from "../../model/summary.ts";
import { lowerForward } from "../../plan/forward.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { findLogits, type Plan } from "../../plan/plan.ts";
import { dispatchInWindow, isStatistics, wholeWindow, windowRef } from "../../plan/windows.ts";
import type { CallOptions } from "../../train/call_options.ts";
import { type Compaction, type CompactOptions, planCompaction } from "./compact.ts";
import type { NetworkNumbers } from "./live_channels.ts";
import { lowerMasking } from "../mask.ts";

/** The cost of a model. */
export interface CompactionCost {
  /** Trained numbers. */
  readonly parameters: number;
  /** Multiply-adds of convolutions and linear layers for one image. */
  readonly multiplyAdds: number;
  /** Bytes of its parameters and statistics as 32-bit floats. */
  readonly sizeBytes: number;
}

/** The result of a compaction. */
export interface CompactionReport {
  /** The cost before. */
  readonly before: CompactionCost;
  /** The cost after. */
  readonly after: CompactionCost;
  /** The removed layers, by name. */
  readonly removedLayers: readonly string[];
  /** The layers that lost channels: name, and number of channels before and after. */
  readonly channels: readonly { readonly name: string; readonly before: number; readonly after: number }[];
  /** The largest difference between a logit of the masked and the smaller model, as a share of the largest logit. */
  readonly largestDifference: number;
}

/** The largest difference of logits that rounding explains, as a share of the largest logit. */
const allowedDifference = 1e-4;

/** Maximum number of examples whose logits are compared. */
const comparedExamples = 64;

/** Arenas that are overwritten before they are read, and so are not gathered. */
const scratchRoles: ReadonlySet<ArenaRole> = new Set<ArenaRole>([
  "gradients",
  "gradient_sum",
  "scores",
  "confidence",
  "snapshot",
  "held",
  "best",
  "statistics_snapshot",
  "statistics_held",
  "statistics_best",
]);

/** Options of a compaction, with the memory to run networks on examples. */
export interface CompactionTools extends CompactOptions, CallOptions {
  readonly choose: ProductChooser;
  readonly slots: SlotPool;
}

async function applyMask(network: Network): Promise<void> {
  const roles = (["values", "mean", "velocity"] as const).filter((role) => network.arenas.has(role));
  const bind = bindBuffers("masking", { network });
  using program = await Program.create(network.gpu, lowerMasking(network.layout, roles), { bind });
  program.run();
}

/**
 * Makes the network that computes the same as a masked one, without the channels and branches that the mask makes
 * superfluous. The masked network stays as it is, except that its mask is applied. The caller disposes of both.
 *
 * @param examples Examples on which the logits of both are compared.
 * @throws {ShapeError} If there are no examples.
 * @throws {NumericError} If a weight, a statistic or a logit is not finite.
 * @throws {KernelError} If logits differ by more than 1e-4 of the largest.
 * @throws The reason of the signal if it ends the compaction.
 */
export async function compactNetwork(
  network: Network,
  examples: Examples,
  tools: CompactionTools,
): Promise<{ readonly network: Network; readonly report: CompactionReport }> {
  if (examples.count === 0) {
    const current = "no examples to compare logits on";
    throw new ShapeError({ act: "compact model", thing: network.graph.name, current, wanted: "one or more" });
  }
  await checkArenasFinite(network, ["values", "statistics"], "compact model");
  await applyMask(network);
  const numbers = await readNumbers(network), { layout } = network;
  const compaction = planCompaction(network.graph, numbers, { ...tools, layout });
  const smaller = await gatherNetwork(network, compaction);
  try {
    const largestDifference = await compareLogits([network, smaller], examples, tools);
    return { network: smaller, report: makeReport(network, smaller, { compaction, largestDifference }) };
  } catch (error) {
    smaller[Symbol.dispose]();
    throw error;
  }
}

async function readNumbers(network: Network): Promise<NetworkNumbers> {
  const read = (role: ArenaRole) => readFloats(network.gpu, network.arena(role));
  const statistics = network.layout.statisticsQuads > 0 ? { statistics: await read("statistics") } : {};
  return { mask: await read("mask"), values: await read("values"), ...statistics };
}

/** Gathers the smaller arenas on the device. */
async function gatherNetwork(
  network: Network,
  { graph, layout, sources, folds }: Compaction,
): Promise<Network> {
  const { gpu } = network;
  const roles = [...network.arenas.keys()].filter((role) =>
    !scratchRoles.has(role) && sources[chooseSources(role)].length > 0
  );
  const arenas = new Map<ArenaRole, DeviceBuffer>(), lists = new Map<string, DeviceBuffer>();
  try {
    for (const [name, list] of Object.entries(sources)) {
      const buffer = gpu.createBuffer(`${name} sources`, list.byteLength, true);
      lists.set(buffer.label, buffer);
      if (list.length > 0) buffer.write(list);
    }
    const dispatches = roles.flatMap((role) => {
      arenas.set(role, createArena(gpu, layout, role));
      return lowerGather(role, [network.layout, layout]);
    });
    const input = (name: string) => lists.get(name) ?? arenas.get(name as ArenaRole);
    const bind = bindBuffers("compaction", { network, input });
    using program = await Program.create(gpu, dispatches, { bind });
    program.run();
    await fold(gpu, arenas, folds);
    return new Network(gpu, graph, arenas);
  } catch (error) {
    for (const arena of arenas.values()) arena[Symbol.dispose]();
    throw error;
  } finally {
    for (const list of lists.values()) list[Symbol.dispose]();
  }
}

/** The sources of an arena's numbers. */
function chooseSources(role: ArenaRole): "values" | "statistics" {
  return isStatistics(role) ? "statistics" : "values";
}

/** The dispatches that gather an arena, from each window of the larger one into each of the smaller one. */
function lowerGather(
  role: ArenaRole,
  layouts: readonly [ParameterLayout, ParameterLayout],
): readonly Dispatch[] {
  const windowsOf = ({ windows, statisticsQuads }: ParameterLayout) =>
    isStatistics(role) ? [wholeWindow(statisticsQuads, 0)] : windows;
  const [larger, smaller] = layouts.map(windowsOf);
  return smaller.flatMap((to) =>
    larger.map((from) =>
      dispatchInWindow(from, to.quads, {
        kernel: "mask/compact",
        label: `compact ${role}`,
        bindings: {
          sources: windowRef(inputRef(`${chooseSources(role)} sources`), to),
          arena: arenaRef(role),
          out: windowRef(inputRef(role), to),
        },
        params: { quads: to.quads, first: 4 * from.first, count: 4 * from.quads },
      })
    )
  );
}

/** Adds the absorbed constants to the gathered values, their mean and the statistics. */
async function fold(
  gpu: Gpu,
  arenas: ReadonlyMap<ArenaRole, DeviceBuffer>,
  folds: Compaction["folds"],
): Promise<void> {
  for (const role of ["values", "mean", "statistics"] as const) {
    const own = folds.filter(({ arena }) => (arena === "statistics") === (role === "statistics"));
    const arena = arenas.get(role);
    if (!arena || own.length === 0) continue;
    const floats = await readFloats(gpu, arena);
    for (const { offset, add } of own) floats[offset] += add;
    arena.write(floats);
  }
}

/** The largest difference between the logits of two networks, as a share of the largest logit. */
async function compareLogits(
  [masked, smaller]: readonly [Network, Network],
  examples: Examples,
  tools: CompactionTools,
): Promise<number> {
  const { signal, onProgress } = tools, steps = 2;
  const { gpu, graph } = masked, maxBatch = Math.min(comparedExamples, examples.batch, examples.count);
  const lower = (batch: number) => lowerLogits(masked, examples, { ...tools, batch });
  const batch = fitBatch(gpu, maxBatch, lower, ["compact model", graph.name]);
  onProgress?.({ step: 0, steps });
  signal?.throwIfAborted();
  const want = await computeLogits(masked, examples, { ...tools, batch });
  onProgress?.({ step: 1, steps });
  signal?.throwIfAborted();
  const got = await computeLogits(smaller, examples, { ...tools, batch });
  onProgress?.({ step: 2, steps });
  let largest = 0, difference = 0;
  for (const [i, logit] of want.entries()) {
    largest = Math.max(largest, Math.abs(logit));
    difference = Math.max(difference, Math.abs(got[i] - logit));
  }
  const act = "compact model", thing = masked.graph.name;
  if (!Number.isFinite(largest)) {
    throw new NumericError({ act, thing, current: `a logit of ${largest}`, wanted: "numbers" });
  }
  // The negation catches NaN.
  if (!(difference <= allowedDifference * largest)) {
    const current = `logits differ by ${difference}, where the largest is ${largest}`;
    throw new KernelError({ act, thing, current, wanted: `at most ${allowedDifference} of the largest` });
  }
  return largest === 0 ? 0 : difference / largest;
}

function lowerLogits(
  { graph, layout }: Network,
  { areImages }: Examples,
  { batch, choose }: Pick<CompactionTools, "choose"> & { readonly batch: number },
): Plan {
  const images = areImages ? { images: { augmentation: "none" } as const } : {};
  return lowerForward(graph, { layout, batch, choose, ...images });
}

/** The logits of the first examples, (N, K) in quads. */
async function computeLogits(
  network: Network,
  examples: Examples,
  tools: CompactionTools & { readonly batch: number },
): Promise<Float32Array> {
  const { gpu } = network, { slots, batch } = tools;
  const plan = lowerLogits(network, examples, tools), logits = findLogits(plan);
  using step = await preparePlan(plan, { network, slots, input: (name) => examples.input(name) });
  const order = { batch, seed: 0, epoch: 0, shuffle: false, dropLast: true };
  for await (const rows of examples.batches(order)) {
    examples.select(rows, step.bind);
    step.program.run({ seed: 0 });
    break;
  }
  const sizeBytes = 16 * plan.tensors.get(logits)!.quads;
  const [bytes] = await readBuffers(gpu, [{ buffer: step.bind(tensorRef(logits)).buffer, sizeBytes }]);
  return new Float32Array(bytes);
}

function makeReport(network: Network, smaller: Network, { compaction, largestDifference }: {
  readonly compaction: Compaction;
  readonly largestDifference: number;
}): CompactionReport {
  const costOf = ({ graph }: Network): CompactionCost => {
    const { parameters, statistics, multiplyAdds } = summarizeModel(graph);
    return { parameters, multiplyAdds, sizeBytes: 4 * (parameters + statistics) };
  };
  const widths = new Map(resolveGraph(smaller.graph).map(({ spec, output }) => [spec.name, output.channels]));
  const channels = resolveGraph(network.graph).flatMap(({ spec: { name }, output }) => {
    const after = widths.get(name);
    return after === undefined || after === output.channels ? [] : [{ name, before: output.channels, after }];
  });
  const { removedLayers } = compaction;
  return { before: costOf(network), after: costOf(smaller), removedLayers, channels, largestDifference };
}
