import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, FormatError } from "../../src/errors.ts";
import { indexText } from "../../src/io/check_values.ts";
import { decodeModel, encodeModel, type StoredModel } from "../../src/io/model_file.ts";
import { readSafetensors, tensorFloats, writeSafetensors } from "../../src/io/safetensors.ts";
import { type Graph, parseGraph } from "../../src/model/graph.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { layOutParameters, placeParameter } from "../../src/plan/layout.ts";
import { linearForward } from "../reference/linear.ts";
import { randomTensor, tensorOf } from "../reference/tensor.ts";

const graph: Graph = {
  name: "small",
  input: { channels: 3, height: 5, width: 4 },
  layers: [
    { kind: "conv2d", name: "conv", outChannels: 5, kernel: 3, stride: 1, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "norm", epsilon: 1e-5, momentum: 0.1 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 3, bias: true },
  ],
};

/** A model whose values and masks follow from a seed. */
function storedModel(of: Graph, seed = 0): StoredModel {
  const { parameters } = layOutParameters(of);
  const isRemoved = (i: number) => (i * 7 + seed) % 5 === 0;
  const values = parameters.map(({ fullName, shape, prunable, min: least = -Infinity }, i) =>
    [
      fullName,
      Float32Array.from(
        randomTensor(shape, seed + i).values,
        (value, place) => prunable && isRemoved(place) ? 0 : Math.max(value, least),
      ),
    ] as const
  );
  const masks = parameters.filter(({ prunable }) => prunable).map(({ fullName, count }) =>
    [fullName, Float32Array.from({ length: count }, (_, i) => isRemoved(i) ? 0 : 1)] as const
  );
  const { channels } = of.input;
  return {
    graph: of,
    parameters: new Map(values),
    masks: new Map(masks),
    normalization: { mean: Array(channels).fill(0.1 + 0.2), std: Array(channels).fill(1 / 3) },
    classes: ["cat", "dog", "größer"],
  };
}

Deno.test("encodeModel() and decodeModel() keep graph, parameters, masks and normalization bit for bit", () => {
  const model = storedModel(graph);
  assertEquals(decodeModel(encodeModel(model), "a"), model);
});

Deno.test("encodeModel() and decodeModel() keep how many examples a model was trained on, which no file need tell", () => {
  const model = { ...storedModel(graph), examples: 5000 };
  const { tensors, metadata } = readSafetensors(encodeModel(model), "a");
  assertEquals(decodeModel(encodeModel(model), "a"), model);
  assertEquals(metadata["winnow.training"], '{"examples":5000}');
  const same = [...tensors].map(([name, { shape }]) => {
    return { name, dtype: "F32" as const, shape: [...shape], values: model.parameters.get(name)! };
  });
  for (
    const wrong of ["5000", "{}", "null", '{"examples":0}', '{"examples":1.5}', '{"examples":"5000"}', "{"]
  ) {
    const bytes = writeSafetensors(same, { ...metadata, "winnow.training": wrong });
    assertThrows(() => decodeModel(bytes, "a.bin"), FormatError, "a.bin, winnow.training", wrong);
  }
});

Deno.test("encodeModel() gives the same bytes for the same model, however its keys are ordered", () => {
  const bytes = encodeModel(storedModel(graph));
  assertEquals(encodeModel(storedModel(graph)), bytes);
  assertEquals(encodeModel(decodeModel(bytes, "a")), bytes);
  const layers = graph.layers.map((layer) => Object.fromEntries(Object.entries(layer).reverse()));
  const reversed = { layers, input: graph.input, name: graph.name } as unknown as Graph;
  assertEquals(encodeModel({ ...storedModel(graph), graph: reversed }), bytes);
  assertEquals(encodeModel(storedModel(graph, 1)) === bytes, false);
});

Deno.test("encodeModel() writes PyTorch's names and shapes for the seed network", () => {
  const seed = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });
  const { tensors, metadata } = readSafetensors(encodeModel(storedModel(seed)), "a");
  const shapes = Object.fromEntries(
    [...tensors].map(([name, { dtype, shape }]) => [name, `${dtype} ${shape}`]),
  );
  assertEquals(shapes, {
    "conv1.weight": "F32 32,3,3,3",
    "conv1.bias": "F32 32",
    "conv2.weight": "F32 64,32,3,3",
    "conv2.bias": "F32 64",
    "fc1.weight": "F32 128,4096",
    "fc1.bias": "F32 128",
    "fc2.weight": "F32 10,128",
    "fc2.bias": "F32 10",
  });
  assertEquals(metadata.format, "pt");
  assertEquals(parseGraph(JSON.parse(metadata["winnow.graph"]), "a"), seed);
});

