import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, FormatError } from "../../src/errors.ts";
import { encodeModel } from "../../src/io/model_file.ts";
import { decodePretrained } from "../../src/io/pretrained.ts";
import { type NewTensor, writeSafetensors } from "../../src/io/safetensors.ts";
import { type Graph, parseGraph } from "../../src/model/graph.ts";
import { lenet, presetNetwork, seedNetwork } from "../../src/model/presets.ts";
import { residualNetwork } from "../../src/model/presets/resnet.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { sharedPath } from "../helpers/shared.ts";
import { weightFile, weightTensors } from "../helpers/weight_files.ts";

const size = { height: 32, width: 32 };
const task = { channels: 3, ...size, classes: 10 };
const small = seedNetwork(task, { conv1: 2, conv2: 3, fc1: 4 });

/** Layers without their names where they have no parameters, since those are free. */
const essence = ({ layers }: Graph) =>
  layers.map(({ name, inputs: _, ...rest }) =>
    ["conv2d", "linear", "batchnorm2d"].includes(rest.kind) ? { name, ...rest } : rest
  );

Deno.test("decodePretrained() recognises every preset by names and shapes", () => {
  for (const name of ["seed", "lenet", "vgg16-cifar", "resnet20", "resnet56", "resnet18-cifar"]) {
    const graph = presetNetwork(name, task);
    const found = decodePretrained(weightFile(graph), { name, size });
    const { parameters, masks, classes, normalization } = found;
    assertEquals(essence(found.graph), essence(graph), name);
    assertEquals([...parameters.keys()], weightTensors(graph).map(({ name }) => name));
    assertEquals([masks.size, classes, normalization === undefined], [0, undefined, !/resnet/.test(name)]);
  }
  const tensors = weightTensors(presetNetwork("resnet20", task));
  const { parameters } = decodePretrained(weightFile(presetNetwork("resnet20", task)), { name: "f", size });
  assertEquals(parameters, new Map(tensors.map(({ name, values }) => [name, values])));
});

Deno.test("decodePretrained() recognises ResNets of other depths, widths, heads and projection names", () => {
  const stages = [{ channels: 5, blocks: 1 }, { channels: 7, blocks: 3 }];
  for (const shortcut of ["pad", "projection"] as const) {
    for (const [head, projection] of [["fc", "shortcut"], ["linear", "downsample"]]) {
      const form = { name: "resnet10", stem: 5, stages, head, shortcut, projection };
      const graph = residualNetwork(form, { ...task, classes: 3 });
      const found = decodePretrained(weightFile(graph), { name: "f", size });
      const suffix = shortcut === "pad" ? "" : "-cifar";
      assertEquals(found.graph, { ...graph, name: `resnet10${suffix}` });
      assertEquals(found.normalization?.mean, [0.485, 0.456, 0.406]);
      const given = decodePretrained(weightFile(graph), { name: "f", size, graph });
      assertEquals(given.normalization, found.normalization);
    }
  }
});

Deno.test("decodePretrained() recognises LeNet-5 on padded digits and chains with batch norm", () => {
  const digits = { channels: 1, height: 28, width: 28, classes: 10 };
  const digitSize = { height: 28, width: 28 };
  assertEquals(
    essence(decodePretrained(weightFile(lenet(digits)), { name: "f", size: digitSize }).graph),
    essence(lenet(digits)),
  );
  const layers = small.layers.flatMap((layer, i) =>
    i === 0 ? [{ ...layer, bias: false }, { kind: "batchnorm2d", name: "bn1" }] : [layer]
  );
  const graph = parseGraph({ ...small, layers }, "a test");
  assertEquals(essence(decodePretrained(weightFile(graph), { name: "f", size }).graph), essence(graph));
});

Deno.test("decodePretrained() recognises features without batch norm, with pooling or none at their end", () => {
  const conv = (name: string, outChannels: number) => ({
    ...{ kind: "conv2d", name, outChannels, kernel: 3, padding: 1 },
  });
  const ends = [[], [{ kind: "maxpool2d", name: "p2", kernel: 2, stride: 2 }]];
  for (const end of ends) {
    const layers = [
      conv("features.0", 2),
      { kind: "relu", name: "r1" },
      conv("features.2", 3),
      { kind: "relu", name: "r2" },
      { kind: "maxpool2d", name: "p1", kernel: 2, stride: 2 },
      conv("features.5", 4),
      { kind: "relu", name: "r3" },
      ...end,
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "classifier.1", outFeatures: 5 },
      { kind: "relu", name: "r4" },
      { kind: "linear", name: "classifier.4", outFeatures: 3 },
    ];
    const graph = parseGraph({ name: "small", input: { channels: 3, ...size }, layers }, "a test");
    assertEquals(essence(decodePretrained(weightFile(graph), { name: "f", size }).graph), essence(graph));
  }
});

