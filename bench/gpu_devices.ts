/**
 * GPUs as the model of bench/model_gpu.ts sees them. The numbers are data-sheet values and published microbenchmarks; none was
 * measured by winnow.
 *
 * @module
 */

/** What bounds the speed of a GPU. A unit is what runs a workgroup: a multiprocessor, a compute unit, a core. */
export interface GpuDevice {
  readonly title: string;
  readonly units: number;
  readonly ghz: number;
  /** Multiply-adds in f32 that a unit does in a cycle. */
  readonly lanesPerCycle: number;
  /** Invocations that run in step. */
  readonly subgroup: number;
  /** Invocations and workgroups that a unit holds at once. */
  readonly maxLanes: number;
  readonly maxWorkgroups: number;
  /** Registers of 32 bits, and bytes of workgroup memory, that a unit shares out. */
  readonly registers: number;
  readonly workgroupBytes: number;
  /** Cycles until a load from memory arrives. */
  readonly latency: number;
  /** Bytes that a unit loads from the shared cache in a cycle. */
  readonly unitBytesPerCycle: number;
  readonly memoryGBs: number;
  /** The last cache before memory: what a dispatch reads and writes runs at `cacheGBs` where it fits. */
  readonly cacheMiB: number;
  readonly cacheGBs: number;
  /** Microseconds from the end of a dispatch to the start of one that depends on it. */
  readonly gapUs: number;
}

/** The GPUs by the names of `--model-gpu`. */
export const gpuDevices = {
  "h200": {
    title: "NVIDIA H200",
    units: 132,
    ghz: 1.8,
    lanesPerCycle: 128,
    subgroup: 32,
    maxLanes: 2048,
    maxWorkgroups: 32,
    registers: 65536,
    workgroupBytes: 228 * 1024,
    latency: 650,
    unitBytesPerCycle: 64,
    memoryGBs: 4300,
    cacheMiB: 50,
    cacheGBs: 5500,
    gapUs: 3.5,
  },
  "4090": {
    title: "NVIDIA RTX 4090",
    units: 128,
    ghz: 2.5,
    lanesPerCycle: 128,
    subgroup: 32,
    maxLanes: 1536,
    maxWorkgroups: 24,
    registers: 65536,
    workgroupBytes: 100 * 1024,
    latency: 550,
    unitBytesPerCycle: 64,
    memoryGBs: 920,
    cacheMiB: 72,
    cacheGBs: 5000,
    gapUs: 3.5,
  },
  "navi21": {
    title: "AMD RX 6800 (Navi 21)",
    units: 60,
    ghz: 2.1,
    lanesPerCycle: 64,
    subgroup: 32,
    maxLanes: 1024,
    maxWorkgroups: 32,
    registers: 65536,
    workgroupBytes: 64 * 1024,
    latency: 600,
    unitBytesPerCycle: 64,
    memoryGBs: 460,
    cacheMiB: 128,
    cacheGBs: 1900,
    gapUs: 5,
  },
  "m3": {
    title: "Apple M3, 10 cores",
    units: 10,
    ghz: 1.4,
    lanesPerCycle: 128,
    subgroup: 32,
    maxLanes: 1024,
    maxWorkgroups: 32,
    registers: 53248,
    workgroupBytes: 60 * 1024,
    latency: 500,
    unitBytesPerCycle: 64,
    memoryGBs: 90,
    cacheMiB: 8,
    cacheGBs: 200,
    gapUs: 6,
  },
} as const satisfies Readonly<Record<string, GpuDevice>>;

/** A name of `gpuDevices`. */
export type GpuName = keyof typeof gpuDevices;

/** All names. */
export const gpuNames = Object.keys(gpuDevices) as [GpuName, ...GpuName[]];