Deno.test("placeParameter() lays fc's (C, H, W) columns out so that the device's order gives PyTorch's product", () => {
  const flat = { ...graph, layers: graph.layers.slice(2) };
  const layout = layOutParameters(flat), [weight] = layout.parameters;
  const { channels, height, width } = graph.input, area = height * width;
  const image = randomTensor([1, channels * area], 1), values = randomTensor([3, channels * area], 2);
  const arena = new Float32Array(4 * layout.quads);
  placeParameter(weight, values.values, arena);
  // The device multiplies an image as it lies, pixel by pixel with its channels in one quad.
  const lying = Float64Array.from({ length: 4 * area }, (_, i) => {
    const channel = i % 4, pixel = Math.floor(i / 4);
    return channel < channels ? image.values[channel * area + pixel] : NaN;
  });
  const products = [0, 1, 2].map((row) => {
    const weights = arena.subarray(4 * row * area, 4 * (row + 1) * area);
    return weights.reduce((sum, w, i) => w === 0 ? sum : sum + w * lying[i], 0);
  });
  const want = linearForward(image, values, tensorOf([3], [0, 0, 0]));
  for (const [row, product] of products.entries()) {
    assert(
      Math.abs(product - want.values[row]) < 1e-12,
      `row ${row}: ${product}, expected ${want.values[row]}`,
    );
  }
});

Deno.test("decodeModel() takes all weights as kept where a mask is absent", () => {
  const model = storedModel(graph);
  const masks = new Map([...model.masks].slice(1));
  assertEquals([...decodeModel(encodeModel({ ...model, masks }), "a").masks.keys()], ["fc.weight"]);
});

/** The file with some metadata replaced, or taken out where undefined. */
function withMetadata(changes: Readonly<Record<string, string | undefined>>): Uint8Array {
  const { tensors, metadata } = readSafetensors(encodeModel(storedModel(graph)), "a");
  const copies = [...tensors].map(([name, tensor]) =>
    ({ name, dtype: "F32", shape: [...tensor.shape], values: tensorFloats(tensor, name) }) as const
  );
  const kept = Object.entries({ ...metadata, ...changes }).filter(([, text]) => text !== undefined);
  return writeSafetensors(copies, Object.fromEntries(kept) as Record<string, string>);
}

Deno.test("decodeModel() names the file and the metadata that is damaged", () => {
  const wrong: readonly [Readonly<Record<string, string | undefined>>, string][] = [
    [{ "winnow.graph": undefined }, "winnow.graph"],
    [{ "winnow.graph": "{" }, "it is not JSON"],
    [{ "winnow.masks": undefined }, "winnow.masks"],
    [{ "winnow.masks": "null" }, "winnow.masks"],
    [{ "winnow.masks": "[]" }, "winnow.masks"],
    [{ "winnow.masks": '{"conv.weight":"AAAA"}' }, "mask of conv.weight"],
    [{ "winnow.masks": '{"conv.weight":"?"}' }, "mask of conv.weight"],
    [{ "winnow.masks": '{"conv.weight":7}' }, "mask of conv.weight"],
    [{ "winnow.input": undefined }, "winnow.input"],
    [{ "winnow.input": "null" }, "winnow.input"],
    [{ "winnow.input": '{"mean":[0,0],"std":[1,1,1],"classes":[]}' }, "winnow.input"],
    [{ "winnow.input": '{"mean":[0,0,0],"std":[1,1,1],"classes":[1]}' }, "winnow.input"],
    [{ "winnow.masks": '{"stray.weight":"AAAA"}' }, "mask of stray.weight"],
    [{ "winnow.input": '{"mean":[0,0,0],"std":[1,1,1],"classes":["a","a"]}' }, "classes"],
    // What 32 bits cannot hold, and division by nothing.
    [{ "winnow.input": '{"mean":[0,1e300,0],"std":[1,1,1],"classes":["a"]}' }, "mean"],
    [{ "winnow.input": '{"mean":[0,0,0],"std":[1,1e300,1],"classes":["a"]}' }, "std"],
    [{ "winnow.input": '{"mean":[0,0,0],"std":[1,1e-40,1],"classes":["a"]}' }, "std"],
    [{ "winnow.input": '{"mean":[0,0,0],"std":[1,-1,1],"classes":["a"]}' }, "std"],
    [{ "winnow.input": '{"mean":[0,0,0],"std":[1,0,1],"classes":["a"]}' }, "winnow.input"],
  ];
  for (const [changes, part] of wrong) {
    const error = assertThrows(() => decodeModel(withMetadata(changes), "model.bin"), FormatError, part);
    assert(error.message.startsWith('Cannot read model "model.bin, '), error.message);
  }
});

