/** Choosing a layer's weights by what its outputs lose, held against f64. */
import assert from "node:assert/strict";
import { FeatureExamples } from "../../src/gpu/examples.ts";
import { Network } from "../../src/gpu/network.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { refitKept } from "../../src/prune/refit/prune_with_refit.ts";
import { countsBetween, keepStrongest } from "../../src/prune/refit/select_by_obs.ts";
import { deviceOf } from "../helpers/devices.ts";
import { imagesToQuads } from "../kernels/harness.ts";
import { referenceOutputs, type Tensors } from "../plan/reference_graph.ts";
import { channelRows, patchRows, refitRows } from "../reference/refit.ts";
import { randomTensor, tensorOf } from "../reference/tensor.ts";
import { caseParameters, refitCases } from "./refit_network_reference.ts";

Deno.test("countsBetween() shrinks by the same share, and ends at the goal", () => {
  assert.deepEqual(countsBetween(1000, 125, 3), [500, 250, 125]);
  assert.deepEqual(countsBetween(10, 9, 1), [9]);
});

Deno.test("keepStrongest() keeps what costs most among what is there, each row's errors by its scale", () => {
  const mask = Float32Array.of(1, 1, 0, 1, 1, 1), signals = Float32Array.of(1, 3, 9, 2, 1, 3);
  const chosen = keepStrongest({ mask, signals, rowScales: Float32Array.of(1, -2), keep: 3 });
  assert.deepEqual([...chosen], [0, 1, 0, 1, 0, 1]);
  const ties = keepStrongest({ mask, signals: mask, rowScales: Float32Array.of(1, 1), keep: 2 });
  assert.deepEqual([...ties], [0, 0, 0, 0, 1, 1], "the lowest places go first");
});

Deno.test("refitKept() with steps of selection removes as many weights a layer, the first layer's as in f64", async () => {
  const gpu = await deviceOf(), { graph } = refitCases[0], layout = layOutParameters(graph);
  const images = randomTensor([23, 5, 6, 5], 7), dense = caseParameters(layout.parameters, 3);
  const first: Tensors = {};
  const masks: Tensors = Object.fromEntries(
    layout.parameters.filter(({ prunable }) => prunable).map(({ fullName, shape }, i) => {
      const { values } = randomTensor(shape, 900 + i);
      // Some weights are removed before already.
      first[fullName] = tensorOf(shape, values.map((value) => value > -0.8 ? 1 : 0));
      const kept = dense[fullName].values.map((value, i) => first[fullName].values[i] * value);
      dense[fullName] = tensorOf(shape, kept);
      return [fullName, tensorOf(shape, values.map((value) => value > 0 ? 1 : 0))];
    }),
  );
  const floats = (tensors: Tensors) =>
    new Map(Object.entries(tensors).map(([name, { values }]) => [name, Float32Array.from(values)]));
  const bytesBefore = gpu.allocatedBytes, network = new Network(gpu, graph, 0);
  network.writeParameters(floats(dense));
  network.writeMask(floats(first));
  const examples = new FeatureExamples(imagesToQuads(images.values, images.shape), new Uint32Array(23), 64);
  await refitKept(network, examples, {
    images: 23,
    batch: 10,
    damping: 0.3,
    selectionSteps: 3,
    mask: () => network.writeMask(floats(masks)),
  });
  const chosen = await network.readParameters("mask"), parameters = await network.readParameters();
  network[Symbol.dispose]();
  assert.equal(gpu.allocatedBytes, bytesBefore, "memory is freed");
  const count = (mask: ArrayLike<number>) => Array.from(mask).reduce((sum, keep) => sum + keep, 0);
  for (const [name, { values }] of Object.entries(masks)) {
    const mask = chosen.get(name)!;
    assert.equal(count(mask), count(values), `${name} keeps as many`);
    assert(parameters.get(name)!.every((value, i) => mask[i] === 1 || value === 0), `${name} is masked`);
  }
  const all = Uint32Array.from({ length: 23 * 30 }, (_, place) => place);
  const u = patchRows(images, all, { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] });
  const t = channelRows(referenceOutputs(graph, dense, images).get("conv1")!, all);
  const keep = count(masks["conv1.weight"].values), before = count(first["conv1.weight"].values);
  let mask = first["conv1.weight"];
  for (const share of [1 / 3, 2 / 3, 1]) {
    const { rows } = refitRows({ u, t, dense: dense["conv1.weight"], mask, damping: 0.3 });
    const costs = rows.flatMap(({ support, weights, inverse }, r) =>
      support.map((column, a) => {
        const alpha = dense["bn1.weight"].values[r] / Math.sqrt(dense["bn1.running_var"].values[r] + 1e-3);
        const signal = Math.abs(weights[a]) / Math.sqrt(inverse.values[a * support.length + a]);
        return { place: 45 * r + column, cost: alpha * signal };
      })
    ).sort((a, b) => b.cost - a.cost);
    const left = new Float64Array(270);
    for (const { place } of costs.slice(0, Math.round(before * (keep / before) ** share))) left[place] = 1;
    mask = tensorOf([6, 45], left);
  }
  assert.deepEqual([...chosen.get("conv1.weight")!], [...mask.values]);
});