Deno.test("decodePretrained() ignores batch counters and wrappers' prefixes", () => {
  const graph = presetNetwork("resnet20", task);
  const counter: NewTensor = {
    name: "bn1.num_batches_tracked",
    dtype: "I32",
    shape: [],
    values: Int32Array.of(7),
  };
  const bytes = weightFile(
    graph,
    (tensors) =>
      [...tensors, counter].map((tensor) => ({ ...tensor, name: `module._orig_mod.${tensor.name}` })),
  );
  assertEquals(
    decodePretrained(bytes, { name: "f", size }),
    decodePretrained(weightFile(graph), { name: "f", size }),
  );
});

Deno.test("decodePretrained() takes names in thousands of wrappers, as many as all names share", () => {
  const inside = (prefix: string) => (tensors: readonly NewTensor[]) =>
    tensors.map((tensor) => ({ ...tensor, name: `${prefix}${tensor.name}` }));
  const file = weightFile(small, inside("module._orig_mod.".repeat(12_000)));
  const plain = decodePretrained(weightFile(small), { name: "f", size });
  assertEquals(decodePretrained(file, { name: "f", size }), plain);
  const uneven = weightFile(
    small,
    (tensors) =>
      tensors.map((tensor, i) => ({ ...tensor, name: `module.${i === 1 ? "module." : ""}${tensor.name}` })),
  );
  const refused = "surplus: module.";
  assertThrows(() => decodePretrained(uneven, { name: "f", size, graph: small }), FormatError, refused);
  // Names are cut where an error lists them.
  const strange = () => decodePretrained(weightFile(small, inside("x".repeat(1e5))), { name: "f", size });
  assert(assertThrows(strange, FormatError).message.length < 1000);
});

Deno.test("decodePretrained() refuses missing, surplus and misshapen tensors by name, a few of each", () => {
  const decode = (change: (tensors: readonly NewTensor[]) => readonly NewTensor[]) => {
    const bytes = weightFile(presetNetwork("resnet20", task), change);
    return () => decodePretrained(bytes, { name: "m.safetensors", size });
  };
  const extra: NewTensor = {
    name: "layer1.0.conv3.weight",
    dtype: "F32",
    shape: [1],
    values: Float32Array.of(0),
  };
  const wanted = ", expected the 97 tensors of model resnet20";
  assertThrows(
    decode((tensors) => tensors.filter(({ name }) => !/layer1\.1\.bn2/.test(name))),
    FormatError,
    'Cannot read model "m.safetensors": missing: layer1.1.bn2.weight, layer1.1.bn2.bias, ' +
      `layer1.1.bn2.running_mean and 1 more${wanted}`,
  );
  assertThrows(
    decode((tensors) => [...tensors, extra]),
    FormatError,
    `: surplus: layer1.0.conv3.weight${wanted}`,
  );
  assertThrows(
    decode((tensors) =>
      tensors.map((tensor) => tensor.name === "bn1.bias" ? { ...tensor, shape: [4, 4] } : tensor)
    ),
    FormatError,
    `: misshapen: bn1.bias (4, 4) in place of (16)${wanted}`,
  );
});

Deno.test("decodePretrained() takes no number with zeros before it, or too long, for the number of a layer", () => {
  const one = (name: string, ...shape: number[]): NewTensor => {
    return {
      name,
      dtype: "F32",
      shape,
      values: new Float32Array(shape.reduce((product, size) => product * size)),
    };
  };
  const files = [
    [
      one("features.0.weight", 1, 1, 3, 3),
      one("features.007.weight", 1, 1, 3, 3),
      one("classifier.weight", 2, 1),
    ],
    [one("features.0.weight", 1, 1, 3, 3), one("features.99999999999999999999999.weight", 1, 1, 3, 3)],
    [one("features.0.weight", 1, 1, 3, 3), one("classifier.01.weight", 2, 1)],
    [one("conv01.weight", 1, 1, 3, 3), one("fc1.weight", 2, 1)],
    [one("conv1.weight", 1, 1, 3, 3), one("fc01.weight", 2, 1)],
    [one("conv1.weight", 1)],
    [one("conv1.weight", 1, 1, 3, 3), one("layer1.0.conv1.weight", 1), one("fc.weight", 2, 1)],
  ];
  for (const tensors of files) {
    const error = assertThrows(() => decodePretrained(writeSafetensors(tensors), { name: "f", size }));
    assert(error instanceof FormatError || error instanceof ConfigError, String(error));
  }
});

