import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError, ShapeError } from "../../src/errors.ts";
import { checkGraphFits, type Graph, parseGraph, resolveGraph } from "../../src/model/graph.ts";
import type { LayerSpec } from "../../src/model/layers/index.ts";
import { shapeText } from "../../src/shape.ts";

const input = { channels: 3, height: 9, width: 7 };
const conv = {
  kind: "conv2d",
  name: "conv",
  outChannels: 5,
  kernel: 3,
  stride: 1,
  padding: 1,
  bias: true,
} as const;
const global = { kind: "globalavgpool2d", name: "global" } as const;
const pool = { kind: "maxpool2d", name: "pool", kernel: 2, stride: 2, padding: 0 } as const;
const norm = { kind: "batchnorm2d", name: "norm", epsilon: 1e-5, momentum: 0.1 } as const;
const flatten = { kind: "flatten", name: "flatten" } as const;
const linear = { kind: "linear", name: "fc", outFeatures: 4, bias: true } as const;

const graphOf = (...layers: readonly LayerSpec[]): Graph => ({ name: "small", input, layers });

Deno.test("parseGraph() fills in what a layer leaves out", () => {
  const value = {
    name: "small",
    input,
    layers: [
      { kind: "conv2d", name: "conv", outChannels: 5, kernel: 3 },
      { kind: "batchnorm2d", name: "norm" },
      { kind: "linear", name: "fc", outFeatures: 4 },
      { kind: "avgpool2d", name: "pool", kernel: 2, stride: 2 },
    ],
  };
  assertEquals(parseGraph(value, "a.json").layers, [
    { ...conv, padding: 0 },
    norm,
    linear,
    { kind: "avgpool2d", name: "pool", kernel: 2, stride: 2, padding: 0 },
  ]);
});

Deno.test("parseGraph() names the file and the key that is wrong", () => {
  const good = { name: "small", input, layers: [conv] };
  const wrong: readonly [unknown, string][] = [
    [null, 'a.json, top level": null, expected an object of keys and values'],
    [{ ...good, layers: [] }, 'a.json, layers": [], expected a list of at least 1'],
    [{ ...good, name: "" }, 'a.json, name": "", expected a text that is not empty'],
    [
      { ...good, input: { ...input, channels: 65 } },
      'input.channels": 65, expected a whole number from 1 to 64',
    ],
    [{ ...good, layers: [{ ...conv, kind: "conv3d" }] }, 'layers.0.kind": "conv3d", expected "conv2d"'],
    [
      { ...good, layers: [{ ...conv, dilated: 2 }] },
      'layers.0.dilated": an unknown key, expected one of kind, name,',
    ],
    [{ ...good, layers: [{ ...conv, dilation: 0 }] }, "a.json, layers.0.dilation"],
    [{ ...good, layers: [{ ...conv, kernel: [3, 2.5] }] }, "from 1 to 65536, or a pair [height, width]"],
    [{ ...good, layers: [{ ...conv, padding: [1] }] }, "a.json, layers.0.padding"],
    [
      { ...good, layers: [conv, { ...linear, outFeatures: 0.5 }] },
      'outFeatures": 0.5, expected a whole number from 1',
    ],
    [{ ...good, layers: [{ ...conv, stride: 0 }] }, "a.json, layers.0.stride"],
    [{ ...good, optimizer: "adam" }, 'a.json, optimizer": an unknown key, expected one of name, input'],
    [{ ...good, layers: [conv, { ...norm, name: "conv" }] }, "two layers named conv"],
  ];
  for (const [value, part] of wrong) {
    const error = assertThrows(() => parseGraph(value, "a.json"), ConfigError, part);
    assertEquals(error.message.includes("\n"), false, error.message);
  }
});

Deno.test("resolveGraph() follows the shapes through every layer", () => {
  const relu = { kind: "relu", name: "relu" } as const;
  const average = { ...pool, kind: "avgpool2d", name: "average", kernel: 3, stride: 1, padding: 1 } as const;
  const strided = { ...conv, name: "strided", stride: 2, padding: 0, bias: false } as const;
  const nodes = resolveGraph(graphOf(conv, norm, relu, average, pool, strided, flatten, linear));
  assertEquals(nodes.map(({ output }) => shapeText(output)), [
    ...["5 x 9 x 7", "5 x 9 x 7", "5 x 9 x 7", "5 x 9 x 7", "5 x 4 x 3"],
    ...["5", "5", "4"],
  ]);
  const parameters = nodes.flatMap(({ parameters }) => parameters);
  assertEquals(parameters.map(({ name, shape }) => `${name} ${shape.join("x")}`), [
    ...["weight 5x3x3x3", "bias 5", "weight 5", "bias 5", "running_mean 5", "running_var 5"],
    ...["weight 5x5x3x3", "weight 4x5", "bias 4"],
  ]);
});

