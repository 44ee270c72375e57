/**
 * Holds the gradients of whole steps that compare features against the f64 reference, as lower_test.ts does without, on
 * features that several layers read, that lie before pools, and that come out of ReLUs that others apply.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { type Graph, resolveGraph } from "../../src/model/graph.ts";
import { cifarResnetForm, residualNetwork } from "../../src/model/presets/resnet.ts";
import { vgg16 } from "../../src/model/presets/vgg.ts";
import { findFeatureLayer, findFeatureLayers } from "../../src/plan/features.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { countQuads } from "../../src/shape.ts";
import { readPaths } from "../kernels/harness.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor } from "../reference/tensor.ts";
import { graphInput as input, graphs } from "./graphs.ts";
import { referencePass } from "./reference_graph.ts";
import { batch, makeFeatureBuffers, parametersOf, roundingsOf, runStep, teachAt } from "./step.ts";

const conv = { kind: "conv2d", kernel: 3, stride: 1, padding: 1, bias: true } as const;
const stages = [{ channels: 6, blocks: 1 }, { channels: 9, blocks: 1 }];
const residual = residualNetwork(
  { name: "residual network", stem: 6, stages, shortcut: "pad", head: "linear" },
  { ...input, classes: 4 },
);
const pooled: Graph = {
  name: "pooling by halves before the classifier",
  input,
  layers: [
    { ...conv, name: "conv1", outChannels: 6 },
    { kind: "relu", name: "relu1" },
    { kind: "maxpool2d", name: "pool1", kernel: 2, stride: 2, padding: 0 },
    { ...conv, name: "conv2", outChannels: 5 },
    { kind: "relu", name: "relu2" },
    { kind: "maxpool2d", name: "pool2", kernel: 2, stride: 2, padding: 0 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4, bias: true },
  ],
};
const twice: Graph = {
  name: "a ReLU that two classifiers read",
  input,
  layers: [
    { ...conv, name: "conv1", outChannels: 6 },
    { kind: "relu", name: "relu1" },
    { kind: "globalavgpool2d", name: "global" },
    { kind: "linear", name: "fc1", outFeatures: 4, bias: true },
    { kind: "maxpool2d", name: "pool", inputs: ["relu1"], kernel: 2, stride: 2, padding: 0 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc2", outFeatures: 4, bias: true },
    { kind: "add", name: "sum", inputs: ["fc1", "fc2"] },
  ],
};
const layerOf = (graph: Graph) => graph.layers[findFeatureLayer(graph)].name;

Deno.test("findFeatureLayer() is what the last linear layer reads, before pools, dropout and flattening", () => {
  assertEquals([residual, pooled, twice].map(layerOf), ["layer2.0.relu2", "relu2", "relu1"]);
  assertEquals(graphs.map(layerOf), [
    "fc1",
    "relu4",
    "relu4",
    "block3.add",
    "relu4",
    "relu of pixels",
    "tanh",
    "gated",
    "relu4",
    "conv3",
    "relu5",
  ]);
  const layers = pooled.layers.flatMap((layer) =>
    layer.name === "fc" ? [{ kind: "dropout", name: "dropout", p: .5 } as const, layer] : [layer]
  );
  assertEquals(layerOf({ ...pooled, layers }), "relu2");
});

Deno.test("findFeatureLayers() is the last map of each size that all paths go through", () => {
  const stagesOf = (graph: Graph) =>
    findFeatureLayers(graph, "stages").map((layer) => graph.layers[layer].name);
  assertEquals([residual, pooled, twice].map(stagesOf), [
    ["layer1.0.relu2", "layer2.0.relu2"],
    ["relu1", "relu2"],
    ["relu1"],
  ]);
  const task = { channels: 3, height: 32, width: 32, classes: 10 };
  const resnet20 = residualNetwork(cifarResnetForm(20), task);
  assertEquals(stagesOf(resnet20), ["layer1.2.relu2", "layer2.2.relu2", "layer3.2.relu2"]);
  assertEquals(stagesOf(vgg16(task)), [5, 12, 22, 32, 42].map((at) => `features.${at}`));
  for (const graph of [residual, pooled, twice, ...graphs]) {
    const last = findFeatureLayer(graph);
    assertEquals(findFeatureLayers(graph, "last"), [last]);
    assertEquals(findFeatureLayers(graph, "stages").at(-1), last);
  }
});

Deno.test("findFeatureLayer() refuses models without features", () => {
  const linear = { kind: "linear", name: "fc", outFeatures: 4, bias: true } as const;
  const flat = { kind: "flatten", name: "flatten" } as const, relu = { kind: "relu", name: "relu" } as const;
  for (const layers of [[flat, linear], [relu, flat, linear]]) {
    const wanted =
      '"plain": fc reads the images, expected a linear layer that reads what trained layers give';
    assertThrows(() => findFeatureLayer({ name: "plain", input, layers }), ShapeError, wanted);
  }
  const layers = [{ ...conv, name: "conv", outChannels: 4 }, {
    kind: "globalavgpool2d",
    name: "mean",
  }] as const;
  assertThrows(() => findFeatureLayer({ name: "all", input, layers }), ShapeError, '"all": no linear layer');
});

Deno.test("lowerPlan() compares features between distillation and the tally, and before the layer's backward pass", () => {
  const options = { batch, mode: "train", choose: defaultChooser("storage") } as const;
  const kernels = (featureWeight?: number) => {
    const distillation = {
      share: .5,
      temperature: 2,
      ...(featureWeight === undefined ? {} : { featureWeight }),
    };
    return lowerPlan(residual, { ...options, distillation }).dispatches;
  };
  const plain = kernels(), compared = kernels(.5), names = compared.map(({ kernel }) => kernel);
  assertEquals(kernels(0), plain);
  const isOfFeatures = ({ kernel }: { kernel: string }) => kernel.startsWith("loss/feature_");
  assertEquals(compared.filter((dispatch) => !isOfFeatures(dispatch)), plain);
  const at = names.indexOf("loss/feature_distances");
  assertEquals(names.slice(at - 1, at + 3), [
    "loss/distillation",
    "loss/feature_distances",
    "loss/feature_loss",
    "loss/tally",
  ]);
  const gradient = names.indexOf("loss/feature_gradient");
  assertEquals([names[gradient - 1], names[gradient + 1]], [
    "layer/avgpool2d_backward",
    "layer/subsample_backward",
  ]);
});

for (const path of readPaths) {
  const all = [...graphs, residual, pooled, twice];
  const cases = [
    ...all.map((graph) => ({ graph, maps: "last" as const })),
    ...all.map((graph) => ({ graph, maps: "stages" as const }))
      .filter(({ graph, maps }) => findFeatureLayers(graph, maps).length > 1),
  ];
  for (const { graph, maps } of cases) {
    Deno.test(`lowerPlan() trains towards ${maps} features on ${path} as the reference: ${graph.name}`, async () => {
      const images = randomTensor([batch, input.channels, input.height, input.width], 1);
      const labels = Uint32Array.from({ length: 4 * countQuads(batch) }, (_, i) => i % 4);
      const parameters = parametersOf(graph), nodes = resolveGraph(graph);
      const taught = teachAt(nodes, findFeatureLayers(graph, maps, nodes));
      const weight = 1.5, compared = taught.map((one) => ({ ...one, weight: weight / taught.length }));
      const want = referencePass(graph, parameters, {
        images,
        labels: labels.subarray(0, batch),
        trains: true,
        compared,
      });
      const got = await runStep(path, graph, {
        mode: "train",
        ...{ images, labels, parameters },
        // At a share of 0 logits of the teacher say nothing.
        distillation: { share: 0, temperature: 1, featureWeight: weight, featureMaps: maps },
        buffers: {
          "teacher_logits": new Float32Array(4 * batch * countQuads(nodes.at(-1)!.output.channels)),
          ...makeFeatureBuffers(taught),
        },
      });
      const terms = taught.reduce((sum, { teacher }) => sum + teacher.values.length, 0);
      const relative = 2 * F32_ROUNDOFF * (roundingsOf(graph) + 2 * terms);
      const check = (name: string, values: ArrayLike<number>, wanted: ArrayLike<number>) =>
        assertClose(values, wanted, { name, tolerance: relative * Math.max(1e-2, maxAbs(wanted)) });
      check("loss", [got.tally.lossSum / batch], [want.loss]);
      for (const [name, { values }] of Object.entries(want.gradients)) {
        check(`gradient of ${name}`, got.gradients.get(name)!, values);
      }
    });
  }
}
