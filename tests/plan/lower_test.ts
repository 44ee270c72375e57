/**
 * Holds whole steps on the device against the f64 reference, on graphs that take every way in which layers meet: fused
 * and lone ReLUs, views, gates, layers before the first parameter.
 *
 * A gradient is a chain of sums. Each sum of n terms adds a relative error of at most n 2^-24 of its terms' absolute
 * values, so the lengths of all sums on the way, added up, times 2^-24 of the largest value are allowed, twice over for
 * what cancels in batch norm.
 */
import { assert, assertEquals } from "@std/assert";
import { Network } from "../../src/gpu/network.ts";
import { preparePlan } from "../../src/gpu/plan_program.ts";
import { SlotPool } from "../../src/gpu/slots.ts";
import { Tally } from "../../src/gpu/tally.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { imagesToQuads, rowsFromQuads } from "../../src/io/quads.ts";
import type { ReadPath } from "../../src/kernels/assemble.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { type Graph, resolveGraph } from "../../src/model/graph.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { logitsOf } from "../../src/plan/plan.ts";
import { quadsOf } from "../../src/shape.ts";
import { deviceOf } from "../helpers/devices.ts";
import { readPaths } from "../kernels/harness.ts";
import {
  assertClose,
  F32_ROUNDOFF,
  maxAbs,
  randomTensor,
  type RefTensor,
  tensorOf,
} from "../reference/tensor.ts";
import { graphInput as input, graphs } from "./graphs.ts";
import { referencePass, type Tensors } from "./reference_graph.ts";

const batch = 5;

/** Parameters at random, with positive variances, exact in f32. */
function parametersOf(graph: Graph): Tensors {
  const specs = resolveGraph(graph).flatMap(({ spec, parameters }) =>
    parameters.map((parameter) => ({ ...parameter, fullName: `${spec.name}.${parameter.name}` }))
  );
  return Object.fromEntries(specs.map(({ fullName, name, shape }, i) => {
    const tensor = randomTensor(shape, 40 + i, 0.6);
    const isPositive = name === "running_var";
    return [fullName, isPositive ? tensorOf(shape, tensor.values.map((v) => Math.fround(1 + v))) : tensor];
  }));
}

/** The lengths of all sums that a value of a gradient depends on, there and back. */
function roundingsOf(graph: Graph): number {
  const lengths = resolveGraph(graph).map(({ spec, input, output, parameters }) => {
    const weight = parameters.find(({ role }) => role === "weight");
    if (spec.kind === "batchnorm2d") return 4 * batch * input.height * input.width;
    return weight ? weight.taps * weight.channels + batch * output.height * output.width : 2;
  });
  return lengths.reduce((sum, length) => sum + 2 * length, 0);
}

async function runStep(path: ReadPath, graph: Graph, { mode, images, labels, parameters }: {
  readonly mode: "train" | "score" | "evaluate";
  readonly images: RefTensor;
  readonly labels: Uint32Array;
  readonly parameters: Tensors;
}) {
  const gpu = await deviceOf(path), before = gpu.allocatedBytes;
  const result = await (async () => {
    using network = new Network(gpu, graph, 0), slots = new SlotPool(gpu), tally = new Tally(gpu);
    network.writeParameters(
      new Map(Object.entries(parameters).map(([name, { values }]) => [name, Float32Array.from(values)])),
    );
    const counts = gpu.createBuffer("counts", 4 * 64), kept = gpu.createBuffer("kept", 4 * batch);
    const others = new Map([["tally", tally.buffer], ["counts", counts], ["kept", kept]]);
    const plan = lowerPlan(graph, { batch, mode, choose: defaultChooser(path) });
    using step = await preparePlan(plan, { network, slots, others: (name) => others.get(name) });
    step.resolve("x").buffer.write(imagesToQuads(images.values, images.shape));
    step.resolve("labels").buffer.write(labels);
    step.program.run({ count: batch, index: 0, offset: 0, fisher_weight: batch, gradient_weight: 1 });
    const classes = Number(resolveGraph(graph).at(-1)!.output.channels);
    const logits = await readFloats(gpu, step.resolve(logitsOf(plan)).buffer);
    const read = {
      logits: rowsFromQuads(logits, batch, classes),
      tally: await tally.read(),
      gradients: await network.readParameters("gradients"),
      fisher: await network.readParameters("fisher"),
      values: await network.readParameters("values"),
    };
    for (const buffer of [counts, kept]) buffer[Symbol.dispose]();
    return read;
  })();
  assertEquals(gpu.allocatedBytes, before, "all that a step allocated is freed");
  return result;
}

for (const path of readPaths) {
  for (const graph of graphs) {
    for (const mode of ["train", "score", "evaluate"] as const) {
      Deno.test(`lowerPlan() computes ${mode} on ${path} as the reference: ${graph.name}`, async () => {
        const images = randomTensor([batch, input.channels, input.height, input.width], 1);
        const labels = Uint32Array.from({ length: 4 * quadsOf(batch) }, (_, i) => i % 4);
        const parameters = parametersOf(graph);
        const want = referencePass(graph, parameters, {
          images,
          labels: labels.subarray(0, batch),
          trains: mode === "train",
        });
        const got = await runStep(path, graph, { mode, images, labels, parameters });
        const relative = 2 * F32_ROUNDOFF * roundingsOf(graph);
        const check = (name: string, values: ArrayLike<number>, wanted: ArrayLike<number>) =>
          assertClose(values, wanted, { name, tolerance: relative * Math.max(1e-2, maxAbs(wanted)) });
        check("logits", got.logits, want.logits.values);
        check("loss", [got.tally.lossSum / batch], [want.loss]);
        assertEquals(got.tally.badStep, undefined);
        if (mode === "evaluate") return;
        const names = Object.keys(want.gradients);
        assert(names.length >= 7);
        for (const name of names) {
          check(`gradient of ${name}`, got.gradients.get(name)!, want.gradients[name].values);
          if (mode !== "score") continue;
          const squares = want.gradients[name].values.map((g) => batch * g * g);
          check(`Fisher information of ${name}`, got.fisher.get(name)!, squares);
        }
        for (const [name, { values }] of Object.entries(want.statistics)) {
          check(name, got.values.get(name)!, values);
        }
      });
    }
  }
}
