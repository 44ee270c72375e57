/**
 * Residual networks from a file of PyTorch's names to the device, against the f64 reference of whole graphs.
 */
import { assert, assertEquals } from "@std/assert";
import { loadModel, openModel } from "../../src/api/load_model.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { residualNetwork } from "../../src/model/presets/resnet.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { referencePass, type Tensors } from "../plan/reference_graph.ts";
import { randomTensor, tensorOf } from "../reference/tensor.ts";

const dataset = tinyDataset({ train: 10, test: 11 }), { test } = dataset;

for (const shortcut of ["pad", "projection"] as const) {
  Deno.test(`openModel() runs a residual network with shortcuts by ${shortcut} as in f64`, async () => {
    // Widths that fill no quads, an odd number of channels to pad on one side more than on the other.
    const stages = [{ channels: 3, blocks: 1 }, { channels: 6, blocks: 2 }, { channels: 9, blocks: 1 }];
    const form = { name: "resnet10", stem: 3, stages, shortcut, head: "linear" } as const;
    const graph = residualNetwork(form, { channels: 1, height: 8, width: 8, classes: 4 });
    const parameters: Tensors = Object.fromEntries(
      layOutParameters(graph).parameters.map(({ fullName, shape, role }, i) => {
        const { values } = randomTensor(shape, 500 + i, 0.5);
        // Scales and variances around 1, as trained ones are.
        const isPositive = role === "scale" || fullName.endsWith("running_var");
        return [
          fullName,
          tensorOf(shape, values.map((value) => Math.fround(isPositive ? 1 + value : value))),
        ];
      }),
    );
    const tensors = Object.entries(parameters).map(([name, { shape, values }]) =>
      ({ name, dtype: "F32", shape: [...shape], values: Float32Array.from(values) }) as const
    );
    const files = memoryFiles({ "net.safetensors": writeSafetensors(tensors) });
    const loaded = await loadModel({ model: "net.safetensors" }, { files, task: dataset });
    assertEquals(loaded.graph.layers, graph.layers);
    using model = openModel(await deviceOf(), loaded, { task: dataset });
    const got = await model.evaluate(test);
    const images = tensorOf(
      [test.count, 1, 8, 8],
      Array.from(test.pixels, (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0]),
    );
    const want = referencePass(graph, parameters, { images, labels: test.labels, trains: false });
    const predictions = Array.from({ length: test.count }, (_, row) => {
      const scores = [...want.logits.values].slice(4 * row, 4 * row + 4);
      return scores.indexOf(Math.max(...scores));
    });
    assertEquals([...got.predictions], predictions);
    // Ten products in a row, each of sums of at most 81 terms: 10 x 81 roundings of 2^-24 of the logits, at most.
    const largest = Math.max(1, ...want.logits.values.map(Math.abs));
    assert(Math.abs(got.loss - want.loss) < 810 * 2 ** -24 * largest, `${got.loss}, expected ${want.loss}`);
  });
}
