/**
 * Holds the gradients of whole steps that reconstruct a teacher's layer outputs against the f64 reference: over the whole
 * network, and over each part of it alone.
 */
import { assert, assertEquals } from "@std/assert";
import { resolveGraph } from "../../src/model/graph.ts";
import { cifarResnetForm, residualNetwork } from "../../src/model/presets/resnet.ts";
import { vgg16 } from "../../src/model/presets/vgg.ts";
import { findReconstructedLayers, findReconstructedParts } from "../../src/plan/reconstruction.ts";
import { countQuads } from "../../src/shape.ts";
import { readPaths } from "../kernels/harness.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor } from "../reference/tensor.ts";
import { graphInput as input, graphs } from "./graphs.ts";
import { referencePass } from "./reference_graph.ts";
import { batch, makeFeatureBuffers, parametersOf, roundingsOf, runStep, teachAt } from "./step.ts";

const residual = residualNetwork(
  {
    name: "residual network",
    stem: 6,
    stages: [{ channels: 6, blocks: 2 }, { channels: 9, blocks: 1 }],
    shortcut: "pad",
    head: "linear",
  },
  { ...input, classes: 4 },
);

Deno.test("reconstructedLayers() are the last map of each size that all paths go through, and the logits", () => {
  const task = { channels: 3, height: 32, width: 32, classes: 10 };
  const namesOf = (graph: typeof residual) =>
    findReconstructedLayers(resolveGraph(graph)).map((layer) => graph.layers[layer].name);
  assertEquals(namesOf(residualNetwork(cifarResnetForm(20), task)), [
    "layer1.2.relu2",
    "layer2.2.relu2",
    "layer3.2.relu2",
    "linear",
  ]);
  assertEquals(namesOf(vgg16(task)).slice(0, 5), [5, 12, 22, 32, 42].map((at) => `features.${at}`));
  for (const graph of graphs) assertEquals(namesOf(graph).at(-1), graph.layers.at(-1)!.name);
});

for (const path of readPaths) {
  for (const graph of [...graphs, residual]) {
    const nodes = resolveGraph(graph), whole = findReconstructedLayers(nodes);
    for (const reconstruction of [{ layers: whole, first: 0 }, ...findReconstructedParts(nodes, whole)]) {
      const { layers, first } = reconstruction, end = layers.at(-1)!;
      const names = nodes.map(({ spec: { name } }) => name);
      Deno.test(`lowerPlan() reconstructs ${names[first]} to ${names[end]} on ${path} as the reference: ${graph.name}`, async () => {
        const images = randomTensor([batch, input.channels, input.height, input.width], 1);
        const parameters = parametersOf(graph), taught = teachAt(nodes, layers);
        const want = referencePass(graph, parameters, {
          images,
          labels: undefined,
          trains: false,
          compared: taught.map((one) => ({ ...one, weight: 1 })),
        });
        const got = await runStep(path, graph, {
          mode: "train",
          ...{ images, parameters, reconstruction },
          // Labels of classes that there are not: nothing may read them.
          labels: new Uint32Array(4 * countQuads(batch)).fill(1e9),
          buffers: makeFeatureBuffers(taught),
        });
        const terms = taught.reduce((sum, { teacher }) => sum + teacher.values.length, 0);
        const relative = 2 * F32_ROUNDOFF * (roundingsOf(graph) + 2 * terms);
        const check = (name: string, values: ArrayLike<number>, wanted: ArrayLike<number>) =>
          assertClose(values, wanted, { name, tolerance: relative * Math.max(1e-2, maxAbs(wanted)) });
        check("loss", [got.tally.lossSum / batch], [want.loss]);
        assertEquals([got.tally.correct, got.tally.count, got.tally.bad], [0, batch, undefined]);
        const isOwn = (name: string) => {
          const at = names.indexOf(name.slice(0, name.lastIndexOf(".")));
          return at >= first && at <= end;
        };
        const all = Object.keys(want.gradients), own = all.filter(isOwn);
        for (const name of own) {
          check(`gradient of ${name}`, got.gradients.get(name)!, want.gradients[name].values);
        }
        assert(own.some((name) => maxAbs(want.gradients[name].values) > 0));
        const others = all.filter((name) => !isOwn(name)).map((name) => got.gradients.get(name)!);
        assertEquals(others.map(maxAbs), others.map(() => 0), "no gradient of other parts");
        const statistics = Object.keys(parameters).filter((name) => name.includes("running"));
        assertEquals(
          statistics.map((name) => got.values.get(name)),
          statistics.map((name) => Float32Array.from(parameters[name].values)),
        );
      });
    }
  }
}
