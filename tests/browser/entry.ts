/**
 * What bundle_test.ts bundles for a browser: the library, and a walk through what needs no adapter.
 *
 * @module
 */
import * as winnow from "../../mod.ts";
import { decodeModel, encodeModel } from "../../src/io/model_file.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { lowerPlan } from "../../src/plan/lower.ts";

/** Parses a graph, lowers its step, encodes and decodes a model of it, and opens what has no adapter or files here. */
export async function walk() {
  const task = { channels: 1, height: 8, width: 8, classes: 4 };
  const text = JSON.stringify(winnow.seedNetwork(task, { conv1: 4, conv2: 5, fc1: 7 }));
  const graph = winnow.parseGraph(JSON.parse(text), "a page");
  const images = { augmentation: "none" } as const, choose = defaultChooser("storage");
  const plan = lowerPlan(graph, { mode: "train", batch: 4, images, choose });
  const parameters = new Map(
    layOutParameters(graph).parameters.map(({ fullName, count }) => [
      fullName,
      Float32Array.from({ length: count }, (_, i) => i % 7),
    ]),
  );
  const normalization = { mean: [0.5], std: [0.25] }, classes = ["a", "b", "c", "d"];
  const bytes = encodeModel({ graph, parameters, masks: new Map(), normalization, classes });
  const decoded = decodeModel(bytes, "a page");
  const refusal = (act: () => Promise<unknown>) =>
    act().then(() => "nothing", (error: Error) => error.message);
  return {
    dispatches: plan.dispatches.length,
    isSame: [...parameters].every(([name, values]) => decoded.parameters.get(name)?.join() === values.join()),
    bytes: bytes.length,
    // Without WebGPU, as on an older browser.
    opened: await refusal(() => {
      Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
      return winnow.openGpu();
    }),
  };
}
