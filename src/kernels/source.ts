/**
 * The WGSL of every kernel by its name, expanded, and what it says of itself. Both are worked out once.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { coreTable } from "./core_table.ts";
import { expandKernel, type SourceLine } from "./expand.ts";
import { type KernelInterface, readInterface } from "./interface.ts";
import * as registry from "./registry.ts";

const files: Readonly<Record<string, string>> = registry;

/** The stems of all files in kernels/, such as `gemm/conv2d_forward`. */
export const kernelFiles: readonly string[] = Object.keys(files);

const coreTexts = new Set(Object.values(coreTable).map(({ text }) => text));

/** The names of all kernels and parts of kernels: the cores of core_table.ts, and of the other files the stems. */
export const kernelNames: readonly string[] = [
  ...kernelFiles.filter((stem) => !coreTexts.has(stem)),
  ...Object.keys(coreTable),
];

/** Returns what a function of a name gave for the same name before. */
function remembering<T>(find: (name: string) => T): (name: string) => T {
  const found = new Map<string, T>();
  return (name) => {
    const known = found.get(name);
    if (known !== undefined) return known;
    const value = find(name);
    found.set(name, value);
    return value;
  };
}

function readFile(stem: string): string {
  if (Object.hasOwn(files, stem)) return files[stem];
  const wanted = "one of the files in kernels/ or the cores in src/kernels/core_table.ts";
  throw new KernelError({ act: "find kernel", thing: stem, current: "no such file or core", wanted });
}

/**
 * The lines of a kernel, each with the place in kernels/ that it comes from.
 *
 * @param name A kernel's name such as `layer/relu_forward`, or two joined by a colon, core first:
 *   `gemm/software/register_8x8:gemm/conv2d_forward`.
 * @throws {KernelError} Where no kernel has that name, or its text cannot be expanded.
 */
export const kernelLines: (name: string) => readonly SourceLine[] = remembering((name) =>
  name.split(":").flatMap((part) => {
    const core = Object.hasOwn(coreTable, part) ? coreTable[part] : undefined;
    return expandKernel(core?.text ?? part, core?.sizes ?? {}, readFile);
  })
);

/**
 * A kernel's WGSL.
 *
 * @param name See `kernelLines`.
 * @throws {KernelError} See `kernelLines`.
 */
export const kernelSource: (name: string) => string = remembering((name) =>
  kernelLines(name).map(({ text }) => text).join("\n")
);

/**
 * A kernel's bindings, uniform structs, constants and workgroup size.
 *
 * @param name See `kernelLines`.
 * @throws {KernelError} See `kernelLines` and `readInterface`.
 */
export const kernelInterface: (name: string) => KernelInterface = remembering((name) =>
  readInterface(name, kernelSource(name))
);
