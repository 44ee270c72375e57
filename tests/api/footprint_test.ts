/** Tests of the device memory that calls of a model say they need, against what the device allocates. */
import { assert, assertEquals } from "@std/assert";
import { applyRecipe } from "../../src/api/apply_recipe.ts";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import type { ModelTrainOptions, PruningMemoryOptions } from "../../src/api/model_options.ts";
import { adam } from "../../src/plan/optimizer.ts";
import { resnet20, seedNetwork } from "../../src/model/presets.ts";
import { deviceOf } from "../helpers/devices.ts";
import { peakBytes } from "../helpers/peak_bytes.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";

const dataset = tinyDataset({ train: 128, test: 300 });

/** The networks of the tests: one with biases, one with batch norm and skips. */
const graphs = [seedNetwork(dataset), resnet20(dataset)];

/** Does removals until so many weights are gone, of each layer its share. */
async function removeFrom(
  model: Model,
  { by = "confidence", granularity, after = {} }: PruningMemoryOptions,
  amounts: readonly number[] = [1],
) {
  const select = { scope: "layer", ...(granularity ? { granularity } : {}) } as const;
  const recipe = { score: { by }, select, after };
  const calibration = dataset.test, inputs = { calibration, train: calibration, trainedOn: 128 };
  for (const weights of amounts) await applyRecipe(getCore(model), recipe, { weights }, inputs);
}

for (const path of ["storage", "texture"] as const) {
  for (const graph of graphs) {
    /** What a call on a new model allocates at its peak, with the model. */
    const measure = async (run: (model: Model) => Promise<unknown>) => {
      const gpu = await deviceOf(path);
      return await peakBytes(gpu, async () => {
        using model = new Model(gpu, graph, { task: dataset, seed: 0 });
        await run(model);
      });
    };
    const open = async () => new Model(await deviceOf(path), graph, { task: dataset, seed: 0 });

    Deno.test(`Model.evaluationFootprint() is what the device allocates for ${graph.name}, on ${path}`, async () => {
      using model = await open();
      const { totalBytes, slotsBytes, buffersBytes, mirrorsBytes } = model.evaluationFootprint(dataset.test);
      assertEquals(totalBytes, slotsBytes + buffersBytes + mirrorsBytes);
      assertEquals(await measure((model) => model.evaluate(dataset.test)), totalBytes);
      assert(await measure((model) => model.predict(dataset.test)) <= totalBytes);
    });

    Deno.test(`Model.footprint() is what the device allocates for ${graph.name}, on ${path}`, async () => {
      using model = await open();
      using teacher = await open();
      const plain = { epochs: 1, batch: 32, learningRate: 0.01 };
      const variants: Readonly<Record<string, ModelTrainOptions>> = {
        plain: {},
        adam: { optimizer: adam() },
        accumulated: { accumulate: 2 },
        mixed: { mixup: 1 },
        watched: { validation: dataset.test, earlyStopping: { patience: 1, measure: "loss" } },
        taught: { teacher, distillation: { share: 0.5, temperature: 2, featureWeight: 1 } },
        "taught by stages": {
          teacher,
          mixup: 1,
          distillation: { share: 0.5, temperature: 2, featureWeight: 1, featureMaps: "stages" },
        },
      };
      const names = graph === graphs[0] ? Object.keys(variants) : ["plain", "watched"];
      for (const name of names) {
        const options = { ...plain, ...variants[name] },
          { totalBytes } = model.footprint(dataset.train, options);
        const measured = await measure(async (model) => {
          if (!options.teacher) return await model.train(dataset.train, options);
          using teacher = await open();
          return await model.train(dataset.train, { ...options, teacher });
        });
        assertEquals(measured, totalBytes, name);
      }
    });

    Deno.test(`Model.pruningFootprint() is what the device allocates for ${graph.name}, on ${path}`, async () => {
      using model = await open();
      const calibration = dataset.test;
      const exact: Readonly<Record<string, PruningMemoryOptions>> = {
        confidence: {},
        magnitude: { by: "magnitude" },
        channels: { granularity: "channel" },
        blocks: { granularity: { rows: 4, channels: 4 } },
      };
      const names = graph === graphs[0] ? Object.keys(exact) : ["confidence"];
      for (const name of names) {
        const options = exact[name], { totalBytes } = await model.pruningFootprint(calibration, options);
        const measured = await measure((model) => removeFrom(model, options));
        assertEquals(measured, totalBytes, name);
      }
    });

    Deno.test(`Model.pruningFootprint() bounds a refit of ${graph.name}, on ${path}`, async () => {
      using model = await open();
      const calibration = dataset.test, images = 100, batch = 50;
      const settings = {
        layers: {},
        obs: { selectionSteps: 2 },
        blocks: { by: "blocks", steps: 2 },
      } as const;
      const names = graph === graphs[0] ? ["layers", "obs", "blocks"] as const : ["layers"] as const;
      for (const name of names) {
        const more = settings[name];
        const options = { by: "magnitude", after: { refit: { images, batch, ...more } } } as const;
        const { totalBytes } = await model.pruningFootprint(calibration, options);
        // Layers choose by selection once they have lost weights.
        const measured = await measure((model) => removeFrom(model, options, [60, 120]));
        assert(measured <= totalBytes && measured > 0.9 * totalBytes, `${name}: ${measured}, ${totalBytes}`);
      }
    });
  }
}
