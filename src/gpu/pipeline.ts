/**
 * Compiles kernels into pipelines with explicit layouts, inside an error scope.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { type AssembledKernel, assembleKernel } from "../kernels/assemble.ts";
import type { ReadPath } from "../kernels/interface.ts";
import type { SourceLine } from "../kernels/expand.ts";
import { kernelFiles, kernelLines } from "../kernels/source.ts";

/** A compiled kernel. */
export interface Pipeline {
  readonly kernel: AssembledKernel;
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: GPUComputePipeline;
}

/**
 * Compiles a kernel.
 *
 * @param subgroupDirective The directive before code that uses subgroups (gpu/subgroups.ts); undefined if the device
 *   has no subgroups.
 * @throws {KernelError} If the kernel uses subgroups and the device has none; or if the WGSL or the layout is not
 *   accepted, with the compiler's message.
 */
export async function compilePipeline(
  device: GPUDevice,
  { kernel: name, text, path, constants, subgroupDirective }: {
    readonly kernel: string;
    /** Its WGSL, or that of its part after the colon, if it is not in kernels/. */
    readonly text?: string | undefined;
    readonly path: ReadPath;
    readonly constants: Readonly<Record<string, number>>;
    readonly subgroupDirective?: string | undefined;
  },
): Promise<Pipeline> {
  const kernel = assembleKernel(name, path, text);
  if (kernel.usesSubgroups && subgroupDirective === undefined) {
    const current = "the device was opened without subgroups";
    throw new KernelError({ act: "compile kernel", thing: name, current, wanted: "a device with subgroups" });
  }
  const code = kernel.usesSubgroups ? subgroupDirective + kernel.code : kernel.code;
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: name, code });
  const layout = device.createBindGroupLayout({ label: name, entries: kernel.slots.map(layoutEntry) });
  const pipeline = device.createComputePipeline({
    label: name,
    layout: device.createPipelineLayout({ label: name, bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: "main", constants: { ...constants } },
  });
  const error = await device.popErrorScope();
  if (error) {
    const before = code.split("\n").length - kernel.code.split("\n").length;
    const errorLines = await findErrorLines(module, kernelLines(name, text), before);
    const lines = error.message.split("\n").filter((line) => line.trim() !== "");
    const current = [...lines, ...errorLines].join(" | ");
    throw new KernelError({
      act: "compile kernel",
      thing: name,
      current,
      wanted: "WGSL that the device accepts",
    });
  }
  return { kernel, layout, pipeline };
}

/**
 * The positions of a module's errors, each as `at kernels/gemm/gram.wgsl:12`, or with the name of a text that is not
 * in kernels/.
 */
async function findErrorLines(
  module: GPUShaderModule,
  lines: readonly SourceLine[],
  linesBefore: number,
): Promise<readonly string[]> {
  const { messages } = await module.getCompilationInfo();
  const errorLines = messages.filter(({ type }) => type === "error").flatMap(({ lineNum }) => {
    const found = lines[lineNum - 1 - linesBefore];
    if (!found) return [];
    const isOwn = !kernelFiles.includes(found.file);
    return [`at ${isOwn ? found.file : `kernels/${found.file}.wgsl`}:${found.line}`];
  });
  return [...new Set(errorLines)];
}

function layoutEntry({ index, binding, mirror }: AssembledKernel["slots"][number]): GPUBindGroupLayoutEntry {
  const entry = { binding: index, visibility: GPUShaderStage.COMPUTE };
  if (mirror) return { ...entry, texture: { sampleType: "unfilterable-float" } };
  const types = { uniform: "uniform", read: "read-only-storage", read_write: "storage" } as const;
  return { ...entry, buffer: { type: types[binding.space] } };
}
