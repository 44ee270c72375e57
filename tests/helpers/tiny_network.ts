/**
 * Small networks on a device, with what steps need beside them.
 *
 * @module
 */
import { DeviceImages } from "../../src/gpu/images.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Network } from "../../src/gpu/network.ts";
import { SlotPool } from "../../src/gpu/slots.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import type { ProductChooser } from "../../src/kernels/product.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import type { Graph } from "../../src/model/graph.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { tinyClasses, tinyDataset, tinySize } from "./tiny_dataset.ts";

/** The seed network with few channels, for the images of tiny_dataset.ts. */
export function tinyGraph(widths = { conv1: 4, conv2: 5, fc1: 7 }): Graph {
  return seedNetwork({ channels: 1, height: tinySize, width: tinySize, classes: tinyClasses }, widths);
}

/** A network with its data on a device. */
export interface Workbench extends Disposable {
  readonly network: Network;
  readonly dataset: Dataset;
  readonly train: DeviceImages;
  readonly test: DeviceImages;
  readonly slots: SlotPool;
  readonly choose: ProductChooser;
}

/** Opens a network and its data on a device, for batches of at most `batch` rows. */
export function openWorkbench(
  gpu: Gpu,
  { graph = tinyGraph(), seed = 0, batch = 64, dataset = tinyDataset() }: {
    readonly graph?: Graph;
    readonly seed?: number;
    readonly batch?: number;
    readonly dataset?: Dataset;
  } = {},
): Workbench {
  const network = new Network(gpu, graph, seed), slots = new SlotPool(gpu);
  const train = new DeviceImages(gpu, dataset.train, { dataset, batch });
  const test = new DeviceImages(gpu, dataset.test, { dataset, batch });
  return {
    network,
    dataset,
    train,
    test,
    slots,
    choose: defaultChooser(gpu.path),
    [Symbol.dispose]() {
      for (const resource of [network, train, test, slots]) resource[Symbol.dispose]();
    },
  };
}
