/**
 * Takes channels out of a model, and holds what comes out against onnxruntime.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Model } from "../../src/api/model.ts";
import { summarizeModel } from "../../src/model/summary.ts";
import { checkLogits, runOnnx, type RuntimeTensor } from "./onnx_runtime.ts";

/** The size of images, and how many classes they have. */
export interface TaskSize {
  readonly height: number;
  readonly width: number;
  readonly classes?: number;
}

/** Images of three channels that follow from their index, with the task that they are for. */
export function makeTask({ height, width, classes: classCount = 10 }: TaskSize) {
  const count = 24, length = count * 3 * height * width;
  const pixels = Uint8Array.from({ length }, (_, i) => (i * 7919) % 256);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classCount);
  const classes = Array.from({ length: classCount }, (_, i) => `${i}`);
  const mean = [0.5, 0.5, 0.5], std = [0.25, 0.25, 0.25];
  return {
    split: { pixels, labels, count },
    task: { name: "images", channels: 3, height, width, classes, mean, std },
  };
}

/** Three normalised images that follow from their index. */
export function makeImages({ height, width }: TaskSize): RuntimeTensor {
  const values = Float32Array.from({ length: 9 * height * width }, (_, i) => ((i * 7919) % 101 - 50) / 50);
  return { shape: [3, 3, height, width], values };
}

/** Removes channels with half of a model's weights, compacts it, and runs it in onnxruntime. */
export async function checkPruned(model: Model, size: TaskSize): Promise<void> {
  const { split } = makeTask(size), before = summarizeModel(model.graph).multiplyAdds;
  await model.score(split, { by: "magnitude", examples: 10 });
  const weights = (await model.remove(0)).reduce((sum, { weights }) => sum + weights, 0);
  await model.remove(Math.floor(weights / 2), { granularity: "channel" });
  const report = await model.compact(split);
  assert(report.largestDifference < 1e-4, `logits differ by ${report.largestDifference}`);
  assert(summarizeModel(model.graph).multiplyAdds < 0.75 * before, "it is smaller");
  const bytes = await model.encodeOnnx(), x = makeImages(size);
  const y = await runOnnx(bytes, x);
  const checks = await checkLogits({ model: "pruned.onnx", bytes }, x, y);
  assertEquals(checks.map(({ passed }) => passed), [true], JSON.stringify(checks));
}
