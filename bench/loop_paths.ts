/**
 * The loop of pruning by a confidence, run to its end: what each round leads to, and beside it pruning by magnitude with
 * the same shares in the same rounds, and at once with the same epochs; a line of JSON each.
 *
 *     deno run --allow-read --allow-run=deno bench/loop_paths.ts DATA_FOLDER [OPTIONS_AS_JSON] > paths.jsonl
 *
 * Networks are trained as `deno task prune` trains the seed network by default. Validation examples are held out of the
 * training examples; test images decide nothing.
 *
 * @module
 */
import { denoFiles, loadDataset, Model, openGpu, presetNetwork, splitCalibration } from "../mod.ts";
import { takeSplit } from "../src/data/dataset.ts";
import { signalToNoiseAt } from "../src/prune/score/confidence.ts";
import { standardErrorOfMean } from "../src/train/evaluate.ts";
import { finetuneSchedule } from "../src/train/schedule.ts";

/** What is run. */
interface PathOptions {
  readonly model?: string;
  readonly confidences?: readonly number[];
  readonly seeds?: readonly number[];
  /** Training examples, of which some are held out to score and to validate on; all where 0. */
  readonly limit?: number;
  readonly calibration?: number;
  readonly validation?: number;
  readonly epochs?: number;
  /** The most rounds. */
  readonly rounds?: number;
  /** The confidence above which removed weights come back. Default: none does. */
  readonly regrow?: number;
  /** Sparsities, by magnitude at once, to start from. Default: the dense network. */
  readonly starts?: readonly number[];
  /** Whether magnitude runs too. */
  readonly compare?: boolean;
}

const [data, text = "{}"] = Deno.args;
const options: PathOptions = JSON.parse(text);
const { model: name = "seed", confidences = [0.5, 0.683, 0.843, 0.95], seeds = [0], epochs = 12 } = options;
const { calibration: scored = 1000, validation: held = 500, rounds = 200, limit = 0, compare = true } =
  options;
const { regrow, starts = [0] } = options;

const note = (line: string) => console.error(line);
const dataset = await loadDataset({ folder: data!, files: denoFiles, allowDownload: false, note });
using gpu = await openGpu();
note(`${gpu.adapter.name}, ${name}, ${JSON.stringify(options)}`);
const classes = dataset.classes.length, { test } = dataset;

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
  using model = new Model(gpu, presetNetwork(name, { ...dataset, classes }), { task: dataset, seed });
  using _kept = model.keepOnDevice(train, calibration, validation, test);
  const print = (record: object) => console.log(JSON.stringify({ model: name, seed, ...record }));
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
    model.train(train, { epochs, firstEpoch: 1000 * round, seed, schedule: finetuneSchedule });
  await model.train(train, { epochs, seed });
  const trained = await model.state();
  const prunable = trained.masks.values().reduce((sum, mask) => sum + mask.length, 0);
  print({ kind: "dense", ...await measure(0, 0) });
  const removeByMagnitude = async (removed: number) => {
    await model.score(calibration, { by: "magnitude" });
    await model.remove(removed);
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
        after: { recalibrate: {} },
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
      if (!compare || start > 0) continue;
      model.restore(trained);
      const points: Point[] = [];
      for (const { round, removed } of outcome.rounds) {
        await removeByMagnitude(removed);
        await finetune(round);
        points.push(await measure(round, removed));
      }
      print({ kind: "magnitude, same rounds", confidence, rounds: points });
      model.restore(trained);
      await removeByMagnitude(outcome.removed);
      await finetune(1, outcome.rounds.length);
      print({ kind: "magnitude, at once", confidence, ...await measure(1, outcome.removed) });
    }
  }
}
