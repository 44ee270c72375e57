import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type CompareOptions, runCompare } from "../../src/runs/compare.ts";
import { Model } from "../../src/api/model.ts";
import { splitDataset } from "../../src/runs/splits.ts";
import { configOf as configBy } from "../helpers/config.ts";
import type { Dataset, ImageSplit, Split } from "../../src/data/dataset.ts";
import { type CompareReport, compareReportSchema } from "../../src/report/compare_report.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const versions = { winnow: "a test" };

const configOf = (more: Record<string, unknown> = {}) =>
  configBy({ epochs: 1, batch: 16, learningRate: 0.05, finetuneEpochs: 0, validation: 24, ...more });

async function compare(more: Partial<CompareOptions> = {}): Promise<CompareReport> {
  return await runCompare(await deviceOf(), {
    config: configOf(),
    dataset: tinyDataset(),
    graph: tinyGraph(),
    variants: ["magnitude", "confidence"],
    sparsities: [0.5, 0.8],
    seeds: [3],
    versions,
    ...more,
  });
}

/** The images of a split as texts, which name them. */
function imagesOf(split: Split | undefined): string[] {
  const { pixels, count } = split as ImageSplit, bytes = pixels.length / count;
  return Array.from({ length: count }, (_, i) => pixels.subarray(i * bytes, (i + 1) * bytes).join());
}

/** The data set with other labels for some training images. */
function relabelled(dataset: Dataset, isOther: (image: string) => boolean): Dataset {
  const names = imagesOf(dataset.train);
  const labels = dataset.train.labels.map((label, i) => isOther(names[i]) ? (label + 1) % 4 : label);
  return { ...dataset, train: { ...dataset.train, labels } };
}

/** A network as a file holds it, trained without any of these splits. */
async function pretrained() {
  using model = new Model(await deviceOf(), tinyGraph(), { task: tinyDataset(), seed: 8 });
  const { train } = tinyDataset({ train: 64, test: 4 });
  await model.train(train, { epochs: 4, batch: 16, learningRate: 0.05 });
  return await model.state();
}

Deno.test("splitDataset() holds validation examples out of training and calibration alike", async () => {
  const dataset = tinyDataset();
  for (const more of [{}, { epochs: 0, model: "net.safetensors" }]) {
    const { train, calibration, validation } = await splitDataset(await deviceOf(), configOf(more), dataset);
    const all = [train, calibration, validation].flatMap(imagesOf);
    assertEquals([train.count, calibration.count, validation!.count], [53, 19, 24]);
    assertEquals(all.toSorted(), imagesOf(dataset.train).toSorted());
  }
});

for (
  const [name, more] of Object.entries({ trained: {}, pretrained: { epochs: 0, model: "net.safetensors" } })
) {
  Deno.test(`runCompare() measures validation examples, which change nothing else, ${name}`, async () => {
    const config = configOf(more), dataset = tinyDataset(), gpu = await deviceOf();
    const given = name === "trained" ? {} : { weights: await pretrained() };
    const report = await compare({ config, ...given });
    assertEquals(compareReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
    const { validation, test, limited } = await splitDataset(gpu, { ...config, seed: 3 }, dataset);
    const held = new Set(imagesOf(validation));
    const isHeld = (image: string) => held.has(image);
    const other = await compare({ config, ...given, dataset: relabelled(dataset, isHeld) });
    // With one epoch there is none to choose by validation.
    const withoutValidation = ({ trained, cells }: CompareReport) =>
      [...trained, ...cells].map(({ validation: _, ...rest }) => rest);
    assertEquals(withoutValidation(other), withoutValidation(report));
    const results = [...report.trained, ...report.cells];
    assertEquals(results.length, 5);
    for (const [i, { validation }] of results.entries()) {
      assert(validation!.accuracy >= 0 && validation!.loss > 0);
      assertNotEquals([...other.trained, ...other.cells][i].validation, validation);
    }
    if (!given.weights) return;
    using model = new Model(gpu, tinyGraph(), { task: limited });
    model.restore(given.weights);
    const { accuracy, loss } = await model.evaluate(validation!);
    const { accuracy: onTest } = await model.evaluate(test);
    assertEquals(report.trained, [{ seed: 3, accuracy: onTest, validation: { accuracy, loss } }]);
  });
}

Deno.test("runCompare() measures validation examples after fine-tuning too, and none where none are held out", async () => {
  const { cells } = await compare({ config: configOf({ finetuneEpochs: 1 }), sparsities: [0.8] });
  for (const { validation, validationFinetuned } of cells) assertNotEquals(validation, validationFinetuned);
  const without = await compare({ config: configOf({ validation: undefined }), sparsities: [0.8] });
  for (const result of [...without.trained, ...without.cells]) assertEquals(result.validation, undefined);
});

Deno.test("runCompare() finds again what an earlier report says without validation", async () => {
  const whole = await compare();
  const strip = <Result extends object>({ validation: _, ...rest }: Result & { validation?: unknown }) =>
    rest;
  const before = compareReportSchema.parse({
    ...whole,
    trained: whole.trained.map(strip),
    cells: [strip(whole.cells[0]), ...whole.cells.slice(1)],
  });
  const seen: number[] = [];
  const onReport = ({ cells }: CompareReport) => Promise.resolve(void seen.push(cells.length));
  const again = await compare({ before, onReport });
  assertEquals(seen, [4, 4]);
  assertEquals(again, { ...whole, cells: [...whole.cells.slice(1), whole.cells[0]] });
});
