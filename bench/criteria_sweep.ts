/**
 * One-shot accuracy of every criterion against sparsity, for the seed network: trains once a seed, then removes from the
 * same trained network at each sparsity by each criterion, without training after it.
 *
 *     deno run --allow-read bench/criteria_sweep.ts DATA_FOLDER [SEEDS] [EPOCHS] > sweep.json
 *
 * @module
 */
import {
  type Criterion,
  denoFiles,
  loadDataset,
  Model,
  openGpu,
  seedNetwork,
  splitCalibration,
} from "../mod.ts";
import { removedAt } from "../src/prune/goal.ts";

/** One-shot test accuracy at one sparsity. */
export interface SweepPoint {
  readonly criterion: string;
  readonly sparsity: number;
  readonly seed: number;
  readonly accuracy: number;
}

const sparsities = [0.5, 0.8, 0.9, 0.95, 0.98];

const scorings: readonly {
  readonly label: string;
  readonly criterion: Criterion;
  readonly prior?: "matched";
}[] = [
  { label: "confidence", criterion: "confidence" },
  { label: "confidence, matched prior", criterion: "confidence", prior: "matched" },
  { label: "magnitude", criterion: "magnitude" },
  { label: "obd", criterion: "obd" },
  { label: "taylor", criterion: "taylor" },
  { label: "gradient", criterion: "gradient" },
  { label: "l1", criterion: "l1" },
  { label: "random", criterion: "random" },
];

/** Trains one network and measures every criterion at every sparsity. */
async function sweepSeed(
  folder: string,
  { seed, epochs }: { readonly seed: number; readonly epochs: number },
) {
  using gpu = await openGpu();
  const note = (line: string) => console.error(line);
  const dataset = await loadDataset({ folder, files: denoFiles, allowDownload: false, note });
  const { train, calibration } = splitCalibration(dataset.train, { count: 1000, seed });
  const graph = seedNetwork({ ...dataset, classes: dataset.classes.length });
  using model = new Model(gpu, graph, { task: dataset, seed });
  const optimizer = { kind: "sgd", momentum: 0.9, nesterov: false, weightDecay: 5e-4 } as const;
  const options = { epochs, batch: 64, learningRate: 0.02, optimizer, seed, augmentation: "flip" } as const;
  await model.train(train, options);
  const trained = await model.state();
  const dense = await model.evaluate(dataset.test);
  const points: SweepPoint[] = [{ criterion: "dense", sparsity: 0, seed, accuracy: dense.accuracy }];
  for (const { label, criterion, prior = "evidence" } of scorings) {
    for (const sparsity of sparsities) {
      model.restore(trained);
      await model.score(calibration, { criterion, prior, examples: train.count, seed });
      await model.remove(removedAt(sparsity, model.network.layout.prunableCount));
      const { accuracy } = await model.evaluate(dataset.test);
      points.push({ criterion: label, sparsity, seed, accuracy });
      note(`seed ${seed}, ${label}, ${100 * sparsity} %: ${(100 * accuracy).toFixed(1)} %`);
    }
  }
  return points;
}

if (import.meta.main) {
  const [folder, seeds = "1", epochs = "12"] = Deno.args;
  const points: SweepPoint[] = [];
  for (let seed = 0; seed < Number(seeds); seed++) {
    points.push(...await sweepSeed(folder, { seed, epochs: Number(epochs) }));
  }
  console.log(JSON.stringify(points));
}
