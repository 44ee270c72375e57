/**
 * Loss and accuracy after every epoch of a training, on the examples trained on and on test images, a line of JSON each.
 *
 *     deno run --allow-read --allow-run=deno bench/curves.ts DATA_FOLDER [CONFIG_AS_JSON] > curves.jsonl
 *
 * The configuration is that of a prune run, of which the training alone is done. Test accuracy is that of the values as
 * they are after the epoch; the last line has that of what training returns, the averaged ones.
 *
 * @module
 */
import { denoFiles, loadDataset, loadModel, openGpu, openModel, splitCalibration } from "../mod.ts";
import { readSchedule, readTraining } from "../src/runs/read_training.ts";
import { readModelSource } from "../src/runs/model_source.ts";
import { parseRunConfig } from "../src/config/config.ts";

const [data, text = "{}"] = Deno.args;
const config = parseRunConfig(JSON.parse(text), "the command line");
const note = (line: string) => console.error(line);
const dataset = await loadDataset({ folder: data!, files: denoFiles, allowDownload: false, note });
const loaded = await loadModel(readModelSource(config.model), { files: denoFiles, task: dataset });
const { train } = splitCalibration(dataset.train, { count: config.data.calibration, seed: config.seed });
using gpu = await openGpu({ tune: "off" });
using model = openModel(gpu, loaded, { task: dataset, seed: config.seed });
const { test } = dataset;
const print = async (epoch: number, trained: { readonly loss?: number; readonly accuracy?: number }) => {
  const { accuracy, loss } = await model.evaluate(test);
  console.log(JSON.stringify({ epoch, ...trained, testLoss: loss, testAccuracy: accuracy }));
};
await print(0, {});
const stepsPerEpoch = Math.floor(train.count / config.train.batch);
const { loss, accuracy } = await model.train(train, {
  ...readTraining(config, dataset),
  epochs: config.train.epochs,
  schedule: readSchedule(config, "train"),
  checkpoints: {
    isDue: (step) => step % stepsPerEpoch === 0,
    save: ({ step, tally: { lossSum, correct, count } }) =>
      print(step / stepsPerEpoch, { loss: lossSum / count, accuracy: correct / count }),
  },
});
await print(config.train.epochs, { loss, accuracy });
