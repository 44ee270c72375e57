/**
 * Reference values of a network alone: its output for some inputs, as another program computed it.
 *
 * @module
 */
import { FileError, ShapeError } from "../errors.ts";
import { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { readFloats } from "../gpu/readback.ts";
import { SlotPool } from "../gpu/slots.ts";
import { imagesFromQuads, imagesToQuads } from "../io/quads.ts";
import type { PretrainedModel } from "../io/pretrained.ts";
import { readWeights } from "../io/read_weights.ts";
import { tensorRef } from "../kernels/buffer_ref.ts";
import { checkGraphFits, countClasses, type OutputFunction, resolveGraph } from "../model/graph.ts";
import { lowerForward } from "../plan/forward.ts";
import { findLogits } from "../plan/plan.ts";
import { type Check, compare, type Goldens } from "./goldens.ts";
import type { ResnetBench } from "./resnet_cases.ts";

/** The largest allowed error, relative to the largest value. */
const allowed = 1e-4;

/** True where a file holds inputs or outputs of a network. */
export function hasOutputCase(goldens: Goldens): boolean {
  return goldens.has("x") || goldens.has("y");
}

/**
 * Checks the output of a network: x (N, C, H, W) -> y (N, classes). The network lies beside NAME.safetensors as
 * NAME.onnx, or where `sources` say.
 *
 * @throws {FileError} Where the network is not found.
 * @throws {FormatError} Where x or y is missing, or a file is damaged.
 * @throws {ShapeError} Where the network takes other images, or gives another shape.
 */
export async function checkOutputs(bench: ResnetBench, goldens: Goldens): Promise<readonly Check[]> {
  const { gpu, choose, sources: { files, model } } = bench;
  const shape = goldens.shape("x", 4), [rows, channels, height, width] = shape;
  const path = model ?? goldens.name.replace(/\.safetensors$/, ".onnx");
  if (path === goldens.name || await files.sizeBytes(path) === undefined) {
    const current = `its network is not at ${path}`;
    throw new FileError({ act: "verify", thing: goldens.name, current, wanted: "its path by --model" });
  }
  const { graph, parameters } = await readWeights(path, { files, size: { height, width } });
  const classes = Array.from({ length: countClasses(graph) }, (_, i) => `${i}`);
  checkGraphFits(graph, { name: goldens.name, channels, height, width, classes });
  const given = goldens.shape("y"), wanted = [rows, classes.length];
  if (given.join() !== wanted.join()) {
    const current = `y of (${given.join(", ")})`;
    throw new ShapeError({ act: "verify", thing: goldens.name, current, wanted: `(${wanted.join(", ")})` });
  }
  const got = await computeOutput({ gpu, choose }, { graph, parameters }, {
    shape,
    values: goldens.floats("x"),
  });
  return [compare("y", { got, want: goldens.floats("y"), relative: allowed, floor: 0 })];
}

/**
 * Computes the output of a network, a vector or a map, in PyTorch's order.
 *
 * @param images Images (N, C, H, W), normalised.
 */
export async function computeOutput(
  { gpu, choose }: Pick<ResnetBench, "gpu" | "choose">,
  { graph, parameters }: Pick<PretrainedModel, "graph" | "parameters">,
  { shape, values }: { readonly shape: readonly number[]; readonly values: Float32Array },
): Promise<Float32Array> {
  const [rows] = shape;
  using network = new Network(gpu, graph, 0);
  network.writeParameters(parameters);
  using slots = new SlotPool(gpu);
  const plan = lowerForward(graph, { batch: rows, choose, layout: network.layout });
  using step = await preparePlan(plan, { network, slots, input: () => undefined });
  step.bind(tensorRef("x")).buffer.write(imagesToQuads(values, shape));
  step.program.run({ seed: 0 });
  const quads = await readFloats(gpu, step.bind(tensorRef(findLogits(plan))).buffer);
  const { channels, height, width, taps } = resolveGraph(graph).at(-1)!.output;
  const output = imagesFromQuads(quads, [rows, channels, height * width * taps, 1]);
  return graph.output === undefined
    ? output
    : applyToRows(graph.output, output, channels * height * width * taps);
}

/** Applies a function to each row of logits (N, classes). */
function applyToRows(output: OutputFunction, logits: Float32Array, classes: number): Float32Array {
  if (output === "sigmoid") return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  const results = new Float32Array(logits.length);
  for (let first = 0; first < logits.length; first += classes) {
    const row = logits.subarray(first, first + classes), largest = Math.max(...row);
    const logSum = largest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
    results.set(row.map((logit) => output === "softmax" ? Math.exp(logit - logSum) : logit - logSum), first);
  }
  return results;
}
