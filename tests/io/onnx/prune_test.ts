/**
 * Takes channels out of networks with every way in which layers couple channels, and out of networks that PyTorch exported:
 * what comes out is smaller, computes what the masked network did, and onnxruntime gives its logits.
 */
import { Model } from "../../../src/api/model.ts";
import { loadModel, openModel } from "../../../src/api/load_model.ts";
import { denoFiles } from "../../../src/deno/files.ts";
import { parseGraph } from "../../../src/model/graph.ts";
import { deviceOf } from "../../helpers/devices.ts";
import { checkPruned, makeTask } from "../../helpers/onnx_pruned.ts";
import { runtimeTest } from "../../helpers/onnx_runtime.ts";
import { sharedPath } from "../../helpers/shared.ts";

const small = { height: 12, width: 12 };

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
    using model = new Model(await deviceOf(), coupled, { task: makeTask(small).task, seed: 1 });
    await checkPruned(model, small);
  },
});

const folder = sharedPath("onnx");

for (const name of ["mobile-relu6", "mobile-hardswish-se"]) {
  Deno.test({
    name: `${name} of PyTorch's exporter loses channels, and runs in onnxruntime`,
    ignore: folder === undefined,
    ...runtimeTest,
    async fn() {
      const size = { height: 32, width: 32 }, { task } = makeTask(size);
      const loaded = await loadModel({ model: `${folder}/${name}.onnx` }, { files: denoFiles, task });
      using model = openModel(await deviceOf(), loaded, { task });
      await checkPruned(model, size);
    },
  });
}
