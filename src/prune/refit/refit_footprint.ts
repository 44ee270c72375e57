/**
 * The device memory of a refit: what its opening takes and keeps, and what each layer takes while it is refitted.
 *
 * @module
 */
import type { Examples } from "../../gpu/examples.ts";
import type { Network } from "../../gpu/network.ts";
import { type BufferRef, refText } from "../../kernels/buffer_ref.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import { resolveGraph } from "../../model/graph.ts";
import type { HeldMemory, MemoryTally, OuterRef } from "../../plan/footprint.ts";
import type { Plan } from "../../plan/plan.ts";
import { wireLayers } from "../../plan/wire.ts";
import { countQuads } from "../../shape.ts";
import { arenaMemory, findOuter, holdTraining } from "../../train/footprints.ts";
import { lowerRowGather } from "./gather_rows.ts";
import { patchQuads } from "./geometry.ts";
import { lowerAccumulation, lowerCovariances, lowerShift } from "./gram.ts";
import { isCopied, measureParts } from "./group_refit.ts";
import { planReconstruction } from "./reconstruct.ts";
import { layerScratch, makeGramContext } from "./refit_layer.ts";
import { countDispatchesBefore, groupsAtOnce, planRefit } from "./refit_network.ts";
import { countTargetBytes, listSamplings, lowerTargets } from "./refit_target.ts";
import type { RefittableLayer } from "./refittable_layers.ts";
import { keepsBetween, liveAt } from "./resumable_forward.ts";
import { countScratchBytes } from "./scratch.ts";
import { fillRefitSettings, type RefitSettings } from "./settings.ts";
import { batchSystems, blockColumns, lowerSolve, lowerSupport, type SystemBatch } from "./solve.ts";
import { defaultScratchBytes, solveScratch } from "./solve_rows.ts";

/** Finds memory by the names of inputs. */
function findInput(memory: Readonly<Record<string, HeldMemory>>): (ref: BufferRef) => HeldMemory {
  return (ref) => {
    const found = "input" in ref ? memory[ref.input] : undefined;
    if (!found) throw new Error(`no memory of ${refText(ref)}`);
    return found;
  };
}

/** Finds the memory of a pass that runs in pieces. */
interface TalliedPass {
  /** Adds a piece up to a cut, and what is saved there, and frees the piece's program. */
  visit(cut: number): void;
  tensor(name: string): HeldMemory;
}

/** Adds a pass: its slots, and piece by piece what its batches save. */
function holdPass(memory: MemoryTally, plan: Plan, { name, cuts, batches, memoryBytes, find }: {
  readonly name: string;
  readonly cuts: readonly number[];
  readonly batches: number;
  readonly memoryBytes: number;
  readonly find: (ref: OuterRef) => HeldMemory;
}): TalliedPass {
  const slots = memory.holdSlots(name, plan.slots);
  const tensor = (tensor: string) => slots[plan.tensors.get(tensor)!.slot];
  const keeps = keepsBetween(plan, { cuts, batches, memoryBytes });
  let before = 0;
  return {
    tensor,
    visit(cut) {
      const dispatches = plan.dispatches.slice(keeps ? before : 0, cut);
      memory.holdProgram("piece", dispatches, (ref) => "tensor" in ref ? tensor(ref.tensor) : find(ref));
      const live = liveAt(plan, cut).map(({ quads }) => quads);
      for (let batch = 0; keeps && dispatches.length > 0 && batch < batches; batch++) {
        memory.holdSlots(`${name} batch ${batch}`, live);
      }
      memory.release("piece");
      before = cut;
    },
  };
}

/** The largest systems that rows of up to so many weights need, by the number of weights that are kept. */
function listSystems(outputs: number, width: number, withIdentity: boolean): readonly SystemBatch[] {
  const rows = Array.from({ length: outputs }, (_, row) => row);
  const sizes = Array.from(
    { length: Math.ceil(width / blockColumns) },
    (_, i) => Math.min(width, (i + 1) * blockColumns),
  );
  return sizes.map((size) =>
    batchSystems(rows, {
      counts: new Uint32Array(outputs).fill(size),
      scratchQuads: defaultScratchBytes / 16,
      withIdentity,
    })[0]
  );
}

