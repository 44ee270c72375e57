import { assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { decodePretrained } from "../../src/io/pretrained.ts";
import type { NewTensor } from "../../src/io/safetensors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { type FloatTensor, weightFile, weightTensors } from "../helpers/weight_files.ts";

const size = { height: 4, width: 4 };
const named = (prefix: string) =>
  parseGraph({
    name: "small",
    input: { channels: 1, ...size },
    layers: [
      { kind: "conv2d", name: `${prefix}conv1`, outChannels: 2, kernel: 3, padding: 1 },
      { kind: "relu", name: "relu1" },
      { kind: "maxpool2d", name: "pool1", kernel: 2, stride: 2 },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: `${prefix}fc1`, outFeatures: 3 },
    ],
  }, "a test");
const graph = named("");
const decode = (bytes: Uint8Array, own = graph) =>
  decodePretrained(bytes, { name: "m.safetensors", size, graph: own });

/** The first weight as torch.nn.utils.prune leaves it: every second number is masked. */
function pruned(mask: Partial<FloatTensor> = {}): readonly NewTensor[] {
  const [weight, ...others] = weightTensors(graph);
  const values = weight.values.map((_, i) => i % 2);
  return [
    ...others,
    { ...weight, name: "conv1.weight_orig" },
    { ...weight, name: "conv1.weight_mask", values, ...mask },
  ];
}

Deno.test("decodePretrained() reads weight_orig and weight_mask as a weight whose masked numbers stay zero", () => {
  const { parameters, masks } = decode(weightFile(graph, () => pruned()));
  const [{ values }] = weightTensors(graph);
  assertEquals([...parameters.keys()], ["conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias"]);
  assertEquals(parameters.get("conv1.weight"), values.map((value, i) => value * (i % 2)));
  assertEquals([...masks], [["conv1.weight", values.map((_, i) => i % 2)]]);
  const whole = decode(weightFile(graph, () => pruned({ values: values.map(() => 1) })));
  assertEquals([whole.masks.size, whole.parameters.get("conv1.weight")], [0, values]);
  // The architecture is recognised by the whole names, within a wrapper too.
  const inside = weightFile(
    graph,
    () => pruned().map((tensor) => ({ ...tensor, name: `net.${tensor.name}` })),
  );
  const found = decodePretrained(inside, { name: "m.safetensors", size });
  assertEquals([found.graph.layers[0].name, ...found.masks.keys()], ["conv1", "conv1.weight"]);
});

Deno.test("decodePretrained() refuses a mask that is missing, of another shape, or of other numbers than 0 and 1", () => {
  const refused = (tensors: readonly NewTensor[], message: string) =>
    assertThrows(() => decode(weightFile(graph, () => tensors)), FormatError, message);
  const [weight] = weightTensors(graph);
  refused(pruned().filter(({ name }) => !name.endsWith("_mask")), "there is no conv1.weight_mask");
  refused(pruned().filter(({ name }) => !name.endsWith("_orig")), "surplus: conv1.weight_mask");
  refused([...pruned(), weight], "there is a conv1.weight too");
  refused(pruned({ shape: [18] }), "shape (18), expected (2, 1, 3, 3)");
  refused(
    pruned({ values: weight.values.map((_, i) => i === 4 ? 0.5 : 1) }),
    "0.5 at its index [0, 0, 1, 1], expected 0 or 1",
  );
});

Deno.test("decodePretrained() ignores what a module or a checkpoint puts before all names, and no name of the model", () => {
  const within = (prefix: string, own = graph) =>
    weightFile(own, (tensors) => tensors.map((tensor) => ({ ...tensor, name: `${prefix}${tensor.name}` })));
  const plain = decode(weightFile(graph));
  for (const prefix of ["model.", "net.", "module.", "state_dict.", "state_dict.module.net."]) {
    assertEquals(decode(within(prefix)), plain);
    assertEquals([...decodePretrained(within(prefix), { name: "f", size }).parameters], [
      ...plain.parameters,
    ]);
  }
  // A model whose own names begin so.
  const own = named("net.");
  assertEquals([...decode(weightFile(own), own).parameters.keys()][0], "net.conv1.weight");
  assertEquals([...decode(within("module.", own), own).parameters.keys()][0], "net.conv1.weight");
});
