/**
 * One step of a graph on the device, beside parameters at random and what its sums may be off by.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { tensorRef } from "../../src/kernels/buffer_ref.ts";
import { Network } from "../../src/gpu/network.ts";
import { preparePlan } from "../../src/gpu/plan_program.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { SlotPool } from "../../src/gpu/slots.ts";
import { EvaluationCounts } from "../../src/gpu/tally.ts";
import { imagesToQuads, rowsFromQuads } from "../../src/io/quads.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { type Graph, type GraphNode, resolveGraph } from "../../src/model/graph.ts";
import { type ComparingLoss, teacherFeatures } from "../../src/plan/features.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { findLogits } from "../../src/plan/plan.ts";
import { countFeatures } from "../../src/shape.ts";
import { deviceOf } from "../helpers/devices.ts";
import { randomTensor, type RefTensor, tensorOf } from "../reference/tensor.ts";
import type { Tensors } from "./reference_graph.ts";

/** Examples of a step. */
export const batch = 5;

/** Parameters at random, with positive variances, exact in f32. */
export function parametersOf(graph: Graph): Tensors {
  const specs = resolveGraph(graph).flatMap(({ spec, parameters }) =>
    parameters.map((parameter) => ({ ...parameter, fullName: `${spec.name}.${parameter.name}` }))
  );
  return Object.fromEntries(specs.map(({ fullName, name, shape }, i) => {
    const tensor = randomTensor(shape, 40 + i, 0.6);
    const isPositive = name === "running_var";
    return [fullName, isPositive ? tensorOf(shape, tensor.values.map((v) => Math.fround(1 + v))) : tensor];
  }));
}

/** A layer that is compared with a teacher, and the teacher's numbers as the reference and as the device have them. */
export interface Taught {
  readonly layer: string;
  readonly teacher: RefTensor;
  readonly map: readonly [number, number, number, number];
}

/** A teacher's outputs of some layers, at random. */
export function teachAt(nodes: readonly GraphNode[], layers: readonly number[]): readonly Taught[] {
  return layers.map((at, place) => {
    const { spec: { name: layer }, output } = nodes[at], { channels, height, width, taps } = output;
    // Flattened pixels lie in PyTorch's order in the reference, (C, taps), and the other way about on the device.
    const map = [batch, channels, height * taps, width] as const;
    const { values } = randomTensor(map, 9 + place, 2);
    const shape = height * width > 1 ? map : [batch, countFeatures(output)];
    return { layer, map, teacher: tensorOf(shape, values) };
  });
}

/** The inputs of a step that hold a teacher's outputs, by their names in the plan. */
export function makeFeatureBuffers(taught: readonly Taught[]): Readonly<Record<string, Float32Array>> {
  return Object.fromEntries(
    taught.map(({ map, teacher: { values } }, i) => [teacherFeatures(i), imagesToQuads(values, map)]),
  );
}

/** The lengths of all sums that a value of a gradient depends on, there and back. */
export function roundingsOf(graph: Graph): number {
  const lengths = resolveGraph(graph).map(({ spec, input, output, parameters }) => {
    const weight = parameters.find(({ role }) => role === "weight");
    if (spec.kind === "batchnorm2d") return 4 * batch * input.height * input.width;
    return weight ? weight.taps * weight.channels + batch * output.height * output.width : 2;
  });
  return lengths.reduce((sum, length) => sum + 2 * length, 0);
}

/** Runs one step and reads what it made; a teacher's tensors lie in `buffers` by their names in the plan. */
export async function runStep(
  path: ReadPath,
  graph: Graph,
  { mode, images, labels, parameters, distillation, reconstruction, buffers = {} }: ComparingLoss & {
    readonly mode: "train" | "score" | "evaluate";
    readonly images: RefTensor;
    readonly labels: Uint32Array;
    readonly parameters: Tensors;
    readonly buffers?: Readonly<Record<string, Float32Array>>;
  },
) {
  const gpu = await deviceOf(path), before = gpu.allocatedBytes;
  const result = await (async () => {
    using network = new Network(gpu, graph, 0), slots = new SlotPool(gpu);
    using counts = new EvaluationCounts(gpu, { classes: 8, examples: batch });
    network.writeParameters(
      new Map(Object.entries(parameters).map(([name, { values }]) => [name, Float32Array.from(values)])),
    );
    const made = Object.entries(buffers).map(([name, values]) => {
      const buffer = gpu.createBuffer(name, values.byteLength);
      buffer.write(values);
      return [name, buffer] as const;
    });
    const others = new Map(made);
    const plan = lowerPlan(graph, {
      batch,
      mode,
      choose: defaultChooser(path),
      reconstruction,
      ...(distillation ? { distillation } : {}),
    });
    using step = await preparePlan(plan, {
      network,
      slots,
      input: (name) => others.get(name) ?? counts.input(name),
    });
    step.bind(tensorRef("x")).buffer.write(imagesToQuads(images.values, images.shape));
    step.bind(tensorRef("labels")).buffer.write(labels);
    step.program.run({ count: batch, index: 0, offset: 0, fisher_weight: batch, gradient_weight: 1 });
    const classes = Number(resolveGraph(graph).at(-1)!.output.channels);
    const logits = await readFloats(gpu, step.bind(tensorRef(findLogits(plan))).buffer);
    const read = {
      logits: rowsFromQuads(logits, batch, classes),
      tally: await counts.tally.read(),
      gradients: await network.readParameters("gradients"),
      fisher: await network.readParameters("fisher"),
      values: await network.readParameters("values"),
    };
    for (const [, buffer] of made) buffer[Symbol.dispose]();
    return read;
  })();
  assertEquals(gpu.allocatedBytes, before, "all that a step allocated is freed");
  return result;
}
