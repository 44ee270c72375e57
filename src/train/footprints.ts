/**
 * The device memory that training and evaluation need.
 *
 * @module
 */
import type { Examples } from "../gpu/examples.ts";
import type { Gpu } from "../gpu/device.ts";
import { lowerFiniteCheck } from "../gpu/finite.ts";
import { arenaQuads, type Network } from "../gpu/network.ts";
import { evaluationInputBytes } from "../gpu/tally.ts";
import type { ArenaRole } from "../kernels/buffer_ref.ts";
import { countClasses } from "../model/graph.ts";
import { teacherLogits } from "../plan/distillation.ts";
import { teacherFeatures } from "../plan/features.ts";
import { type Footprint, type HeldMemory, MemoryTally, type OuterRef } from "../plan/footprint.ts";
import type { ParameterLayout } from "../plan/layout.ts";
import { mixShares } from "../plan/mixup.ts";
import { findLogits } from "../plan/plan.ts";
import { type EvaluatorTools, fitEvaluationBatch, lowerEvaluation } from "./evaluate.ts";
import type { TrainOptions } from "./phase.ts";
import {
  checkStepFits,
  isMixed,
  lowerStepPlans,
  makeImageOptions,
  readComparingLoss,
  repeatsExamples,
} from "./step_programs.ts";
import { countCacheBytes } from "./teacher_cache.ts";
import { listComparedNames, lowerTeacher } from "./teacher.ts";

/** The memory of an arena of a model; `owner` tells models apart. */
export function arenaMemory(layout: ParameterLayout, role: ArenaRole, owner = "model"): HeldMemory {
  return { name: `arena ${role} of ${owner}`, sizeBytes: 16 * arenaQuads(layout, role) };
}

/** Adds the arenas that every model has: values, mask and the statistics of batch norm. */
export function holdModel(memory: MemoryTally, { layout }: Network, owner?: string): void {
  for (const role of ["values", "mask"] as const) memory.hold(arenaMemory(layout, role, owner));
  if (layout.statisticsQuads > 0) memory.hold(arenaMemory(layout, "statistics", owner));
}

/** Finds the memory behind the arenas of a model and the inputs of its plans. */
export function findOuter(
  { layout }: Network,
  { owner, inputs = {}, examples, use }: {
    /** The model's name among models. Default: `model`. */
    readonly owner?: string;
    /** Bytes of inputs by their names, or their memory. */
    readonly inputs?: Readonly<Record<string, number | HeldMemory>>;
    readonly examples: Examples;
    /** What the examples are for, which tells them from other examples. */
    readonly use: string;
  },
): (ref: OuterRef) => HeldMemory {
  return (ref) => {
    if ("arena" in ref) return arenaMemory(layout, ref.arena, owner);
    const own = Object.hasOwn(inputs, ref.input) ? inputs[ref.input] : undefined;
    if (typeof own === "object") return own;
    const sizeBytes = own ?? examples.input(ref.input)?.sizeBytes ?? 0;
    return { name: `${use} ${ref.input}`, sizeBytes };
  };
}

/** Adds a check of the values and statistics of a model, and of other arenas. */
export function holdFiniteCheck(
  memory: MemoryTally,
  { layout }: Network,
  use: string,
  others: readonly ArenaRole[] = [],
): void {
  const statistics = layout.statisticsQuads > 0 ? ["statistics"] as const : [];
  const roles: readonly ArenaRole[] = ["values", ...statistics, ...others];
  const dispatches = roles.flatMap((role, part) => lowerFiniteCheck(layout, role, part));
  memory.holdProgram(
    `${use} check`,
    dispatches,
    (ref) =>
      "arena" in ref
        ? arenaMemory(layout, ref.arena)
        : { name: `${use} check found`, sizeBytes: 4 * roles.length },
  );
}

/** Nothing held on a device. */
export function openTally({ path, device }: Gpu): MemoryTally {
  return new MemoryTally({ path, uniformAlignment: device.limits.minUniformBufferOffsetAlignment });
}

/** The name of the pool that a model's plans share. */
export const sharedPool = "shared";

