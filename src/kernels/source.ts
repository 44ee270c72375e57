/**
 * The expanded WGSL of every kernel by its name, and its interface. Both are computed once.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { coreTable, winogradTable } from "./core_table.ts";
import { expandKernel, type SourceLine } from "./expand.ts";
import { type KernelInterface, readInterface } from "./interface.ts";
import * as registry from "./registry.ts";

const files: Readonly<Record<string, string>> = registry;

/** The stems of all files in kernels/, such as `gemm/conv2d_forward`. */
export const kernelFiles: readonly string[] = Object.keys(files);

const sized = { ...coreTable, ...winogradTable };

const sizedTexts = new Set(Object.values(sized).map(({ text }) => text));

/**
 * The names of all kernels and parts of kernels: the cores of core_table.ts, and the stems of the other files.
 */
export const kernelNames: readonly string[] = [
  ...kernelFiles.filter((stem) => !sizedTexts.has(stem)),
  ...Object.keys(sized),
];

/** Finds something about a kernel by its name, and by its text if it is not in kernels/. */
type ByKernel<T> = (name: string, text?: string) => T;

/** Caches a function of a kernel. */
function remembering<T>(find: ByKernel<T>): ByKernel<T> {
  const found = new Map<string, T>();
  return (name, text) => {
    const key = text === undefined ? name : `${name}\n${text}`, known = found.get(key);
    if (known !== undefined) return known;
    const value = find(name, text);
    found.set(key, value);
    return value;
  };
}

function readFile(stem: string): string {
  if (Object.hasOwn(files, stem)) return files[stem];
  const wanted = "one of the files in kernels/ or the cores in src/kernels/core_table.ts";
  throw new KernelError({ act: "find kernel", thing: stem, current: "no such file or core", wanted });
}

/**
 * The lines of a kernel, each with its position in kernels/.
 *
 * @param name A kernel's name such as `layer/relu_forward`, or two joined by a colon, core first:
 *   `gemm/software/register_8x8:gemm/conv2d_forward`.
 * @param text The WGSL of the name, or of its part after the colon, if it is not a file of kernels/.
 * @throws {KernelError} If no kernel has that name, or its text cannot be expanded.
 */
export const kernelLines: ByKernel<readonly SourceLine[]> = remembering((name, text) => {
  const parts = name.split(":"), own = text === undefined ? undefined : parts.at(-1);
  return parts.flatMap((part) => {
    if (part === own) return expandKernel(part, {}, (stem) => stem === own ? text! : readFile(stem));
    const core = Object.hasOwn(sized, part) ? sized[part] : undefined;
    return expandKernel(core?.text ?? part, core?.sizes ?? {}, readFile);
  });
});

/**
 * A kernel's WGSL.
 *
 * @param name See `kernelLines`.
 * @param text See `kernelLines`.
 * @throws {KernelError} See `kernelLines`.
 */
export const kernelSource: ByKernel<string> = remembering((name, text) =>
  kernelLines(name, text).map((line) => line.text).join("\n")
);

/**
 * A kernel's bindings, uniform structs, constants and workgroup size.
 *
 * @param name See `kernelLines`.
 * @param text See `kernelLines`.
 * @throws {KernelError} See `kernelLines` and `readInterface`.
 */
export const kernelInterface: ByKernel<KernelInterface> = remembering((name, text) =>
  readInterface(name, kernelSource(name, text))
);
