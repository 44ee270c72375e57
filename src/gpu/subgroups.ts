/**
 * Whether subgroups work on an adapter, and the directive that its WGSL needs.
 *
 * A bad driver may crash the process, so a helper process tests subgroups first (deno/subgroups.ts). They are used
 * only if it returns a size.
 *
 * @module
 */
import type { AdapterChoice } from "./backend.ts";

/** Subgroups of an open device. */
export interface Subgroups {
  /** Invocations per subgroup. */
  readonly size: number;
  /** The directive before WGSL that uses subgroups; empty if the compiler needs none. */
  readonly directive: string;
}

/** The facts that a probe gets. */
export interface SubgroupOffer {
  /** The requested adapter. */
  readonly adapter: AdapterChoice;
  /** True if the adapter lists the feature; Deno grants it without listing it. */
  readonly hasFeature: boolean;
  /** Minimum size of a subgroup, if the adapter reports it. */
  readonly minSize: number | undefined;
  /** Maximum size of a subgroup, if the adapter reports it. */
  readonly maxSize: number | undefined;
}

/** Returns the size of working subgroups; undefined if they do not work. */
export type SubgroupProbe = (offer: SubgroupOffer) => Promise<number | undefined>;

/** Trusts the adapter, for runtimes without processes, such as browsers. */
export function trustSubgroups({ hasFeature, minSize, maxSize }: SubgroupOffer): Promise<number | undefined> {
  return Promise.resolve(hasFeature && minSize === maxSize ? minSize : undefined);
}

/** The size that the subgroup cores support. */
export const coreSubgroupSize = 8;

/**
 * Returns the directive for WGSL with subgroups on a device that was opened with them: browsers require `enable
 * subgroups;`, Deno rejects it. Undefined if neither compiles.
 */
export async function findSubgroupDirective(device: GPUDevice): Promise<string | undefined> {
  for (const directive of ["enable subgroups;\n", ""]) {
    device.pushErrorScope("validation");
    const code = `${directive}@compute @workgroup_size(1) fn main(@builtin(subgroup_size) size: u32) {}`;
    const module = device.createShaderModule({ label: "subgroup directive", code });
    device.createComputePipeline({ label: "subgroup directive", layout: "auto", compute: { module } });
    if (await device.popErrorScope() === null) return directive;
  }
  return undefined;
}
