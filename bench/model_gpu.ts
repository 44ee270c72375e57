/**
 * What a training step would take on a GPU, by a model of the plan's dispatches. It needs no GPU and is no measurement;
 * docs/results.md lists what it assumes.
 *
 * @module
 */
import { defaultChooser } from "../src/kernels/gemm.ts";
import { presetNetwork } from "../src/model/presets.ts";
import { lowerPlan } from "../src/plan/lower.ts";
import type { Plan } from "../src/plan/plan.ts";
import { formatTable } from "../src/text/table.ts";
import { type DispatchWork, readWork } from "./dispatch_work.ts";
import { type GpuDevice, gpuDevices, type GpuName } from "./gpu_devices.ts";
import { formatNumber, formatShare } from "./record.ts";
import { momentumSgd, task } from "./steps.ts";

/** What a dispatch can be bound by. */
export type GpuLimit = "arithmetic" | "bandwidth" | "latency" | "dispatch";

/** A dispatch's time and what binds it. */
export interface ModelledTime {
  readonly timeUs: number;
  readonly limit: GpuLimit;
  /** The least time: all units multiply, or all bytes flow at the bandwidth, and nothing waits. */
  readonly leastUs: number;
}

/** Cycles that a workgroup takes to meet at a barrier and to read what others wrote to workgroup memory. */
const barrierCycles = 40;

/** Workgroups that a unit holds at once. */
function residentWorkgroups(work: DispatchWork, gpu: GpuDevice): number {
  const lanes = Math.ceil(work.lanes / gpu.subgroup) * gpu.subgroup;
  const by = [
    gpu.maxWorkgroups,
    gpu.maxLanes / lanes,
    gpu.registers / (lanes * work.registers),
    work.workgroupBytes === 0 ? Infinity : gpu.workgroupBytes / work.workgroupBytes,
  ];
  return Math.max(1, Math.floor(Math.min(...by)));
}

/**
 * The time of a dispatch: the gap before it, and the longest of three.
 *
 * - arithmetic: the instructions of the workgroups that the busiest unit runs. One subgroup issues one instruction a cycle.
 * - bandwidth: the bytes read and written once through memory, or the bytes loaded by lanes through the cache.
 * - latency: workgroups beyond those that fit go in rounds; in each, a lane's turns wait for memory one after the other.
 */
export function modelDispatch(work: DispatchWork, gpu: GpuDevice): ModelledTime {
  const { workgroups, turns, barriers, bytes, loadedBytes, multiplyAdds } = work;
  const subgroups = Math.ceil(work.lanes / gpu.subgroup), perUnit = Math.ceil(workgroups / gpu.units);
  const resident = Math.min(perUnit, residentWorkgroups(work, gpu));
  const issued = subgroups * gpu.subgroup * work.instructions;
  const cyclesOf = (together: number) =>
    issued / Math.min(gpu.lanesPerCycle, together * subgroups * gpu.subgroup);
  const us = (cycles: number) => cycles / gpu.ghz / 1000;
  const arithmetic = us(perUnit * cyclesOf(resident));
  const streamedUs = bytes / (bytes <= gpu.cacheMiB * 2 ** 20 ? gpu.cacheGBs : gpu.memoryGBs) / 1000;
  const loading = Math.min(workgroups, gpu.units) * gpu.unitBytesPerCycle;
  const bandwidth = Math.max(streamedUs, us(loadedBytes / loading));
  const chain = turns * gpu.latency + barriers * barrierCycles + cyclesOf(1);
  const latency = us(Math.ceil(perUnit / resident) * chain);
  const limits = { arithmetic, bandwidth, latency, dispatch: gpu.gapUs };
  const names = Object.keys(limits) as GpuLimit[];
  const limit = names.reduce((most, name) => limits[name] > limits[most] ? name : most);
  const leastUs = Math.max(us(multiplyAdds / gpu.units / gpu.lanesPerCycle), streamedUs);
  return { timeUs: gpu.gapUs + Math.max(arithmetic, bandwidth, latency), limit, leastUs };
}

