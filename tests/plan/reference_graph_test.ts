/** Holds the reference of whole graphs against central differences of its loss, where layers branch and meet. */
import { assertEquals } from "@std/assert";
import { type Graph, resolveGraph } from "../../src/model/graph.ts";
import { assertGradient } from "../reference/finite_difference.ts";
import { randomTensor, tensorOf } from "../reference/tensor.ts";
import { referencePass, type Tensors } from "./reference_graph.ts";

const conv = { kind: "conv2d", kernel: 3, stride: 1, padding: 1, bias: false } as const;
const norm = { kind: "batchnorm2d", epsilon: 1e-3, momentum: 0.3 } as const;

const graph: Graph = {
  name: "residual blocks, a tensor of three readers, one input twice",
  input: { channels: 2, height: 6, width: 5 },
  layers: [
    { ...conv, name: "stem", outChannels: 3 },
    { ...norm, name: "stem norm" },
    { ...conv, name: "a1", outChannels: 4, stride: 2 },
    { ...norm, name: "a2" },
    { kind: "silu", name: "a3" },
    { kind: "subsample", name: "shortcut", inputs: ["stem norm"], outChannels: 4, stride: 2 },
    { kind: "add", name: "a", inputs: ["a3", "shortcut"] },
    { ...conv, name: "b1", outChannels: 4, inputs: ["a"] },
    { ...conv, name: "b2", outChannels: 4, inputs: ["a"] },
    { kind: "add", name: "b", inputs: ["a", "b1", "b2", "b1"] },
    { kind: "concat", name: "join", inputs: ["b", "shortcut", "b", "a1"] },
    { kind: "avgpool2d", name: "pool", kernel: 2, stride: 1, padding: 0 },
    { kind: "gelu", name: "gelu", approximate: "none" },
    { kind: "gelu", name: "gelu by tanh", approximate: "tanh" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 3, bias: true },
  ],
};

Deno.test("referencePass() gives the gradients of its loss", () => {
  const parameters: Tensors = Object.fromEntries(
    resolveGraph(graph).flatMap(({ spec, parameters }) =>
      parameters.map(({ name, shape }) => [`${spec.name}.${name}`, shape, name] as const)
    ).map(([fullName, shape, name], i) => {
      const { values } = randomTensor(shape, 10 + i, 0.6);
      return [fullName, tensorOf(shape, name === "running_var" ? values.map((value) => 1 + value) : values)];
    }),
  );
  const images = randomTensor([3, 2, 6, 5], 1), labels = [0, 2, 1];
  for (const trains of [true, false]) {
    const pass = () => referencePass(graph, parameters, { images, labels, trains });
    const { gradients } = pass();
    assertEquals(Object.keys(gradients).length, 10);
    for (const [name, gradient] of Object.entries(gradients)) {
      assertGradient(() => pass().loss, parameters[name], gradient, { name });
    }
  }
});
