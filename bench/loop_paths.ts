/**
 * The loop of pruning by a confidence, run to its end: what each round leads to, and beside it pruning by magnitude; a
 * line of JSON each. Magnitude removes the same shares in the same rounds, or as much at once with the same epochs, or what
 * a search by validation finds with the same epochs in all.
 *
 *     deno run --allow-read --allow-run=deno bench/loop_paths.ts DATA_FOLDER [OPTIONS_AS_JSON] > paths.jsonl
 *
 * A preset or a graph is trained as `deno task prune` trains the seed network by default; a file of weights is taken as it
 * is. Validation examples are held out of the training examples; test images decide nothing.
 *
 * @module
 */
import {
  type Augmentation,
  denoFiles,
  type Granularity,
  loadDataset,
  loadModel,
  openGpu,
  openModel,
  type RefitSettings,
  splitCalibration,
} from "../mod.ts";
import { takeSplit } from "../src/data/dataset.ts";
import { signalToNoiseAt } from "../src/prune/score/confidence.ts";
import { standardErrorOfMean } from "../src/train/evaluate.ts";
import { finetuneSchedule } from "../src/train/schedule.ts";

/** What magnitude does beside the loop. */
type Beside = "rounds" | "once" | "search";

/** What is run. */
interface PathOptions {
  /** A preset, a graph in JSON, or a file of weights. */
  readonly model?: string;
  readonly confidences?: readonly number[];
  readonly seeds?: readonly number[];
  /** Training examples, of which some are held out to score and to validate on; all where 0. */
  readonly limit?: number;
  readonly calibration?: number;
  readonly validation?: number;
  /** Epochs of the training; none of a file of weights. */
  readonly epochs?: number;
  /** The learning rate of the first training, of which fine-tuning starts at a quarter. */
  readonly rate?: number;
  readonly augmentation?: Augmentation;
  /** The most rounds. */
  readonly rounds?: number;
  readonly granularity?: Granularity;
  /** Refits what each round keeps, with these settings. Default: batch norm is measured anew. */
  readonly refit?: Partial<RefitSettings>;
  /** The confidence above which removed weights come back. Default: none does. */
  readonly regrow?: number;
  /** Sparsities, by magnitude at once, to start from. Default: the dense network. */
  readonly starts?: readonly number[];
  /** What magnitude does too. Default: `rounds` and `once`. */
  readonly beside?: readonly Beside[];
}

const [data, text = "{}"] = Deno.args;
const options: PathOptions = JSON.parse(text);
const { model: source = "seed", confidences = [0.5, 0.683, 0.843, 0.95], seeds = [0], epochs = 12 } = options;
const { calibration: scored = 1000, validation: held = 500, rounds = 200, limit = 0 } = options;
const { regrow, starts = [0], granularity = "element", refit, rate = 0.02, augmentation } = options;
const { beside = ["rounds", "once"] } = options;

const note = (line: string) => console.error(line);
const dataset = await loadDataset({ folder: data!, files: denoFiles, allowDownload: false, note });
using gpu = await openGpu();
note(`${gpu.adapter.name}, ${source}, ${JSON.stringify(options)}`);
const { test } = dataset, loaded = await loadModel({ model: source }, { files: denoFiles, task: dataset });

/** The sparsities among which magnitude searches. */
const searched = [0.8, 0.9, 0.95, 0.98, 0.99];

/** What a network comes to on the test images, and on the validation examples that choose. */
interface Point {
  readonly round: number;
  readonly removed: number;
  readonly accuracy: number;
  readonly lossValidation: number;
  readonly lossErrorValidation: number;
}

for (const seed of seeds) {
  const whole = limit > 0 ? takeSplit(dataset.train, limit) : dataset.train;
  const first = splitCalibration(whole, { count: scored, seed });
  const { train, calibration: validation } = splitCalibration(first.train, { count: held, seed: seed + 1 });
  const { calibration } = first;
  using model = openModel(gpu, loaded, { task: dataset, seed });
  using _kept = model.keepOnDevice(train, calibration, validation, test);
  const print = (record: object) =>
    console.log(JSON.stringify({ model: source, granularity, seed, ...record }));
  const settings = { learningRate: rate, seed, ...(augmentation ? { augmentation } : {}) };
  const measure = async (round: number, removed: number): Promise<Point> => {
    const { loss, losses } = await model.evaluate(validation), { accuracy } = await model.evaluate(test);
    return {
      round,
      removed,
      accuracy,
      lossValidation: loss,
      lossErrorValidation: standardErrorOfMean(losses),
    };
  };
  const finetune = (round: number, epochs = 1) =>
    model.train(train, { ...settings, epochs, firstEpoch: 1000 * round, schedule: finetuneSchedule });
  if (!loaded.weights) await model.train(train, { ...settings, epochs });
  const trained = await model.state();
  const prunable = trained.masks.values().reduce((sum, mask) => sum + mask.length, 0);
  print({ kind: "dense", ...await measure(0, 0) });
  const removeByMagnitude = async (removed: number) => {
    const remove = async () => {
      await model.score(calibration, { by: "magnitude" });
      await model.remove(removed, { granularity });
    };
    if (refit) return void await model.refit({ ...refit, calibration, remove });
    await remove();
    await model.recalibrate(train, {});
  };
  for (const confidence of confidences) {
    for (const start of starts) {
      model.restore(trained);
      if (start > 0) {
        await removeByMagnitude(Math.floor(start * prunable));
        for (let round = 1; round <= 3; round++) await finetune(100 + round);
      }
      const goal = {
        threshold: signalToNoiseAt(confidence),
        ...(regrow === undefined ? {} : { regrowAbove: signalToNoiseAt(regrow) }),
      };
      const outcome = await model.prune(goal, {
        ...{ calibration, train, test, validation, rounds, examples: train.count },
        // Never undone: validation is measured alone.
        allowedDrop: 1,
        granularity,
        after: refit ? { refit } : { recalibrate: {} },
        finetune,
        onRound: ({ round, sparsity, below, outflow, inflow, accuracyFinetuned }) =>
          note(
            `seed ${seed}, C ${confidence}, round ${round}: ${(100 * sparsity).toFixed(2)} %, ` +
              `below ${below}, out ${outflow}, back ${inflow}, ${(100 * accuracyFinetuned).toFixed(1)} %`,
          ),
      });
      print({
        kind: "confidence",
        confidence,
        start,
        regrow,
        end: outcome.end,
        prunable,
        rounds: outcome.rounds,
      });
      if (start > 0) continue;
      if (beside.includes("rounds")) {
        model.restore(trained);
        const points: Point[] = [];
        for (const { round, removed } of outcome.rounds) {
          await removeByMagnitude(removed);
          await finetune(round);
          points.push(await measure(round, removed));
        }
        print({ kind: "magnitude, same rounds", confidence, rounds: points });
      }
      if (beside.includes("once")) {
        model.restore(trained);
        await removeByMagnitude(outcome.removed);
        await finetune(1, outcome.rounds.length);
        print({ kind: "magnitude, at once", confidence, ...await measure(1, outcome.removed) });
      }
      if (beside.includes("search")) {
        // The loop's epochs are shared among the sparsities.
        const epochs = Math.max(1, Math.floor(outcome.rounds.length / searched.length));
        const points: Point[] = [];
        for (const sparsity of searched) {
          model.restore(trained);
          await removeByMagnitude(Math.floor(sparsity * prunable));
          await finetune(1, epochs);
          points.push(await measure(1, Math.floor(sparsity * prunable)));
        }
        print({ kind: "magnitude, search", confidence, rounds: points });
      }
    }
  }
}
