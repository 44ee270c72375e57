/**
 * Compiles kernels into pipelines with explicit layouts, inside an error scope.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { type AssembledKernel, assembleKernel } from "../kernels/assemble.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { kernelLines } from "../kernels/source.ts";

/** A compiled kernel. */
export interface Pipeline {
  readonly kernel: AssembledKernel;
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: GPUComputePipeline;
}

/**
 * Compiles a kernel.
 *
 * @param subgroupDirective What stands before code that uses subgroups (gpu/subgroups.ts); undefined where the device
 *   has none.
 * @throws {KernelError} Where the kernel uses subgroups and the device has none, and with the compiler's message where the WGSL or the layout is not accepted.
 */
export async function compilePipeline(
  device: GPUDevice,
  { kernel: name, path, constants, subgroupDirective }: {
    readonly kernel: string;
    readonly path: ReadPath;
    readonly constants: Readonly<Record<string, number>>;
    readonly subgroupDirective?: string | undefined;
  },
): Promise<Pipeline> {
  const kernel = assembleKernel(name, path);
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
    const places = await findPlaces(module, name, code.split("\n").length - kernel.code.split("\n").length);
    const lines = error.message.split("\n").filter((line) => line.trim() !== "");
    const current = [...lines, ...places].join(" | ");
    throw new KernelError({
      act: "compile kernel",
      thing: name,
      current,
      wanted: "WGSL that the device accepts",
    });
  }
  return { kernel, layout, pipeline };
}

/** Where the errors of a module stand in kernels/, each as `at kernels/gemm/gram.wgsl:12`. */
async function findPlaces(
  module: GPUShaderModule,
  kernel: string,
  linesBefore: number,
): Promise<readonly string[]> {
  const { messages } = await module.getCompilationInfo();
  const places = messages.filter(({ type }) => type === "error").flatMap(({ lineNum }) => {
    const found = kernelLines(kernel)[lineNum - 1 - linesBefore];
    return found ? [`at kernels/${found.file}.wgsl:${found.line}`] : [];
  });
  return [...new Set(places)];
}

function layoutEntry({ index, binding, mirror }: AssembledKernel["slots"][number]): GPUBindGroupLayoutEntry {
  const entry = { binding: index, visibility: GPUShaderStage.COMPUTE };
  if (mirror) return { ...entry, texture: { sampleType: "unfilterable-float" } };
  const types = { uniform: "uniform", read: "read-only-storage", read_write: "storage" } as const;
  return { ...entry, buffer: { type: types[binding.space] } };
}
