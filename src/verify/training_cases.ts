/**
 * Reference cases of training: the seed network for some steps of each optimizer, then the confidence chain and the
 * criteria at the running mean.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { FeatureExamples } from "../gpu/examples.ts";
import { Network } from "../gpu/network.ts";
import { SlotPool } from "../gpu/slots.ts";
import { imagesToQuads } from "../io/quads.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { seedNetwork } from "../model/presets.ts";
import type { OptimizerSettings } from "../plan/optimizer.ts";
import { averagedSchedule, constantSchedule, type Schedule } from "../train/schedule.ts";
import { train } from "../train/trainer.ts";
import { checkConfidence } from "./confidence_cases.ts";
import { type Check, type CheckProgress, compare, type Goldens } from "./goldens.ts";

const sgd = { kind: "sgd", momentum: 0, nesterov: false, weightDecay: 0 } as const;
const adam = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;

/** The optimizers that the format names. */
const optimizers: Readonly<
  Record<string, { readonly learningRate: number; readonly settings: OptimizerSettings }>
> = {
  sgd: { learningRate: 0.01, settings: sgd },
  "sgd_momentum_wd": { learningRate: 0.01, settings: { ...sgd, momentum: 0.9, weightDecay: 5e-4 } },
  "sgd_nesterov": { learningRate: 0.01, settings: { ...sgd, momentum: 0.9, nesterov: true } },
  adam: { learningRate: 1e-3, settings: adam },
  adamw: { learningRate: 1e-3, settings: { ...adam, kind: "adamw", weightDecay: 1e-2 } },
};

/** What training cases run on. */
export interface TrainingBench {
  readonly gpu: Gpu;
  readonly choose: ProductChooser;
  readonly onProgress: CheckProgress;
}

/** Checks every optimizer that the file has, and the confidence chain and criteria where it has them. */
export async function checkTraining(bench: TrainingBench, goldens: Goldens): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const prefix of Object.keys(optimizers)) {
    if (goldens.has(`${prefix}.losses`)) checks.push(...await checkOptimizer(bench, goldens, prefix));
  }
  const hasConfidence = goldens.names.some((name) => name.startsWith("confidence."));
  if (!hasConfidence) return checks;
  using slots = new SlotPool(bench.gpu);
  const { network } = await trainCase({ ...bench, slots }, goldens, {
    prefix: "sgd_momentum_wd",
    schedule: averagedSchedule,
  });
  using _ = network;
  const tools = { ...bench, slots };
  return [
    ...checks,
    ...await checkConfidence(tools, goldens, {
      network,
      calibration: readExamples(goldens, "confidence.calibration_", goldens.number("confidence_batch", 16)),
    }),
  ];
}

/** The examples under a prefix: PREFIXimages (N, C, H, W) and PREFIXlabels (N). */
function readExamples(goldens: Goldens, prefix: string, batch: number): FeatureExamples {
  const shape = goldens.shape(`${prefix}images`, 4);
  const features = imagesToQuads(goldens.floats(`${prefix}images`), shape);
  return new FeatureExamples(features, Uint32Array.from(goldens.integers(`${prefix}labels`)), batch);
}

async function trainCase(
  { gpu, choose, slots, onProgress }: TrainingBench & { readonly slots: SlotPool },
  goldens: Goldens,
  { prefix, schedule }: { readonly prefix: string; readonly schedule: Schedule },
): Promise<{ readonly network: Network; readonly losses: readonly number[] }> {
  const [, channels, height, width] = goldens.shape("images", 4);
  const rowsOf = (layer: string) => goldens.shape(`init.${layer}.weight`)[0];
  const widths = { conv1: rowsOf("conv1"), conv2: rowsOf("conv2"), fc1: rowsOf("fc1") };
  const graph = seedNetwork({ channels, height, width, classes: rowsOf("fc2") }, widths);
  const network = new Network(gpu, graph, 0);
  const named = network.layout.parameters.map(({ fullName }) =>
    [fullName, goldens.floats(`init.${fullName}`)] as const
  );
  network.writeParameters(new Map(named));
  const batch = goldens.number("batch", 16), examples = readExamples(goldens, "", batch);
  const { learningRate, settings } = optimizers[prefix];
  // Each report gives the mean loss so far; the step's own follows from two of them.
  const losses: number[] = [];
  let before = 0;
  await train(network, examples, {
    epochs: 1,
    batch,
    learningRate,
    optimizer: settings,
    seed: 0,
    shuffle: false,
    schedule,
    stepsPerReading: 1,
    choose,
    slots,
    onProgress({ step, steps, loss }) {
      onProgress(`train ${prefix}`, { step, steps });
      losses.push(step * loss - before);
      before = step * loss;
    },
  });
  return { network, losses };
}

async function checkOptimizer(
  bench: TrainingBench,
  goldens: Goldens,
  prefix: string,
): Promise<readonly Check[]> {
  using slots = new SlotPool(bench.gpu);
  const { network, losses } = await trainCase({ ...bench, slots }, goldens, {
    prefix,
    schedule: constantSchedule,
  });
  using _ = network;
  const want = goldens.floats(`${prefix}.losses`);
  const ratios = losses.slice(0, want.length).map((loss, i) => loss / want[i]);
  const checks = [
    compare(`${prefix} losses`, { got: ratios, want: new Float32Array(want.length).fill(1), relative: 1e-4 }),
  ];
  for (const [name, got] of await network.readParameters()) {
    const wanted = goldens.floats(`${prefix}.final.${name}`);
    checks.push(compare(`${prefix} final ${name}`, { got, want: wanted, relative: 1e-4 }));
  }
  return checks;
}