Deno.test("decodeModel() names tensor, index and value where a number is not finite or a variance below 0", () => {
  const { tensors, metadata } = readSafetensors(encodeModel(storedModel(graph)), "a");
  const refuse = (changed: string, { at, value }: { at: number; value: number }, part: string) => {
    const copies = [...tensors].map(([name, tensor]) => {
      const values = tensorFloats(tensor, name);
      if (name === changed) values[at] = value;
      return { name, dtype: "F32", shape: [...tensor.shape], values } as const;
    });
    const bytes = writeSafetensors(copies, metadata);
    assertThrows(() => decodeModel(bytes, "m.safetensors"), FormatError, part);
  };
  // (5, 3, 3, 3): 2 * 27 + 1 * 9 + 0 * 3 + 2.
  refuse(
    "conv.weight",
    { at: 65, value: NaN },
    '"m.safetensors, conv.weight": NaN at its index [2, 1, 0, 2]',
  );
  refuse("fc.bias", { at: 2, value: -Infinity }, '"m.safetensors, fc.bias": -Infinity at its index [2]');
  refuse("norm.running_mean", { at: 0, value: NaN }, 'norm.running_mean": NaN at its index [0]');
  refuse(
    "norm.running_var",
    { at: 4, value: -1e-3 },
    "at its index [4], expected finite numbers, at least 0",
  );
});

Deno.test("encodeModel() and decodeModel() refuse a mask that removes a weight which is not 0", () => {
  const model = storedModel(graph), { shape } = layOutParameters(graph).parameters[0];
  const weight = model.parameters.get("conv.weight")!.slice();
  const removed = model.masks.get("conv.weight")!.indexOf(0, 30);
  weight[removed] = 0.25;
  const wrong = { ...model, parameters: new Map(model.parameters).set("conv.weight", weight) };
  const part = `conv.weight": 0.25 at its index ${indexText(removed, shape)}, expected 0 there`;
  assertThrows(() => encodeModel(wrong), FormatError, part);
  const all = JSON.stringify({ "conv.weight": btoa("\0".repeat(Math.ceil(135 / 8))) });
  assertThrows(
    () => decodeModel(withMetadata({ "winnow.masks": all }), "m"),
    FormatError,
    "where the mask removes the weight",
  );
});

Deno.test("decodeModel() refuses a sparse file whose kept values are not finite, by the whole weight's index", () => {
  const model = storedModel(graph), weight = model.parameters.get("fc.weight")!.slice();
  const kept = model.masks.get("fc.weight")!.indexOf(1, 40);
  weight[kept] = NaN;
  const bytes = encodeModel(
    { ...model, parameters: new Map(model.parameters).set("fc.weight", weight) },
    "sparse",
  );
  assert(readSafetensors(bytes, "a").tensors.has("fc.weight.values"));
  const { shape } = layOutParameters(graph).parameters.find(({ fullName }) => fullName === "fc.weight")!;
  assertThrows(
    () => decodeModel(bytes, "m"),
    FormatError,
    `"m, fc.weight": NaN at its index ${indexText(kept, shape)}`,
  );
});

Deno.test("decodeModel() refuses a graph that is none, and tensors that are not the graph's", () => {
  const decode = (value: unknown) =>
    decodeModel(withMetadata({ "winnow.graph": JSON.stringify(value) }), "model.bin");
  assertThrows(() => decode({ ...graph, layers: [] }), ConfigError, "model.bin, layers");
  const wide = { ...graph.layers[0], outChannels: 6 } as Graph["layers"][number];
  assertThrows(
    () => decode({ ...graph, layers: [wide] }),
    FormatError,
    "conv.weight (5, 3, 3, 3) in place of (6, 3, 3, 3)",
  );
  const more = { kind: "linear", name: "more", outFeatures: 2, bias: true } as const;
  assertThrows(
    () => decode({ ...graph, layers: [...graph.layers, more] }),
    FormatError,
    "missing: more.weight, more.bias, expected the 9 tensors of model small",
  );
  assertThrows(() => decodeModel(new Uint8Array(3), "model.bin"), FormatError, "model.bin");
});
