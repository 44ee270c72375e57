/**
 * Reads a kernel's interface from its WGSL: bindings, the fields of its uniform structs, its constants and its
 * workgroup size. The WGSL is the only source. TypeScript binds by name, and packs by the layout found here.
 *
 * @module
 */
import { KernelError } from "../errors.ts";

/** The read path: how kernels read quads. */
export type ReadPath = "storage" | "texture";

/** How the bytes of a binding are accessed. `quads` are arrays of vec4f, which may be read from a texture. */
export interface Binding {
  readonly name: string;
  readonly index: number;
  readonly space: "uniform" | "read" | "read_write";
  readonly type: string;
  /** True for `array<vec4f>`, whose elements are accessed by `read_NAME(i)` and `write_NAME(i, quad)`. */
  readonly quads: boolean;
}

/** One member of a uniform struct: its type and its byte offset. */
export interface Field {
  readonly name: string;
  readonly type: "u32" | "i32" | "f32";
  readonly offset: number;
}

/** The interface of a kernel. */
export interface KernelInterface {
  readonly bindings: readonly Binding[];
  /** Fields of every struct of scalars, by the struct's name. */
  readonly structs: ReadonlyMap<string, readonly Field[]>;
  /** Module constants such as `const BLOCK_ROWS = 8u;`. */
  readonly constants: ReadonlyMap<string, number>;
  /** Names of override constants, which a dispatch may set. */
  readonly overrides: readonly string[];
  /** Invocations per workgroup along x, y, z. */
  readonly workgroupSize: readonly [number, number, number];
}

/** Removes line comments, so that prose cannot be taken for code. */
export function withoutComments(source: string): string {
  return source.replace(/\/\/[^\n]*/g, "");
}

/**
 * Reads the interface of a kernel.
 *
 * @throws {KernelError} If two bindings share a name or an index.
 */
export function readInterface(name: string, source: string): KernelInterface {
  const code = withoutComments(source);
  const bindings: Binding[] = [];
  const declaration = /@group\(0\)\s*@binding\((\d+)\)\s*var<([^>]+)>\s*(\w+)\s*:\s*([^;]+);/g;
  for (const [, index, space, variable, type] of code.matchAll(declaration)) {
    const spaces: Record<string, Binding["space"]> = {
      "uniform": "uniform",
      "storage": "read",
      "storage, read": "read",
      "storage, read_write": "read_write",
    };
    bindings.push({
      name: variable,
      index: Number(index),
      space: spaces[space.trim().replace(/\s*,\s*/, ", ")],
      type: type.trim(),
      quads: type.trim() === "array<vec4f>",
    });
  }
  for (const key of ["name", "index"] as const) {
    const seen = bindings.map((binding) => binding[key]);
    const twice = seen.find((value, i) => seen.indexOf(value) !== i);
    if (twice !== undefined) {
      const current = `the binding ${key} ${twice} is declared twice`;
      throw new KernelError({ act: "read kernel", thing: name, current, wanted: `each ${key} once` });
    }
  }
  const structs = new Map<string, readonly Field[]>();
  for (const [, structName, body] of code.matchAll(/struct\s+(\w+)\s*\{([^}]*)\}/g)) {
    const fields = [...body.matchAll(/(\w+)\s*:\s*([\w<>]+)\s*(?:,|$)/g)];
    if (!fields.every(([, , type]) => ["u32", "i32", "f32"].includes(type))) continue;
    structs.set(
      structName,
      fields.map(([, field, type], i) => ({ name: field, type: type as Field["type"], offset: 4 * i })),
    );
  }
  const constants = new Map<string, number>();
  for (const [, constant, value] of code.matchAll(/^const\s+(\w+)\s*=\s*(\d+)u?;/gm)) {
    constants.set(constant, Number(value));
  }
  const overrides = [...code.matchAll(/^override\s+(\w+)/gm)].map(([, override]) => override);
  const size = code.match(/@workgroup_size\(([^)]*)\)/)?.[1].split(",").map(Number) ?? [1];
  return { bindings, structs, constants, overrides, workgroupSize: [size[0], size[1] ?? 1, size[2] ?? 1] };
}

/** The size of a uniform struct in bytes; uniform bindings are at least 16 bytes. */
export function structSizeBytes(fields: readonly Field[]): number {
  return Math.max(16, Math.ceil(fields.length / 4) * 16);
}

/** The size of a kernel's struct among those of other dispatches, in bytes: its offset must be a multiple of `alignment`. */
export function alignedStructBytes(
  { structs }: KernelInterface,
  struct: "Params" | "Step",
  alignment: number,
): number {
  return Math.ceil(structSizeBytes(structs.get(struct) ?? []) / alignment) * alignment;
}

/**
 * Packs values by name into a uniform struct's layout.
 *
 * @throws {KernelError} If a field has no value or one that is not finite, or a u32 field's value is not an integer
 *   in [0, 2^32).
 */
export function packStruct(
  kernel: string,
  fields: readonly Field[],
  values: Readonly<Record<string, number>>,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(structSizeBytes(fields)));
  for (const { name, type, offset } of fields) {
    const value = values[name];
    const thing = `${kernel}, field ${name}`;
    if (type === "f32") {
      if (!Number.isFinite(value)) {
        throw new KernelError({
          act: "pack parameters of kernel",
          thing,
          current: `${value}`,
          wanted: "a number",
        });
      }
      view.setFloat32(offset, value, true);
    } else {
      const lowest = type === "i32" ? -(2 ** 31) : 0;
      const wanted = `an integer from ${lowest} to ${lowest + 2 ** 32 - 1}`;
      if (!Number.isInteger(value) || value < lowest || value >= lowest + 2 ** 32) {
        throw new KernelError({ act: "pack parameters of kernel", thing, current: `${value}`, wanted });
      }
      if (type === "i32") view.setInt32(offset, value, true);
      else view.setUint32(offset, value, true);
    }
  }
  return new Uint8Array(view.buffer);
}