/** Adds what evaluation on examples needs. @throws {ShapeError} As `fitEvaluationBatch` does. */
export function holdEvaluation(
  memory: MemoryTally,
  network: Network,
  examples: Examples,
  { tools, use }: { readonly tools: Omit<EvaluatorTools, "slots">; readonly use: string },
): void {
  const { gpu, graph, layout } = network, { areImages, count } = examples;
  const maxBatch = Math.min(examples.batch, count);
  const batch = fitEvaluationBatch(gpu, graph, { ...tools, areImages, maxBatch });
  const plan = lowerEvaluation(graph, { layout, batch, choose: tools.choose, areImages });
  const inputs = evaluationInputBytes({ classes: countClasses(graph), examples: count });
  memory.holdPlan(plan, { program: use, pool: sharedPool }, findOuter(network, { inputs, examples, use }));
  holdFiniteCheck(memory, network, use);
}

/**
 * The device memory that evaluation on examples needs at its peak; prediction needs no more.
 *
 * @throws {ShapeError} If the device cannot hold so many examples per batch as asked for, or not even one.
 */
export function evaluationFootprint(
  network: Network,
  examples: Examples,
  tools: Omit<EvaluatorTools, "slots">,
): Footprint {
  const memory = openTally(network.gpu);
  holdModel(memory, network);
  holdEvaluation(memory, network, examples, { tools, use: "evaluation" });
  return memory.peak;
}

/**
 * Adds what training on examples needs: the step's plan, the teacher's plan, and the kept states.
 *
 * @param names What the examples are for, the pool of the step's slots, and the teacher's name among models.
 * @throws {ShapeError} If the device cannot hold the batch.
 */
export function holdTraining(
  memory: MemoryTally,
  network: Network,
  examples: Examples,
  { use, pool, teacherName, ...options }: Omit<TrainOptions, "slots"> & {
    readonly use: string;
    readonly pool: string;
    readonly teacherName: string;
  },
): void {
  checkStepFits(network, examples, options);
  const { layout } = network, { teacher, choose, validation } = options;
  const batch = Math.min(options.batch, examples.count), mixes = isMixed(options);
  const shared = { tally: 16, ...(mixes ? { [mixShares]: 4 * batch } : {}) };
  const taught: Record<string, HeldMemory> = {};
  if (teacher) {
    const loss = readComparingLoss(options);
    const plan = lowerTeacher(teacher, {
      batch,
      choose,
      mixes,
      ...makeImageOptions(examples, options),
      loss,
    });
    const find = findOuter(teacher, { owner: teacherName, inputs: shared, examples, use });
    const tensorAt = memory.holdPlan(plan, { program: `${use} teacher`, pool: `${use} teacher` }, find);
    taught[teacherLogits] = tensorAt(findLogits(plan));
    const compared = listComparedNames(teacher.graph, loss).map((name) => plan.outputs.get(name)!);
    for (const [map, tensor] of compared.entries()) taught[teacherFeatures(map)] = tensorAt(tensor);
    const outputs = [findLogits(plan), ...compared].map((tensor) => ({
      quads: plan.tensors.get(tensor)!.quads / batch,
    }));
    const cacheBytes = countCacheBytes(outputs, { examples: examples.count, batch });
    const { teacherCacheBytes = 0 } = options;
    if (repeatsExamples(options) && cacheBytes <= teacherCacheBytes) {
      memory.hold({ name: `${use} teacher cache`, sizeBytes: cacheBytes });
    }
  }
  const find = findOuter(network, { inputs: { ...shared, ...taught }, examples, use });
  for (const [kind, plan] of Object.entries(lowerStepPlans(network, examples, options))) {
    memory.holdPlan(plan, { program: `${use} ${kind}`, pool }, find);
  }
  // The last finite state; with validation also the best epoch's and the current one.
  const states = ["snapshot", ...(validation ? ["best", "held"] : [])] as const;
  for (const state of states) {
    memory.hold({ name: `arena ${state} of model`, sizeBytes: 16 * arenaQuads(layout, "values") });
    if (layout.statisticsQuads === 0) continue;
    memory.hold({ name: `statistics of ${state}`, sizeBytes: 16 * layout.statisticsQuads });
  }
}

/**
 * The device memory that training needs at its peak.
 *
 * @throws {ShapeError} If the device cannot hold the batch.
 */
export function trainingFootprint(
  network: Network,
  examples: Examples,
  options: Omit<TrainOptions, "slots">,
): Footprint {
  const memory = openTally(network.gpu), { validation, teacher } = options;
  holdModel(memory, network);
  if (teacher) holdModel(memory, teacher, "teacher");
  holdTraining(memory, network, examples, {
    ...options,
    ...{ use: "training", pool: sharedPool, teacherName: "teacher" },
  });
  holdFiniteCheck(memory, network, "training");
  if (validation) holdEvaluation(memory, network, validation, { tools: options, use: "validation" });
  return memory.peak;
}