Deno.test("decodePretrained() refuses families that it does not know", () => {
  const file = (shapes: Readonly<Record<string, readonly number[]>>) =>
    writeSafetensors(
      Object.entries(shapes).map(([name, shape]) => {
        const count = shape.reduce((product, length) => product * length, 1);
        return { name, dtype: "F32", shape: [...shape], values: new Float32Array(count) };
      }),
    );
  const unknown: readonly [Readonly<Record<string, readonly number[]>>, string][] = [
    [{}, "tensors"],
    [{ "encoder.weight": [2, 2], a: [1], b: [1], c: [1] }, "tensors"],
    // A stem for large images.
    [
      { "conv1.weight": [4, 3, 7, 7], "layer1.0.conv1.weight": [4, 4, 3, 3], "fc.weight": [2, 4] },
      "(4, 3, 7, 7)",
    ],
    [{ "conv1.weight": [4, 3, 3, 3], "layer1.0.conv1.weight": [4, 4, 3, 3] }, "one linear layer"],
    // Convolutions whose map has another size than the linear layer takes, and shapes that are none.
    [{ "conv1.weight": [4, 3, 3, 3], "fc1.weight": [2, 5] }, "32 x 32"],
    [{ "conv1.weight": [4], "fc1.weight": [2, 4] }, "conv1.weight"],
    [{ "conv2.weight": [4, 3, 3, 3], "fc1.weight": [2, 1024] }, "conv2.weight"],
    [
      { "features.0.weight": [4, 3, 3, 3], "features.9.weight": [4, 4, 3, 3], "classifier.weight": [2, 4] },
      "",
    ],
    [
      { "features.0.weight": [4, 3, 3, 3], "features.1.weight": [4, 4, 3, 3], "classifier.weight": [2, 4] },
      "",
    ],
    [{ "features.3.weight": [4, 3, 3, 3], "classifier.weight": [2, 1024] }, ""],
  ];
  for (const [shapes, part] of unknown) {
    const error = assertThrows(() => decodePretrained(file(shapes), { name: "m", size }), FormatError, part);
    assert(error.message.startsWith('Cannot recognise the architecture of "m": '), error.message);
  }
});

Deno.test("decodePretrained() takes a graph that is given, and winnow's own files with their masks", () => {
  const bytes = weightFile(small);
  assertEquals(decodePretrained(bytes, { name: "f", size, graph: small }).graph, small);
  const other = seedNetwork(task, { conv1: 2, conv2: 3, fc1: 5 });
  assertThrows(
    () => decodePretrained(bytes, { name: "f", size, graph: other }),
    FormatError,
    "fc1.weight (4, 192)",
  );
  const { parameters } = decodePretrained(bytes, { name: "f", size });
  const { count } = layOutParameters(small).parameters[0];
  // What a mask removes is 0.
  const conv1 = parameters.get("conv1.weight")!.map((value, i) => i % 2 === 0 ? 0 : value);
  const stored = {
    graph: small,
    parameters: new Map(parameters).set("conv1.weight", conv1),
    masks: new Map([["conv1.weight", Float32Array.from({ length: count }, (_, i) => i % 2)]]),
    normalization: { mean: [0, 0, 0], std: [1, 1, 1] },
    classes: ["a"],
  };
  for (const graph of [undefined, small]) {
    const options = { name: "f", size: { height: 1, width: 1 } };
    assertEquals(decodePretrained(encodeModel(stored), graph ? { ...options, graph } : options), stored);
  }
});

for (const [depth, count] of [[20, 269_722], [56, 853_018]] as const) {
  const path = sharedPath(`models/resnet${depth}-cifar10.safetensors`);
  Deno.test(
    `decodePretrained() reads resnet${depth} of PyTorch`,
    { ignore: path === undefined },
    async () => {
      const { graph, parameters, normalization } = decodePretrained(await Deno.readFile(path!), {
        name: path!,
        size,
      });
      assertEquals(graph, presetNetwork(`resnet${depth}`, task));
      assertEquals([...parameters.keys()].length, 5 * (depth - 1) + 2);
      assertEquals(layOutParameters(graph).count, count);
      assertEquals(normalization?.std, [0.229, 0.224, 0.225]);
    },
  );
}
