/**
 * Assembles a kernel: a core, its operation if it has one, and the functions that read and write quads on the chosen
 * read path.
 *
 * The WGSL files call `read_NAME(i)` and `write_NAME(i, quad)` for every `array<vec4f>` binding. The read path
 * defines them:
 *
 * - path `storage`: an element of the storage buffer;
 * - path `texture`: `textureLoad` from an rgba32float texture that mirrors the buffer; writes go to the buffer, float
 *   by float. On software adapters this is several times faster if neighbours read far apart (docs/architecture.md).
 *
 * A `read_write` binding that is also read on the texture path has its mirror as an additional binding.
 *
 * @module
 */
import { type Binding, type KernelInterface, type ReadPath, withoutComments } from "./interface.ts";
import { kernelInterface, kernelSource } from "./source.ts";

/** Texels per line of a mirror texture: quad i lies at (i mod 2048, i div 2048). */
export const mirrorWidth = 2048;

/** Added to the index of a `read_write` binding for the binding of its mirror texture. */
const mirrorIndexOffset = 100;

/** A kernel ready to be compiled. */
export interface AssembledKernel {
  /** The name that a dispatch gave, `stem` or `core:operation`. */
  readonly name: string;
  readonly path: ReadPath;
  readonly code: string;
  readonly interface: KernelInterface;
  /** What is bound at which index: the buffer of a binding, or the texture that mirrors it. */
  readonly slots: readonly KernelSlot[];
  /** True where the code calls subgroup functions or reads subgroup builtins, which not every device has. */
  readonly usesSubgroups: boolean;
}

/** One entry of a bind group. */
export interface KernelSlot {
  readonly index: number;
  readonly binding: Binding;
  readonly mirror: boolean;
}

/**
 * Assembles a kernel for a read path.
 *
 * @param name A kernel's stem such as `layer/relu_forward`, or two joined by a colon, core first:
 *   `gemm/software/register_8x8:gemm/conv2d_forward`.
 * @param text The WGSL of the name, or of its part after the colon, if it is not a file of kernels/.
 * @throws {KernelError} If there is no such kernel.
 */
export function assembleKernel(name: string, path: ReadPath, text?: string): AssembledKernel {
  const source = kernelSource(name, text), read = kernelInterface(name, text);
  const bare = withoutComments(source);
  const slots: KernelSlot[] = [];
  const functions: string[] = [];
  let code = source;
  for (const binding of read.bindings) {
    const isRead = new RegExp(`\\bread_${binding.name}\\(`).test(bare);
    const isWritten = new RegExp(`\\bwrite_${binding.name}\\(`).test(bare);
    const asTexture = path === "texture" && binding.quads && isRead;
    const isMirrorOnly = asTexture && binding.space === "read";
    if (isMirrorOnly) {
      code = replaceDeclaration(code, binding, `var ${binding.name}: texture_2d<f32>;`);
    }
    slots.push({ index: binding.index, binding, mirror: isMirrorOnly });
    if (asTexture && !isMirrorOnly) {
      const index = binding.index + mirrorIndexOffset;
      functions.push(`@group(0) @binding(${index}) var ${binding.name}_mirror: texture_2d<f32>;`);
      slots.push({ index, binding, mirror: true });
    }
    if (isRead) functions.push(readFunction(binding, asTexture));
    if (isWritten) functions.push(writeFunction(binding, path));
  }
  const usesSubgroups = /\bsubgroup(_size|_invocation_id|[A-Z]\w*\()/.test(bare);
  const whole = `${code}\n${functions.join("\n")}\n`;
  return { name, path, code: whole, interface: read, slots, usesSubgroups };
}

function replaceDeclaration(code: string, { index, name }: Binding, declaration: string): string {
  const pattern = new RegExp(`(@group\\(0\\)\\s*@binding\\(${index}\\)\\s*)var<[^>]+>\\s*${name}\\s*:[^;]+;`);
  return code.replace(pattern, `$1${declaration}`);
}

function readFunction({ name, space }: Binding, asTexture: boolean): string {
  const texture = space === "read" ? name : `${name}_mirror`;
  const shift = Math.log2(mirrorWidth);
  const body = asTexture
    ? `textureLoad(${texture}, vec2u(i & ${mirrorWidth - 1}u, i >> ${shift}u), 0)`
    : `${name}[i]`;
  return `fn read_${name}(i: u32) -> vec4f { return ${body}; }`;
}

function writeFunction({ name }: Binding, path: ReadPath): string {
  const whole = `${name}[i] = quad;`;
  const parts = ["x", "y", "z", "w"].map((part) => `${name}[i].${part} = quad.${part};`).join(" ");
  return `fn write_${name}(i: u32, quad: vec4f) { ${path === "texture" ? parts : whole} }`;
}
