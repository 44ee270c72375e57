/**
 * The adapter's own limits: multiply-adds and copying.
 *
 * @module
 */
import { bindBuffers } from "../src/gpu/bind.ts";
import { inputRef } from "../src/kernels/buffer_ref.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { Program } from "../src/gpu/executor.ts";
import { checkIterations, type Dispatch, dispatchOver } from "../src/kernels/dispatch.ts";
import { kernelInterface } from "../src/kernels/source.ts";
import { finishWork, type Workload } from "./measure.ts";

/** Work with what a repetition of it does. */
export interface PeakWorkload extends Workload, Disposable {
  /** GFLOP, or GB read and written, in a repetition. */
  readonly work: number;
}

/** The dispatch of the multiply-add kernel: `quads` invocations of `rounds` rounds, sums into buffer `sums`. */
export function dispatchPeakFma(quads: number, rounds: number): Dispatch {
  checkIterations("bench/peak_fma", rounds);
  const params = { quads, rounds, scale: 0.999, shift: 0.5 };
  return dispatchOver(quads, {
    kernel: "bench/peak_fma",
    label: "peak fma",
    bindings: { sums: inputRef("sums") },
    params,
  });
}

/** Floating-point operations of one invocation of the multiply-add kernel. */
export function peakFmaFlops(rounds: number): number {
  const { constants } = kernelInterface("bench/peak_fma");
  return 2 * constants.get("CHAINS")! * constants.get("STEPS")! * rounds;
}

/** Prepares the multiply-add kernel, sized so that a dispatch takes some 20 ms on the kind of adapter at hand. */
export async function openPeakFma(gpu: Gpu): Promise<PeakWorkload> {
  const { isFallback } = gpu.adapter;
  const quads = isFallback ? 2 ** 12 : 2 ** 18, rounds = isFallback ? 1000 : 4000;
  const sums = gpu.createBuffer("sums", 16 * quads);
  const bind = bindBuffers("bench", { input: () => sums });
  const program = await Program.create(gpu, [dispatchPeakFma(quads, rounds)], { bind });
  return {
    work: quads * peakFmaFlops(rounds) / 1e9,
    submit: () => program.run(),
    finish: () => finishWork(gpu),
    [Symbol.dispose]() {
      program[Symbol.dispose]();
      sums[Symbol.dispose]();
    },
  };
}

/** Bytes of each of the two buffers: beyond the caches of most adapters, and within their limits. */
function copySizeBytes(gpu: Gpu): number {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  return Math.min(gpu.adapter.isFallback ? 2 ** 26 : 2 ** 28, maxStorageBufferBindingSize, maxBufferSize);
}

/** The dispatch of the copy kernel, from buffer `source` to buffer `copy`. */
export function dispatchPeakCopy(quads: number): Dispatch {
  const bindings = { source: inputRef("source"), copy: inputRef("copy") };
  return dispatchOver(quads, { kernel: "bench/peak_copy", label: "peak copy", bindings, params: { quads } });
}

/** Prepares a copy by a kernel on the device's read path, or by `copyBufferToBuffer`. */
export async function openPeakCopy(gpu: Gpu, by: "kernel" | "buffer"): Promise<PeakWorkload> {
  const sizeBytes = copySizeBytes(gpu), quads = sizeBytes / 16;
  const buffers = {
    source: gpu.createBuffer("source", sizeBytes),
    copy: gpu.createBuffer("copy", sizeBytes),
  };
  const bind = bindBuffers("bench", { input: (name) => buffers[name as keyof typeof buffers] });
  const program = by === "kernel"
    ? await Program.create(gpu, [dispatchPeakCopy(quads)], { bind })
    : undefined;
  const copyBuffer = () => {
    const encoder = gpu.device.createCommandEncoder({ label: "peak copy buffer" });
    encoder.copyBufferToBuffer(buffers.source.buffer, 0, buffers.copy.buffer, 0, sizeBytes);
    gpu.device.queue.submit([encoder.finish()]);
  };
  return {
    work: 2 * sizeBytes / 1e9,
    submit: () => program ? program.run() : copyBuffer(),
    finish: () => finishWork(gpu),
    [Symbol.dispose]() {
      program?.[Symbol.dispose]();
      for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
    },
  };
}
