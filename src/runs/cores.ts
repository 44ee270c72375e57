/**
 * The choice of cores of an earlier run, taken from its report.
 *
 * @module
 */
import { AdapterError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { type ProductChoices, readChoices, rememberingChooser } from "../kernels/product_choices.ts";
import { deviceCores } from "../kernels/cores.ts";
import type { Graph } from "../model/graph.ts";
import { lowerRunPlans, type RunSizes } from "./plans.ts";

/**
 * Refuses what an earlier run, or a checkpoint, says of products that it could not have computed so, before anything is
 * trained.
 *
 * @throws {FormatError} Where one is no choice, or does not compute its product.
 * @throws {AdapterError} Where the device has not a core that is named.
 */
export function checkCores(
  gpu: Gpu,
  cores: Readonly<Record<string, string>>,
  { graph, ...sizes }: RunSizes & { readonly graph: Graph },
): void {
  const choices = readCores(gpu, cores);
  if (Object.keys(choices).length > 0) lowerRunPlans(graph, sizes, rememberingChooser(choices, gpu.choose));
}

/**
 * Reads how an earlier run computed its products, for a device.
 *
 * @throws {FormatError} Where one is no choice.
 * @throws {AdapterError} Where the device has not a core that is named.
 */
export function readCores(gpu: Gpu, cores: Readonly<Record<string, string>> = {}): ProductChoices {
  const choices = readChoices(cores), { name } = gpu.adapter;
  for (const { core, path = gpu.path } of Object.values(choices)) {
    const known = deviceCores(path, gpu.subgroups?.size);
    if (known.includes(core)) continue;
    throw new AdapterError({
      act: "compute products as the report by",
      thing: core,
      current: `${name} has ${known.join(", ")}`,
      wanted: "the report's adapter and read path, or its configuration alone (--print-config)",
    });
  }
  return choices;
}
