/**
 * Dispatches as plain data: which kernel runs on which buffers with which parameters, over how many workgroups.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import type { BufferRef, QuadRange } from "./buffer_ref.ts";
import type { ReadPath } from "./interface.ts";
import { kernelInterface } from "./source.ts";

/** One dispatch of a plan. */
export interface Dispatch {
  /** The kernel's stem, or core and operation joined by a colon. */
  readonly kernel: string;
  /** The WGSL of that name, or of its part after the colon, if the kernel is not in kernels/. */
  readonly text?: string;
  /** The name that plans and profiles show, such as `conv1 forward`. */
  readonly label: string;
  /** Buffers by binding name; `params` and `step` are bound by the executor. */
  readonly bindings: Readonly<Record<string, BufferRef>>;
  /** Values of the kernel's `Params` by field name. */
  readonly params: Readonly<Record<string, number>>;
  /** Values of the kernel's override constants. */
  readonly constants: Readonly<Record<string, number>>;
  /** Workgroups along x, y and z. */
  readonly workgroups: readonly [number, number, number];
  /** The read path of this dispatch. Default: that of the device for such kernels. */
  readonly path?: ReadPath;
  /**
   * The quads of what it binds that it writes, by binding name, if they are few: only these are copied into mirrors.
   * Default: all.
   */
  readonly writes?: Readonly<Record<string, QuadRange>>;
}

/** True for kernels of matrix products. */
export function isProductKernel(kernel: string): boolean {
  return /^(gemm\/|winograd\/(product\w*:|backward_weight$))/.test(kernel);
}

/**
 * The read path of a dispatch: its own if it has one, the device's for matrix products, and storage for all others.
 * Neighbouring invocations of those read neighbouring quads, and storage is fast for that everywhere.
 */
export function chooseReadPath(
  { kernel, path }: Pick<Dispatch, "kernel" | "path">,
  devicePath: ReadPath,
): ReadPath {
  return path ?? (isProductKernel(kernel) ? devicePath : "storage");
}

/** Workgroups along one dimension that every adapter allows. */
const maxWorkgroups = 65535;

/** Loop iterations after which some drivers end an invocation silently. */
const maxIterations = 65535;

/** Spreads a number of workgroups over x and y. Kernels join them again (kernels/dispatch.wgsl). */
export function spreadWorkgroups(count: number): readonly [number, number, number] {
  const y = Math.max(1, Math.ceil(count / maxWorkgroups));
  return [Math.max(1, Math.ceil(count / y)), y, 1];
}

/** A dispatch without its workgroups, and without constants if it sets none. */
export type DispatchBody = Omit<Dispatch, "workgroups" | "constants"> & Partial<Pick<Dispatch, "constants">>;

/** A dispatch with one invocation per item. */
export function dispatchOver(
  items: number,
  { kernel, text, label, bindings, params, constants = {} }: DispatchBody,
): Dispatch {
  const [size] = kernelInterface(kernel, text).workgroupSize;
  const workgroups = spreadWorkgroups(Math.ceil(items / size));
  const own = text === undefined ? {} : { text };
  return { kernel, ...own, label, bindings, params, constants, workgroups };
}

/** Quads per invocation of an elementwise kernel by columns, which reads the parameters of a column once. */
const quadsPerInvocation = 8;

/**
 * Invocations of an elementwise kernel by columns, and the distance between the quads of one invocation. The distance
 * is a multiple of a row's quads: the quads are of one column, and neighbouring invocations still read neighbouring
 * quads.
 */
export function columnStride(total: number, quads: number): number {
  return Math.ceil(total / quadsPerInvocation / quads) * quads;
}

/**
 * Checks that no invocation of a kernel needs more loop iterations than drivers allow.
 *
 * @throws {KernelError} Above 65,535.
 */
export function checkIterations(kernel: string, iterations: number): void {
  if (iterations <= maxIterations) return;
  throw new KernelError({
    act: "plan kernel",
    thing: kernel,
    current: `${iterations} loop iterations per invocation`,
    wanted: `at most ${maxIterations}`,
  });
}
