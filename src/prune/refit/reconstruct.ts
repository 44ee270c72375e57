/**
 * The refit of many layers at once: a pruned network's kept parameters follow the layer outputs and logits of the dense
 * network by steps of Adam, without labels.
 *
 * @module
 */
import type { Examples } from "../../gpu/examples.ts";
import { fitBatch } from "../../gpu/fitting.ts";
import type { Network } from "../../gpu/network.ts";
import { SlotPool } from "../../gpu/slots.ts";
import type { ProductChooser } from "../../kernels/product.ts";
import { type Graph, resolveGraph } from "../../model/graph.ts";
import type { Reconstruction } from "../../plan/features.ts";
import { lowerForward } from "../../plan/forward.ts";
import type { ParameterLayout } from "../../plan/layout.ts";
import { lowerPlan } from "../../plan/lower.ts";
import type { Plan } from "../../plan/plan.ts";
import { adam } from "../../plan/optimizer.ts";
import { findReconstructedLayers, findReconstructedParts } from "../../plan/reconstruction.ts";
import type { CallOptions } from "../../train/call_options.ts";
import { cosineRate, type Schedule } from "../../train/schedule.ts";
import type { TrainOptions } from "../../train/phase.ts";
import { lowerTraining } from "../../train/step_programs.ts";
import { train } from "../../train/trainer.ts";
import type { RefitSettings } from "./settings.ts";

/** The rate falls to zero, and the values are those of the last step. */
const schedule: Schedule = { learningRateShare: cosineRate(), averagedCount: () => 0 };

/** A phase of training that compares some layers. */
export type ReconstructionPhase = Omit<TrainOptions, "slots">;

/** The phases of steps that a refit beyond single layers takes, in order; none for `layers`. */
export function planReconstruction(
  { network, dense, examples, choose }: {
    /** The pruned network. */
    readonly network: Network;
    /** The dense network, of the same graph. */
    readonly dense: Network;
    readonly examples: Examples;
    readonly choose: ProductChooser;
  },
  { by, batch: most, steps, learningRate, augmentation, seed, memoryBytes }: RefitSettings,
): readonly ReconstructionPhase[] {
  return listReconstructions(network.graph, by).map((reconstruction, part) => {
    const options = {
      ...{ epochs: 1, learningRate, seed, augmentation, schedule, choose, reconstruction, firstEpoch: part },
      optimizer: adam(),
      teacher: dense,
      teacherCacheBytes: memoryBytes,
    };
    const lower = (batch: number) => lowerTraining(network, examples, { ...options, batch });
    const wanted = Math.min(most, examples.batch, examples.count);
    const batch = fitBatch(network.gpu, wanted, lower, ["refit weights of", network.graph.name]);
    const epochs = Math.ceil(steps / Math.floor(examples.count / batch));
    return { ...options, batch, epochs };
  });
}

/** What each phase of a refit compares. */
function listReconstructions(graph: Graph, by: RefitSettings["by"]): readonly Reconstruction[] {
  if (by === "layers") return [];
  const nodes = resolveGraph(graph), layers = findReconstructedLayers(nodes);
  return by === "blocks" ? findReconstructedParts(nodes, layers) : [{ layers, first: 0 }];
}

/** Lowers a step on images of each phase, and the dense network's forward passes. */
export function lowerReconstructions(
  graph: Graph,
  by: RefitSettings["by"],
  options: {
    readonly batch: number;
    readonly choose: ProductChooser;
    readonly layout?: ParameterLayout;
  },
): readonly Plan[] {
  const source = { ...options, images: { augmentation: "none" } } as const;
  return listReconstructions(graph, by).flatMap((reconstruction) => [
    lowerPlan(graph, { ...source, mode: "train", reconstruction }),
    lowerForward(graph, {
      ...source,
      probes: reconstruction.layers.map((layer) => graph.layers[layer].name),
    }),
  ]);
}

/**
 * Trains the kept parameters of a pruned network towards a dense one, part by part.
 *
 * @throws {NumericError} If a number is not finite.
 * @throws The reason of the signal if it ends the training. Whatever is thrown, some parameters may have moved.
 */
export async function reconstruct(
  network: Network,
  examples: Examples,
  { phases, signal, onProgress }: CallOptions & { readonly phases: readonly ReconstructionPhase[] },
): Promise<void> {
  using slots = new SlotPool(network.gpu);
  let done = 0;
  for (const phase of phases) {
    await train(network, examples, {
      ...phase,
      slots,
      ...(signal ? { signal } : {}),
      onProgress: ({ step }) => onProgress?.({ step: done + step, steps: countSteps(examples, phases) }),
    });
    done += countSteps(examples, [phase]);
  }
}

/** Steps that phases take. */
export function countSteps(
  { count }: Pick<Examples, "count">,
  phases: readonly Pick<TrainOptions, "epochs" | "batch">[],
): number {
  return phases.reduce((sum, { epochs, batch }) => sum + epochs * Math.floor(count / batch), 0);
}