Deno.test("resolveGraph() follows windows that differ along height and width, groups and global pooling", () => {
  const first = { ...conv, outChannels: 6, kernel: [3, 2], stride: [2, 1], padding: [0, 1] } as const;
  const grouped = { ...conv, name: "grouped", outChannels: 9, groups: 3, dilation: [1, 2] } as const;
  const pooled = { ...pool, kernel: [2, 3], stride: [1, 2] } as const;
  const nodes = resolveGraph(graphOf(first, grouped, pooled, global, linear));
  assertEquals(nodes.map(({ output }) => shapeText(output)), [
    "6 x 4 x 8",
    "9 x 4 x 6",
    "9 x 3 x 2",
    "9",
    "4",
  ]);
  const [, { parameters: [weight] }] = nodes;
  assertEquals(weight.shape, [9, 2, 3, 3]);
  // PyTorch's: 1 / sqrt(fan in), of a group's channels.
  assertEquals(weight.initial, { bound: 1 / Math.sqrt(2 * 9) });
});

Deno.test("resolveGraph() refuses a layer that does not fit its input", () => {
  const wrong: readonly [Graph, string][] = [
    [graphOf({ ...conv, kernel: 10 }), 'Cannot apply layer "conv": input 3 x 9 x 7'],
    [graphOf({ ...pool, kernel: 8 }), 'Cannot apply layer "pool": input 3 x 9 x 7'],
    [graphOf({ ...pool, padding: 2 }), "padding 2"],
    // The last window would start behind 7 pixels.
    [graphOf({ ...pool, paddingAfter: [1, 3] }), "padding 0 and 1 x 3 after"],
    [
      graphOf({ ...pool, kernel: [4, 2], padding: [1, 2] }),
      "padding 1 x 2, expected a feature map of at least 4 x 2",
    ],
    [graphOf({ ...conv, kernel: [2, 3], dilation: [12, 1] }), "expected a feature map of at least 13 x 3"],
    [
      graphOf({ ...conv, groups: 2 }),
      'Cannot apply layer "conv": 3 input and 5 output channels, expected multiples',
    ],
    [graphOf({ ...conv, groups: 3 }), "expected multiples of its 3 groups"],
    [graphOf(flatten, global), 'Cannot apply layer "global"'],
    [graphOf(linear), "expected a vector (flatten the map first)"],
    [graphOf(flatten, conv), 'Cannot apply layer "conv"'],
    [graphOf(flatten, pool), 'Cannot apply layer "pool"'],
    [graphOf(flatten, norm), 'Cannot apply layer "norm"'],
  ];
  for (const [graph, part] of wrong) assertThrows(() => resolveGraph(graph), ShapeError, part);
});

Deno.test("resolveGraph() takes a flattened map only into layers that can read one", () => {
  type Fields = Readonly<Record<string, unknown>>;
  const twice = { inputs: ["flatten", "flatten"] }, window = { kernel: 1, stride: 1 };
  const layers: Readonly<Record<LayerSpec["kind"], readonly ["takes" | "refuses", Fields]>> = {
    add: ["takes", twice],
    avgpool2d: ["refuses", window],
    batchnorm2d: ["refuses", {}],
    clip: ["takes", {}],
    concat: ["refuses", twice],
    conv2d: ["refuses", { outChannels: 9, ...window }],
    dropout: ["takes", {}],
    elu: ["takes", {}],
    flatten: ["takes", {}],
    gelu: ["takes", {}],
    globalavgpool2d: ["refuses", {}],
    hardsigmoid: ["takes", {}],
    hardswish: ["takes", {}],
    leakyrelu: ["takes", {}],
    linear: ["takes", { outFeatures: 4 }],
    maxpool2d: ["refuses", window],
    mish: ["takes", {}],
    multiply: ["takes", twice],
    prelu: ["takes", {}],
    relu: ["takes", {}],
    shuffle: ["refuses", { groups: 1 }],
    sigmoid: ["takes", {}],
    silu: ["takes", {}],
    slice: ["refuses", { outChannels: 1 }],
    subsample: ["refuses", { outChannels: 9, stride: 1 }],
    tanh: ["takes", {}],
  };
  for (const [kind, [answer, fields]] of Object.entries(layers)) {
    const layer = { kind, name: "layer", ...fields };
    const graph = parseGraph({ name: "small", input, layers: [flatten, layer] }, "a.json");
    if (answer === "takes") assertEquals(resolveGraph(graph).length, 2);
    else assertThrows(() => resolveGraph(graph), ShapeError, 'Cannot apply layer "layer"');
  }
});