/**
 * Adds what opening a refit takes, and frees what it does not keep.
 *
 * @param use The name that tells its examples from others.
 * @returns Adds what applying it takes; rows are counted as if any number of their weights were kept.
 * @throws {ConfigError | ShapeError} As `Refit.open` does.
 */
export function holdRefit(
  memory: MemoryTally,
  network: Network,
  examples: Examples,
  { choose, use, ...given }: {
    readonly choose: ProductChooser;
    readonly use: string;
  } & Partial<RefitSettings>,
): () => void {
  const settings = fillRefitSettings(given), { memoryBytes, selectionSteps } = settings;
  const { layout, graph, gpu } = network;
  const { layers, plan, positions, rows } = planRefit(network, examples, { choose, settings });
  const find = findOuter(network, { examples, use }), batches = rows.length, batch = rows[0].length;
  const dense = arenaMemory(layout, "values", "dense");
  memory.hold(dense);
  if (layout.statisticsQuads > 0) memory.hold(arenaMemory(layout, "statistics", "dense"));
  const targetOf = (layer: RefittableLayer, target: string): HeldMemory => ({
    name: `target ${target} of ${layer.name}`,
    sizeBytes: countTargetBytes(layer, positions.get(layer.name)!),
  });
  const samplesOf = ({ name }: RefittableLayer) =>
    Math.max(...positions.get(name)!.map(({ length }) => length));
  for (const layer of layers) {
    memory.hold(targetOf(layer, "outputs"));
    if (layer.skip) memory.hold(targetOf(layer, "skip"));
  }
  const targetsPlan = lowerTargets(layers, { network, examples, batch, choose });
  const samplings = listSamplings(layers, targetsPlan, graph);
  const cuts = [...new Set(samplings.map(({ cut }) => cut))].sort((a, b) => a - b);
  const sampling = holdPass(memory, targetsPlan, { name: "sampling", cuts, batches, memoryBytes, find });
  for (const cut of cuts) {
    for (const [i, { layer, tensor, target, accumulate }] of samplings.entries()) {
      if (samplings[i].cut !== cut) continue;
      const channels = layer.groups * layer.geometry.outChannels, lines = samplesOf(layer);
      const gather = {
        ...{ label: layer.name, inChannels: channels, channels, firstChannel: 0 },
        ...{ lines, accumulate, isSampled: true },
      };
      memory.holdProgram(
        `gather ${i}`,
        [lowerRowGather(gather)],
        findInput({
          lines: sampling.tensor(tensor),
          positions: { name: `gather ${i} positions`, sizeBytes: 4 * lines },
          out: targetOf(layer, target),
        }),
      );
    }
    sampling.visit(cut);
    memory.release("gather ");
  }
  memory.release("sampling");
  const pieces = layers.map((layer) => countDispatchesBefore(plan, layer, examples));
  const pass = holdPass(memory, plan, { name: "pass", cuts: pieces, batches, memoryBytes, find });
  const wires = wireLayers(resolveGraph(graph), "evaluate");
  const tensorOf = (node: number) => pass.tensor(node < 0 ? "x" : wires[node].y);

  /** Adds a group of a layer, and returns the memory that the solution of its rows names. */
  const holdGroup = (layer: RefittableLayer, group: number) => {
    const { geometry, groups, skip } = layer, samples = samplesOf(layer);
    const parts = measureParts(layer, { batch, samples }), own = `layer group ${group}`;
    const take = (what: keyof typeof parts, from: readonly HeldMemory[]): HeldMemory => {
      if (!isCopied(layer, from.length)) return from[0];
      const { channels, lines } = parts[what];
      const out = { name: `${own} ${what}`, sizeBytes: 16 * lines * countQuads(channels) };
      for (const [i, tensor] of from.entries()) {
        const gather = {
          ...{ label: layer.name, inChannels: groups * channels, channels, firstChannel: group * channels },
          ...{ lines, accumulate: i > 0, isSampled: false },
        };
        const find = findInput({ lines: tensor, positions: tensor, out });
        memory.holdProgram(`${own} ${what} ${i}`, [lowerRowGather(gather)], find);
      }
      return out;
    };
    const context = makeGramContext(gpu, geometry, samples);
    const scratch = Object.entries(countScratchBytes(layerScratch(context), gpu.path));
    const named: Record<string, HeldMemory> = {
      ...Object.fromEntries(
        scratch.map(([name, sizeBytes]) => [name, { name: `${own} ${name}`, sizeBytes }]),
      ),
      x: take("input", [tensorOf(layer.source)]),
      "target_values": take("targets", [targetOf(layer, "outputs")]),
      ...(skip
        ? {
          "skip_dense": take("dense skip", [targetOf(layer, "skip")]),
          "skip_pruned": take("skip", skip.terms.map(tensorOf)),
          alpha: { name: `${own} alpha`, sizeBytes: 16 * countQuads(geometry.outChannels) },
        }
        : {}),
    };
    for (const [name] of scratch) memory.hold(named[name]);
    memory.holdProgram(`${own} shift`, lowerShift(context, skip !== undefined), findInput(named));
    memory.holdProgram(`${own} add`, lowerAccumulation(context, skip !== undefined), findInput(named));
    return named;
  };

  /** Adds the solution of a group's rows, and frees it. */
  const holdSolution = (layer: RefittableLayer, named: Readonly<Record<string, HeldMemory>>) => {
    const { geometry, groups } = layer, { outChannels } = geometry, withScores = selectionSteps > 0;
    const values = arenaMemory(layout, "values"), mask = arenaMemory(layout, "mask");
    const shift = { name: "layer shift", sizeBytes: 16 * groups * countQuads(outChannels) };
    const [height, width] = geometry.kernel, weights = height * width * geometry.inChannels;
    const systems = listSystems(outChannels, weights, withScores);
    const scratch = Object.entries(countScratchBytes(solveScratch(systems), gpu.path));
    const scores = { name: "solution scores", sizeBytes: 16 * outChannels * patchQuads(geometry) };
    const all = {
      ...named,
      ...{ mask, dense, values, shift, scores },
      ...Object.fromEntries(
        scratch.map(([name, sizeBytes]) => [name, { name: `solution ${name}`, sizeBytes }]),
      ),
    };
    const prepared = [
      ...lowerCovariances(geometry, 1),
      ...lowerSupport(geometry, { damping: settings.damping, maskOffset: 0 }),
    ];
    memory.holdProgram("prepared", prepared, findInput(all));
    memory.release("prepared");
    for (const [name] of scratch) memory.hold(all[name as keyof typeof all]);
    const largest = systems.at(-1)!;
    const dispatches = lowerSolve(largest, {
      ...{ geometry, path: gpu.path, subgroupSize: gpu.subgroups?.size },
      ...{ denseOffset: 0, valuesOffset: 0, scoresOffset: withScores ? 0 : undefined, shiftOffset: 0 },
      ...{ scale: 1, shiftScale: 1 },
    });
    memory.holdProgram("solution", dispatches, findInput(all));
    memory.release("solution");
  };

  return () => {
    for (const [i, layer] of layers.entries()) {
      const groups = Array.from({ length: Math.min(groupsAtOnce, layer.groups) }, (_, group) => group);
      const named = groups.map((group) => holdGroup(layer, group));
      pass.visit(pieces[i]);
      holdSolution(layer, named[0]);
      memory.release("layer ");
    }
    const phases = planReconstruction({ network, dense: network, examples, choose }, settings);
    for (const phase of phases) {
      holdTraining(memory, network, examples, {
        ...phase,
        ...{ use, pool: "reconstruction", teacherName: "dense" },
      });
      for (const own of ["teacher", "plain", "averaging"]) memory.release(`${use} ${own}`);
    }
    memory.release("reconstruction");
  };
}
