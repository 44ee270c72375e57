/**
 * Takes channels out of networks with every way in which layers couple channels, and out of networks that PyTorch exported:
 * what comes out is smaller, computes what the masked network did, and onnxruntime gives its logits.
 */
import { assert, assertEquals } from "@std/assert";
import { Model } from "../../../src/api/model.ts";
import { loadModel, openModel } from "../../../src/api/load_model.ts";
import { denoFiles } from "../../../src/deno/files.ts";
import { parseGraph } from "../../../src/model/graph.ts";
import { summarizeModel } from "../../../src/model/summary.ts";
import { deviceOf } from "../../helpers/devices.ts";
import { checkLogits, runOnnx, runtimeTest } from "../../helpers/onnx_runtime.ts";
import { sharedPath } from "../../helpers/shared.ts";

/** Images of three channels that follow from their index, with the task that they are for. */
function makeTask(side: number) {
  const count = 24, pixels = Uint8Array.from({ length: count * 3 * side * side }, (_, i) => (i * 7919) % 256);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const classes = Array.from({ length: 10 }, (_, i) => `${i}`);
  const mean = [0.5, 0.5, 0.5], std = [0.25, 0.25, 0.25];
  return {
    split: { pixels, labels, count },
    task: { name: "images", channels: 3, height: side, width: side, classes, mean, std },
  };
}

/** Removes channels with half of a model's weights, compacts it, and runs it in onnxruntime. */
async function checkPruned(model: Model, side: number): Promise<void> {
  const { split } = makeTask(side), before = summarizeModel(model.graph).multiplyAdds;
  await model.score(split, { by: "magnitude", examples: 10 });
  const weights = (await model.remove(0)).reduce((sum, { weights }) => sum + weights, 0);
  await model.remove(Math.floor(weights / 2), { granularity: "channel" });
  const report = await model.compact(split);
  assert(report.largestDifference < 1e-4, `logits differ by ${report.largestDifference}`);
  assert(summarizeModel(model.graph).multiplyAdds < 0.75 * before, "it is smaller");
  const bytes = await model.encodeOnnx(), count = 3 * 3 * side * side;
  const x = {
    shape: [3, 3, side, side],
    values: Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 101 - 50) / 50),
  };
  const y = await runOnnx(bytes, x);
  const checks = await checkLogits({ model: "pruned.onnx", bytes }, x, y);
  assertEquals(checks.map(({ passed }) => passed), [true], JSON.stringify(checks));
}

const coupled = parseGraph({
  name: "coupled",
  input: { channels: 3, height: 12, width: 12 },
  layers: [
    { kind: "conv2d", name: "stem", outChannels: 16, kernel: 3, stride: 2, padding: 0, paddingAfter: 1 },
    { kind: "batchnorm2d", name: "norm" },
    { kind: "clip", name: "relu6" },
    { kind: "slice", name: "left", outChannels: 8 },
    { kind: "slice", name: "right", inputs: ["relu6"], first: 8, outChannels: 8 },
    { kind: "conv2d", name: "deep", outChannels: 8, kernel: 3, padding: 1, groups: 8 },
    { kind: "prelu", name: "slopes", shared: false },
    { kind: "conv2d", name: "point", outChannels: 8, kernel: 1 },
    { kind: "sigmoid", name: "half" },
    { kind: "concat", name: "joined", inputs: ["left", "half"] },
    { kind: "shuffle", name: "shuffle", groups: 2 },
    { kind: "globalavgpool2d", name: "squeeze" },
    { kind: "linear", name: "reduce", outFeatures: 6 },
    { kind: "elu", name: "elu" },
    { kind: "linear", name: "expand", outFeatures: 16 },
    { kind: "hardsigmoid", name: "gate" },
    { kind: "multiply", name: "excited", inputs: ["shuffle", "gate"] },
    { kind: "conv2d", name: "out", outChannels: 20, kernel: 3, padding: 1 },
    { kind: "hardswish", name: "hardswish" },
    { kind: "avgpool2d", name: "mean", kernel: 3, stride: 2, padding: 1, countsPadding: false },
    { kind: "flatten", name: "flat" },
    { kind: "linear", name: "fc", outFeatures: 10 },
  ],
}, "coupled");

Deno.test({
  name:
    "a network of gates, shuffles, slices and padding of one side loses channels, and runs in onnxruntime",
  ...runtimeTest,
  async fn() {
    using model = new Model(await deviceOf(), coupled, { task: makeTask(12).task, seed: 1 });
    await checkPruned(model, 12);
  },
});

const folder = sharedPath("onnx");

for (const name of ["mobile-relu6", "mobile-hardswish-se"]) {
  Deno.test({
    name: `${name} of PyTorch's exporter loses channels, and runs in onnxruntime`,
    ignore: folder === undefined,
    ...runtimeTest,
    async fn() {
      const { task } = makeTask(32);
      const loaded = await loadModel({ model: `${folder}/${name}.onnx` }, { files: denoFiles, task });
      using model = openModel(await deviceOf(), loaded, { task });
      await checkPruned(model, 32);
    },
  });
}
