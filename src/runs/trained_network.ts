/**
 * A trained network with its examples, as comparisons start from: given, or trained as a configuration says.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import { ConfigError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { checkSeal, withSeal } from "../io/checksum.ts";
import { decodeModel } from "../io/model_file.ts";
import { decodeVariance, encodeVariance } from "../io/variance_file.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { needsVariance } from "../prune/score/criteria.ts";
import type { Graph } from "../model/graph.ts";
import { epochsPerPhase, type RunProgress } from "../train/phase.ts";
import { Model } from "../api/model.ts";
import type { ModelState, ModelTrainOptions } from "../api/model_options.ts";
import { getCore } from "../api/model_core.ts";
import { type RunSplits, splitDataset } from "./splits.ts";
import { readSchedule, readTraining } from "./read_training.ts";

/** What a comparison starts from. */
export interface TrainedOptions {
  /** How to train, and all that the comparison does not vary. */
  readonly config: RunConfig;
  /** The whole data set; a share is taken and split. */
  readonly dataset: Dataset<Split>;
  /** The network, which must fit the data set. */
  readonly graph: Graph;
  /** Parameters and masks to start from; random ones by the seed where left out. */
  readonly weights?: ModelState;
  /** Picks how matrix products are computed; as the device does where left out. */
  readonly choose?: ProductChooser;
  /** Called while training or refitting weights, with what is being done. */
  readonly onProgress?: (phase: string, progress: RunProgress) => void;
  /** True has training keep the variance of the weights. Default: true where `config.prune.score.by` reads it, as `snr` does. */
  readonly keepsVariance?: boolean;
  /** Ends the work between two steps once it is aborted. */
  readonly signal?: AbortSignal;
  /** Called when all is checked that can be before anything is computed. */
  readonly onStart?: () => Promise<void>;
  /** Makes the bytes of a file of a trained network, or reads what was made before; makes them where left out. */
  readonly keep?: (name: string, make: () => Promise<Uint8Array>) => Promise<Uint8Array>;
}

/** A trained network on a device. Dispose of its model. */
export interface TrainedNetwork {
  readonly model: Model;
  readonly splits: RunSplits;
  /** Parameters and masks, to be restored before each removal. */
  readonly state: ModelState;
  /** Trains on after a removal, as fine-tuning does, on the same batches every time. */
  finetune(phase: string): Promise<void>;
}

/**
 * Trains a network, or takes what is given or was kept.
 *
 * @throws {ShapeError} Where the model does not fit the data, or there are too few examples.
 * @throws {NumericError} Where a loss is not finite.
 * @throws {FormatError} Where a file that was kept has other bits than were written.
 * @throws {ConfigError} Where a network was kept without the variance that is wanted, and trains to another one now.
 * @throws The reason of `options.signal` where it ends training.
 */
export async function openTrained(gpu: Gpu, options: TrainedOptions): Promise<TrainedNetwork> {
  const { config, graph, weights, onProgress, signal } = options, { seed } = config;
  const { keepsVariance = needsVariance(config.prune.score.by) } = options;
  const splits = await splitDataset(gpu, config, options.dataset), { train, validation, limited } = splits;
  const { choose = gpu.choose } = options, { evaluationBatch } = config.device;
  const examples = train.count;
  const model = new Model(gpu, graph, { task: limited, seed, choose, evaluationBatch, examples });
  // Until the model goes.
  model.keepOnDevice(...[train, splits.calibration, splits.test, validation ?? []].flat());
  const training: ModelTrainOptions = {
    ...readTraining(config, limited),
    ...(validation ? { validation } : {}),
  };
  const trainFor = async (phase: string, settings: ModelTrainOptions) =>
    void await model.train(train, {
      ...training,
      ...settings,
      ...(signal ? { signal } : {}),
      onProgress: (progress) => onProgress?.(phase, progress),
    });
  try {
    if (weights) model.restore(weights);
    if (config.train.epochs > 0) {
      const train = () =>
        trainFor(`train, seed ${seed}`, {
          epochs: config.train.epochs,
          schedule: readSchedule(config, "train"),
          keepsVariance,
        });
      await trainOrRead(model, train, { ...options, keepsVariance });
    }
    return {
      model,
      splits,
      state: await model.state(),
      finetune: (phase) =>
        trainFor(phase, {
          epochs: config.prune.finetune.epochs,
          firstEpoch: epochsPerPhase,
          schedule: readSchedule(config, "finetune"),
          // Other removals are to be scored by the variance of training.
          keepsVariance: false,
        }),
    };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/** Gives a model the parameters, and the variance where it is wanted, of the files that training makes. */
async function trainOrRead(
  model: Model,
  train: () => Promise<void>,
  { config: { seed }, graph, keep = (_, make) => make(), keepsVariance }: TrainedOptions,
): Promise<void> {
  const name = `trained-${seed}.safetensors`, varianceName = `trained-${seed}-variance.safetensors`;
  let isTrained = false;
  const makeNetwork = async () => {
    if (!isTrained) await train();
    isTrained = true;
    return await withSeal(await model.encode());
  };
  const kept = await keep(name, makeNetwork);
  await checkSeal(kept, { act: "take", name });
  const variance = keepsVariance && await keep(varianceName, async () => {
    // A network that was kept without its variance is trained again, to the same bits.
    const again = await makeNetwork();
    if (again.length !== kept.length || again.some((byte, i) => byte !== kept[i])) {
      const current = "it has no variance beside it, and training now gives another network";
      throw new ConfigError({ act: "score by snr", thing: name, current, wanted: "another output folder" });
    }
    return await withSeal(encodeVariance(graph, await getCore(model).network.readArena("variance")));
  });
  if (variance) await checkSeal(variance, { act: "take", name: varianceName });
  model.restore(decodeModel(kept, `the trained model of seed ${seed}`, graph));
  if (variance) {
    getCore(model).network.writeArena("variance", decodeVariance(variance, varianceName, graph));
  }
}