/** A kernel's part of a step. */
export interface ModelledKernel extends ModelledTime {
  readonly kernel: string;
  readonly calls: number;
}

/** A step by the model. */
export interface ModelledStep {
  readonly gpu: GpuName;
  readonly network: string;
  readonly batch: number;
  readonly dispatches: number;
  /** Longest first. The limit is the one that binds most of a kernel's time. */
  readonly kernels: readonly ModelledKernel[];
  readonly timeUs: number;
  /** Of it, the gaps before dispatches. */
  readonly gapsUs: number;
  /** What the multiply-adds alone take if all units multiply. */
  readonly arithmeticUs: number;
}

/** The training step of a preset as it runs on a GPU before any tuning. */
export function lowerGpuStep(network: string, batch: number): Plan {
  const graph = presetNetwork(network, task);
  const images = { augmentation: "none" } as const;
  return lowerPlan(graph, {
    batch,
    mode: "train",
    choose: defaultChooser("storage"),
    images,
    optimizer: momentumSgd,
  });
}

/** Sums the times of a step's dispatches by kernel. */
export function modelStep(name: GpuName, { network, batch }: {
  readonly network: string;
  readonly batch: number;
}): ModelledStep {
  const plan = lowerGpuStep(network, batch), gpu = gpuDevices[name];
  const works = plan.dispatches.map((dispatch) => readWork(dispatch, plan));
  const times = works.map((work) => modelDispatch(work, gpu));
  const kernels = Map.groupBy(plan.dispatches.keys(), (i) => plan.dispatches[i]!.kernel);
  const sum = (all: readonly ModelledTime[], key: "timeUs" | "leastUs") =>
    all.reduce((total, time) => total + time[key], 0);
  const rows = [...kernels].map(([kernel, indices]): ModelledKernel => {
    const own = indices.map((i) => times[i]!);
    const byLimit = [...Map.groupBy(own, ({ limit }) => limit)];
    const [limit] = byLimit.toSorted(([, a], [, b]) => sum(b, "timeUs") - sum(a, "timeUs"))[0]!;
    return { kernel, calls: own.length, timeUs: sum(own, "timeUs"), leastUs: sum(own, "leastUs"), limit };
  });
  const multiplyAdds = works.reduce((total, work) => total + work.multiplyAdds, 0);
  return {
    gpu: name,
    network,
    batch,
    dispatches: works.length,
    kernels: rows.sort((a, b) => b.timeUs - a.timeUs),
    timeUs: sum(times, "timeUs"),
    gapsUs: works.length * gpu.gapUs,
    arithmeticUs: multiplyAdds / (gpu.units * gpu.lanesPerCycle * gpu.ghz * 1000),
  };
}

/** A modelled step as a table, longest kernel first, with its sum. */
export function formatModelledStep(step: ModelledStep): string {
  const { timeUs, gapsUs, arithmeticUs } = step;
  const row = (name: string, calls: number, us: number) =>
    [name, String(calls), formatNumber(us / 1000), formatShare(us / timeUs)] as const;
  const rows = step.kernels.map(({ kernel, calls, timeUs, leastUs, limit }) => [
    ...row(kernel, calls, timeUs),
    limit,
    formatShare(leastUs / timeUs),
  ]);
  const table = formatTable(
    ["kernel", "calls", "ms", "of step", "bound by", "least"],
    [...rows, [...row("step", step.dispatches, timeUs), "", ""]],
    { align: ["left", "right", "right", "right", "left", "right"] },
  );
  const title = `${step.network}, batch ${step.batch}, training step on ${gpuDevices[step.gpu].title}`;
  return `${title}: a model, no measurement\n\n${table}\n\nOf it gaps between dispatches take ${
    formatNumber(gapsUs / 1000)
  } ms. Multiply-adds alone would take ${formatNumber(arithmeticUs / 1000)} ms.\n`;
}
