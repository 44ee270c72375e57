/**
 * The three passes of a convolution, each on its own.
 *
 * @module
 */
import { type BufferRef, inputRef } from "../src/kernels/buffer_ref.ts";
import { bindBuffers } from "../src/gpu/bind.ts";
import type { DeviceBuffer } from "../src/gpu/buffer.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { Program } from "../src/gpu/executor.ts";
import type { Dispatch } from "../src/kernels/dispatch.ts";
import type { ProductChooser } from "../src/kernels/product.ts";
import {
  convolutionBackwardInput,
  convolutionBackwardWeight,
  type ConvolutionContext,
  convolutionForward,
} from "../src/model/convolution.ts";
import { openRandomStream } from "../src/random.ts";
import { countQuads } from "../src/shape.ts";
import type { Cost } from "./cost.ts";
import { finishWork, type Workload } from "./measure.ts";

/** One of a convolution's passes. */
export type ConvolutionPass = "forward" | "backward input" | "backward weight";

/** A convolution with square windows, stride 1 and an output as large as its input. */
export interface ConvolutionSize {
  readonly images: number;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Height and width of input and output, in pixels. */
  readonly side: number;
  /** Height and width of the window, odd. */
  readonly kernel: number;
}

/** The convolution of the benches: conv2 of the seed network, 32 -> 64 channels over 16 x 16, batch 64. */
export const benchConvolution: ConvolutionSize = {
  images: 64,
  inChannels: 32,
  outChannels: 64,
  side: 16,
  kernel: 3,
};

/** A pass that is ready to be submitted again and again. */
export interface ConvolutionWorkload extends Workload, Disposable {
  readonly cost: Cost;
}

/** All passes. */
export const convolutionPasses: readonly ConvolutionPass[] = ["forward", "backward input", "backward weight"];

/** The dispatches of a pass with a chooser of cores, and the quads of each buffer that they name. */
export function lowerConvolution(
  pass: ConvolutionPass,
  { images, inChannels, outChannels, side, kernel }: ConvolutionSize,
  choose: ProductChooser,
): { readonly dispatches: readonly Dispatch[]; readonly quads: Readonly<Record<string, number>> } {
  const pixels = images * side * side, inQuads = countQuads(inChannels);
  const weightQuads = outChannels * kernel * kernel * inQuads;
  const geometry = {
    images,
    inQuads,
    inHeight: side,
    inWidth: side,
    outChannels,
    outHeight: side,
    outWidth: side,
    kernelHeight: kernel,
    kernelWidth: kernel,
    stride: 1,
    padding: (kernel - 1) / 2,
  };
  const bias = pass === "forward" ? weightQuads : undefined;
  const context: ConvolutionContext = { name: "bench", geometry, choose, weight: 0, bias };
  const quads: Record<string, number> = {
    x: pixels * inQuads,
    dx: pixels * inQuads,
    y: pixels * countQuads(outChannels),
    values: weightQuads + countQuads(outChannels),
    gradients: weightQuads + countQuads(outChannels),
  };
  const scratch = (purpose: string, count: number) => {
    quads[purpose] = count;
    return inputRef(purpose);
  };
  return { dispatches: lowerPass(context, pass, scratch), quads };
}

/**
 * Prepares one pass on random numbers. The weight's gradient includes the sum of its splits, not the bias's gradient.
 * As in a training step, the activations count as just written, so a texture path pays for copying them each time.
 */
export async function openConvolution(
  gpu: Gpu,
  pass: ConvolutionPass,
  size: ConvolutionSize = benchConvolution,
): Promise<ConvolutionWorkload> {
  const { images, inChannels, outChannels, side, kernel } = size;
  const pixels = images * side * side, taps = kernel * kernel;
  const { dispatches, quads } = lowerConvolution(pass, size, gpu.choose);
  const buffers = new Map<string, DeviceBuffer>();
  const resolve = (name: string) => {
    const buffer = buffers.get(name) ?? gpu.createBuffer(name, 16 * quads[name]!);
    buffers.set(name, buffer);
    return { buffer, quads: quads[name]! };
  };
  const random = openRandomStream(1, "bench convolution");
  for (const name of ["x", "y", "values"]) {
    resolve(name).buffer.write(
      Float32Array.from({ length: 4 * quads[name]! }, () => random.nextUniform() - 0.5),
    );
  }
  const bind = bindBuffers("bench", { network: { arena: (role) => resolve(role).buffer }, input: resolve });
  const program = await Program.create(gpu, dispatches, { bind });
  const numbers = pixels * (inChannels + outChannels) + outChannels * taps * inChannels;
  return {
    cost: { flops: 2 * pixels * outChannels * taps * inChannels, bytes: 4 * numbers },
    submit() {
      for (const name of ["x", "y"]) resolve(name).buffer.version++;
      program.run();
    },
    finish: () => finishWork(gpu),
    [Symbol.dispose]() {
      program[Symbol.dispose]();
      for (const buffer of buffers.values()) buffer[Symbol.dispose]();
    },
  };
}

/** The dispatches of a pass; `y` holds the output in the forward pass and its gradient in the others. */
function lowerPass(
  context: ConvolutionContext,
  pass: ConvolutionPass,
  scratch: (purpose: string, quads: number) => BufferRef,
): readonly Dispatch[] {
  switch (pass) {
    case "forward":
      return convolutionForward(context, { x: inputRef("x"), y: inputRef("y"), relu: false, scratch });
    case "backward input":
      return convolutionBackwardInput(context, {
        dy: inputRef("y"),
        dx: inputRef("dx"),
        gate: undefined,
        scratch,
      });
    case "backward weight":
      return convolutionBackwardWeight(context, { x: inputRef("x"), dy: inputRef("y"), scratch });
  }
}
