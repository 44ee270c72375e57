/**
 * Checks that a choice from a report, a checkpoint or the tuner's cache computes its product. A wrong choice would
 * give wrong sums, not an error.
 *
 * @module
 */
import { coreTable } from "./core_table.ts";
import { serves } from "./cores.ts";
import type { ProductChoice, ProductShape } from "./product.ts";
import { winogradProductCores, winogradWeightCore } from "./winograd.ts";

/** Workgroups along the third axis that every device allows (WebGPU's maxComputeWorkgroupsPerDimension). */
const maxSplits = 65_535;

/** What is wrong, and what was expected. */
interface Fault {
  readonly current: string;
  readonly wanted: string;
}

/** What is wrong with a core for a product; undefined if the core computes it. */
export function coreFault(core: string, shape: ProductShape): Fault | undefined {
  const known = [...Object.keys(coreTable), ...winogradProductCores, winogradWeightCore];
  if (!known.includes(core)) {
    return { current: `there is no core ${core}`, wanted: `one of ${known.join(", ")}` };
  }
  if (serves(core, shape)) return undefined;
  return { current: `${core} does not serve it, whose rows lie otherwise`, wanted: "a core that does" };
}

/** What is wrong with splitting a product's sum; undefined if it can be split. */
export function splitFault({ splittable }: ProductShape): Fault | undefined {
  return splittable ? undefined : { current: "its sum is split", wanted: "1 split, since it cannot be" };
}

/**
 * What is wrong with a choice for a product; undefined if it computes the product, and no split of its sum is empty.
 */
export function choiceFault({ core, splits }: ProductChoice, shape: ProductShape): Fault | undefined {
  const fault = coreFault(core, shape);
  if (fault) return fault;
  const { splittable, segments } = shape;
  const isWhole = Number.isInteger(splits) && splits >= 1 && splits <= maxSplits;
  if (isWhole && splits === (splittable ? Math.ceil(segments / Math.ceil(segments / splits)) : 1)) {
    return undefined;
  }
  const wanted = splittable ? `at most ${segments}, of which none is empty` : "1, since it cannot be split";
  return { current: `its sum in ${splits} splits`, wanted };
}