Deno.test("checkGraphFits() refuses other images, and logits that are not a vector of the classes", () => {
  const task = { ...input, name: "pets", classes: ["a", "b", "c", "d"] };
  checkGraphFits(graphOf(flatten, linear), task);
  // One tap: the features of a flattened pixel are a vector as they lie.
  const head = { ...conv, outChannels: 4 } as const;
  checkGraphFits({ ...graphOf(head, flatten), input: { channels: 3, height: 1, width: 1 } }, {
    ...task,
    height: 1,
    width: 1,
  });
  const refuse = (graph: Graph, part: string) =>
    assertThrows(() => checkGraphFits(graph, task), ShapeError, part);
  refuse({ ...graphOf(flatten, linear), input: { ...input, width: 8 } }, "it takes images of 3 x 9 x 8");
  refuse(graphOf(flatten, { ...linear, outFeatures: 5 }), "it gives 5 logits, expected 4");
  // Four numbers, but of two pixels: the loss would read the padding of their quads.
  const map = { ...conv, outChannels: 2, kernel: 6, stride: 2, padding: 0 } as const;
  refuse(graphOf(map), "it gives logits as 2 x 2 x 1");
  refuse(graphOf(map, flatten), "it gives 4 logits as flattened pixels of 2");
});

Deno.test("resolveGraph() finds the layers that others name", () => {
  const graph = graphOf(
    { ...conv, outChannels: 3 },
    { ...norm, inputs: ["input"] },
    { kind: "add", name: "sum", inputs: ["conv", "norm"] },
  );
  assertEquals(resolveGraph(graph).map(({ sources }) => sources), [[-1], [-1], [0, 1]]);
});

Deno.test("resolveGraph() refuses layers that take what is not there, or that nothing takes", () => {
  const wrong: readonly [Graph, string][] = [
    [graphOf({ ...conv, inputs: ["norm"] }, norm), "norm"],
    [graphOf({ ...conv, inputs: ["nowhere"] }), "nowhere"],
    [graphOf({ ...conv, inputs: ["conv"] }), "conv"],
    [graphOf(conv, { ...norm, inputs: ["input", "conv"] }), "2 inputs"],
    [graphOf(conv, { ...norm, inputs: ["input"] }), "layer conv"],
  ];
  for (const [graph, part] of wrong) assertThrows(() => resolveGraph(graph), ConfigError, part);
});

Deno.test("parseGraph() and resolveGraph() take 10,000 layers by name, and no more", () => {
  const relus = (count: number) =>
    Array.from(
      { length: count },
      (_, i) => ({ kind: "relu", name: `r${i}`, inputs: [i ? `r${i - 1}` : "input"] }),
    );
  const nodes = resolveGraph(parseGraph({ name: "deep", input, layers: relus(10_000) }, "a.json"));
  assertEquals([nodes.length, nodes[9_999].sources], [10_000, [9_998]]);
  // Not even looked at.
  const many = { name: "deep", input, layers: Array(10_001).fill(null) };
  assertThrows(
    () => parseGraph(many, "a.json"),
    ConfigError,
    '"a.json": 10001 layers, expected at most 10000',
  );
});

Deno.test("parseGraph() and resolveGraph() bound the sizes of layers before anything is made of them", () => {
  const parse = (layer: object) =>
    parseGraph({ name: "wide", input, layers: [{ name: "a", ...layer }] }, "a.json");
  const fields: readonly (readonly [object, string])[] = [
    [{ kind: "linear", outFeatures: 2 ** 24 + 1 }, "a.json, layers.0.outFeatures"],
    [{ kind: "linear", outFeatures: 1e300 }, "a.json, layers.0.outFeatures"],
    [{ kind: "linear", outFeatures: 2.5 }, "a.json, layers.0.outFeatures"],
    [{ kind: "conv2d", outChannels: 1, kernel: 65_537 }, "layers.0.kernel"],
    [{ kind: "conv2d", outChannels: 1, kernel: 1, dilation: 1e12 }, "layers.0.dilation"],
    [{ kind: "maxpool2d", kernel: 1, stride: 1e9 }, "layers.0.stride"],
    [{ kind: "subsample", outChannels: 4, stride: 1e9 }, "a.json, layers.0.stride"],
    [{ kind: "batchnorm2d", epsilon: 1e-300 }, "a.json, layers.0.epsilon"],
    [{ kind: "batchnorm2d", epsilon: 1e300 }, "a.json, layers.0.epsilon"],
    [{ kind: "leakyrelu", negativeSlope: 1e300 }, "a.json, layers.0.negativeSlope"],
  ];
  for (const [layer, part] of fields) assertThrows(() => parse(layer), ConfigError, part);
  const image = { channels: 3, height: 32, width: 32 };
  const wide = [flatten, { ...linear, name: "wide", outFeatures: 2_000_000 }, linear];
  assertThrows(
    () => resolveGraph({ name: "m", input: image, layers: wide }),
    ShapeError,
    '"m, layer wide": 6146000000 parameters up to this layer, expected at most 2147483648',
  );
  // Many layers that are small each.
  const layers = Array.from({ length: 3000 }, (_, i) => ({ ...linear, name: `fc${i}`, outFeatures: 1000 }));
  assertThrows(
    () => resolveGraph({ name: "m", input: image, layers: [flatten, ...layers] }),
    ShapeError,
    "layer fc2",
  );
  const padded = { ...conv, outChannels: 64, kernel: 1, padding: 60_000 };
  assertThrows(
    () => resolveGraph(graphOf(padded)),
    ShapeError,
    "an output of 64 x 120009 x 120007, expected at most",
  );
});
