/**
 * What a comparison ran on: the head of its report, and whether another one may go on with it.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import type { Gpu } from "../gpu/device.ts";
import { identityEntries } from "../gpu/identity.ts";
import { formatChoices, type ProductChoices } from "../kernels/product_choices.ts";
import type { Graph } from "../model/graph.ts";
import { type CriterionDefinition, describeDefinitions } from "../prune/score/own_criterion.ts";
import type { ComparedLists, ComparedOn } from "../report/compare_report.ts";
import type { ModelState } from "../api/model_options.ts";
import { comparedContents } from "./contents.ts";
import { checkCores } from "./cores.ts";
import { checkSame, flattenConfig } from "./results.ts";

/** What the head of a report is made of. */
export interface ComparedOnOptions {
  readonly config: RunConfig;
  readonly dataset: Dataset<Split>;
  readonly graph: Graph;
  readonly weights?: ModelState;
  readonly versions: Readonly<Record<string, string>>;
  readonly lists: ComparedLists;
  readonly choices: ProductChoices;
  /** Criteria that were given by value. */
  readonly criteria: readonly CriterionDefinition[];
}

/** Keys of a configuration that change no result of a comparison. */
const freeKeys: readonly string[] = ["device.tune", "prune.compare"];

/**
 * Describes what a comparison runs on, where its cores can compute its products.
 *
 * @throws {FileError | FormatError} Where examples that lie in files cannot be read, or a core does not compute its product.
 * @throws {AdapterError} Where the device has not a core.
 */
export async function describeComparedOn(
  gpu: Gpu,
  { config, dataset, graph, weights, versions, lists, choices, criteria }: ComparedOnOptions,
): Promise<ComparedOn> {
  const { name, source, train, test, images } = dataset, cores = formatChoices(choices);
  checkCores(gpu, cores, { graph, batch: config.train.batch, train: train.count, test: test.count });
  return {
    version: 3,
    versions,
    adapter: gpu.adapter.name,
    gpu: gpu.identity,
    cores,
    dataset: { name, source, train: train.count, test: test.count, ...(images ? { images } : {}) },
    contents: await comparedContents(dataset, { graph, ...(weights ? { weights } : {}) }),
    model: graph.name,
    config,
    ...describeDefinitions(criteria),
    lists,
  };
}

/**
 * Refuses to go on with what another comparison found. Where data and model lie does not matter, as long as their sizes and
 * contents agree.
 *
 * @throws {ConfigError} Where something that changes results differs, with both values.
 */
export function checkSameComparison(before: ComparedOn, now: ComparedOn): void {
  // Reports of before know the adapter's name, and the data's folder, alone.
  const knowsGpu = before.gpu !== undefined, knowsContents = before.contents !== undefined;
  const flat = ({ config, adapter, gpu, model, dataset, contents, versions, ownCriteria }: ComparedOn) => {
    // Where images lie is told, and may change.
    const { source, images: _, ...sizes } = dataset;
    return {
      ...flattenConfig(config),
      ...identityEntries(adapter, knowsGpu ? gpu : undefined),
      network: model,
      dataset: sizes,
      ...(knowsContents ? contents : { source }),
      versions,
      ...(ownCriteria ? { ownCriteria } : {}),
    };
  };
  const free = now.lists?.seeds ? [...freeKeys, "seed"] : freeKeys;
  checkSame({ act: "go on with", thing: "the comparison" }, flat(before), flat(now), free);
}
