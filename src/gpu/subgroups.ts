/**
 * Whether subgroups work on an adapter, and what its WGSL wants to be told about them.
 *
 * A driver that gets subgroups wrong may end the process, so they are tried in a helper process first
 * (deno/subgroups.ts) and used only where that came back with a size.
 *
 * @module
 */
import type { AdapterChoice } from "./backend.ts";

/** Subgroups of an open device. */
export interface Subgroups {
  /** Invocations of a subgroup. */
  readonly size: number;
  /** What stands before WGSL that uses subgroups; empty where the compiler wants nothing. */
  readonly directive: string;
}

/** What a probe may go by. */
export interface SubgroupOffer {
  /** The adapter that was asked for. */
  readonly adapter: AdapterChoice;
  /** True if the adapter lists the feature; Deno grants it without listing it. */
  readonly hasFeature: boolean;
  /** Bounds of the subgroup's size, where the adapter gives them. */
  readonly minSize: number | undefined;
  /** See `minSize`. */
  readonly maxSize: number | undefined;
}

/** Finds the size of subgroups that work, or undefined if none do. */
export type SubgroupProbe = (offer: SubgroupOffer) => Promise<number | undefined>;

/** Believes the adapter, for runtimes without processes such as browsers. */
export function trustSubgroups({ hasFeature, minSize, maxSize }: SubgroupOffer): Promise<number | undefined> {
  return Promise.resolve(hasFeature && minSize === maxSize ? minSize : undefined);
}

/** The size that the subgroup cores are written for. */
export const coreSubgroupSize = 8;

/**
 * Returns what WGSL with subgroups must start with on a device that was opened with them: browsers demand
 * `enable subgroups;`, Deno rejects it. Undefined if neither compiles.
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
