/**
 * Training of the tiny network as the tests of training's options do it.
 *
 * @module
 */
import type { Network } from "../../src/gpu/network.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { constantSchedule } from "../../src/train/schedule.ts";
import type { TrainOptions, TrainSettings } from "../../src/train/phase.ts";
import { train } from "../../src/train/trainer.ts";
import type { Workbench } from "../helpers/tiny_network.ts";
import { PARAMETER_NAMES, type ParameterTensors } from "../reference/network.ts";
import { tensorOf } from "../reference/tensor.ts";

/** What tests vary. */
export const tinySettings: TrainSettings = {
  epochs: 2,
  batch: 16,
  learningRate: .05,
  optimizer: sgd(),
  seed: 3,
  schedule: constantSchedule,
};

/** Trains a workbench's network by these settings, but for what is given. */
export async function trainTiny(bench: Workbench, more: Partial<TrainOptions> = {}) {
  const { choose, slots } = bench;
  return await train(bench.network, bench.train, { ...tinySettings, ...more, choose, slots });
}

/** The values of the tiny network as tensors of the f64 reference. */
export async function parametersOf(network: Network): Promise<ParameterTensors> {
  const named = await network.readParameters();
  return Object.fromEntries(PARAMETER_NAMES.map((name) => {
    const { shape } = network.layout.parameters.find(({ fullName }) => fullName === name)!;
    return [name, tensorOf(shape, named.get(name)!)];
  })) as unknown as ParameterTensors;
}
