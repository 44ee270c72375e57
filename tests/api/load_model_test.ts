import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { loadModel, type ModelSource, openModel } from "../../src/api/load_model.ts";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import { ConfigError, FileError, FormatError, ShapeError } from "../../src/errors.ts";
import { countClasses, parseGraph } from "../../src/model/graph.ts";
import { replaceHead } from "../../src/model/new_head.ts";
import { describeLoadedModel } from "../../src/text/model.ts";
import { presetNetwork } from "../../src/model/presets.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { weightFile, weightTensors } from "../helpers/weight_files.ts";

const dataset = tinyDataset();
const task = { channels: 1, height: 8, width: 8, classes: 4 };

const files = memoryFiles({
  "net.json": JSON.stringify(tinyGraph()),
  "damaged.json": "{",
  "weights.safetensors": weightFile(tinyGraph()),
  "resnet20.safetensors": weightFile(presetNetwork("resnet20", { ...task, channels: 3 })),
  "empty.safetensors": "",
});
const load = (source: ModelSource) => loadModel(source, { files, task: dataset });

Deno.test("loadModel() opens presets and graphs without weights", async () => {
  assertEquals(await load({ model: "seed" }), {
    graph: presetNetwork("seed", task),
    normalizedBy: "data set",
  });
  assertEquals(await load({ model: "net.json" }), { graph: tinyGraph(), normalizedBy: "data set" });
});

Deno.test("loadModel() opens weights by names, by a preset, and beside a graph or preset", async () => {
  const parameters = new Map(weightTensors(tinyGraph()).map(({ name, values }) => [name, values]));
  for (
    const source of [{ model: "weights.safetensors" }, { model: "net.json", weights: "weights.safetensors" }]
  ) {
    const { weights, normalization, classes } = await load(source);
    assertEquals([weights, normalization, classes], [{ parameters, masks: new Map() }, undefined, undefined]);
  }
  const colour = { ...dataset, channels: 3 };
  const open = (source: ModelSource) => loadModel(source, { files, task: colour });
  const recognized = await open({ model: "resnet20.safetensors" });
  assertEquals(recognized.normalizedBy, "family");
  for (
    const source of [
      { model: "resnet20.safetensors", preset: "resnet20" },
      { model: "resnet20", weights: "resnet20.safetensors" },
    ]
  ) {
    const { graph, weights } = await open(source);
    assertEquals([graph, weights], [recognized.graph, recognized.weights]);
  }
});

Deno.test("loadModel() gives a network other classes by a new last layer, whose weights come from a seed", async () => {
  const open = (source: Partial<ModelSource>) =>
    load({ model: "net.json", weights: "weights.safetensors", ...source });
  const plain = await open({}), count = countClasses(plain.graph);
  assertEquals(await open({ classes: count }), plain);
  const { graph, weights, newHead } = await open({ classes: 7 });
  assertEquals(countClasses(graph), 7);
  const layer = graph.layers.at(-1)!.name;
  assertEquals(newHead, { layer, before: count });
  assertEquals(graph.layers.slice(0, -1), plain.graph.layers.slice(0, -1));
  const isHead = (name: string) => name.startsWith(`${layer}.`);
  const kept = (parameters: ReadonlyMap<string, Float32Array>) =>
    [...parameters].filter(([name]) => !isHead(name));
  assertEquals(kept(weights!.parameters), kept(plain.weights!.parameters));
  // It is what a network of 7 classes starts from.
  using fresh = new Model(await deviceOf(), graph, {
    task: { ...dataset, classes: [..."abcdefg"] },
    seed: 5,
  });
  const first = (await fresh.state()).parameters,
    drawn = (await open({ classes: 7, seed: 5 })).weights!.parameters;
  const heads = [...first.keys()].filter(isHead);
  assertEquals(heads.length, 2);
  for (const name of heads) assertEquals(drawn.get(name), first.get(name));
  assertNotEquals(drawn.get(heads[0]), weights!.parameters.get(heads[0]));
  assertEquals(
    describeLoadedModel(await open({ classes: 7 }), { ...dataset, classes: [..."abcdefg"] })[1],
    `its last layer ${layer} is new: 7 classes in place of ${count}, random weights`,
  );
  // A graph and a preset have no weights yet.
  assertEquals(countClasses((await load({ model: "net.json", classes: 3 })).graph), 3);
});

Deno.test("replaceHead() finds the layer that gives the logits, and refuses a network of none", () => {
  const conv = { kind: "conv2d", name: "a", outChannels: 4, kernel: 1 };
  const net = (...layers: readonly Record<string, unknown>[]) =>
    parseGraph({ name: "net", input: { channels: 2, height: 4, width: 4 }, layers }, "a test");
  const pool = { kind: "globalavgpool2d", name: "pool" };
  // As in SqueezeNet.
  const squeezed = replaceHead(net(conv, { kind: "relu", name: "r" }, pool), 9)!;
  assertEquals([squeezed.layer, squeezed.before, countClasses(squeezed.graph)], ["a", 4, 9]);
  const refused = [
    net(conv, { kind: "flatten", name: "flat" }),
    net({ ...conv, groups: 2 }, pool),
    net(conv, pool, { kind: "batchnorm2d", name: "bn" }),
    net(
      conv,
      { ...conv, name: "b", inputs: ["input"] },
      { kind: "add", name: "sum", inputs: ["a", "b"] },
      pool,
    ),
    net(pool),
  ];
  for (const graph of refused) assertThrows(() => replaceHead(graph, 9), ShapeError, "change the classes of");
});

Deno.test("loadModel() takes a mean and deviation before the file's, and the file's before the family's", async () => {
  const given = { mean: [0.5], std: [0.25] };
  const { normalization, normalizedBy } = await load({ model: "weights.safetensors", ...given });
  assertEquals([normalization, normalizedBy], [given, "options"]);
  using model = openModel(await deviceOf(), await load({ model: "net.json", ...given }), { task: dataset });
  assertEquals([model.task.mean, model.task.std], [[0.5], [0.25]]);
  await model.save("own.safetensors", files);
  const own = await load({ model: "own.safetensors" });
  assertEquals([own.normalization, own.normalizedBy, own.classes], [given, "file", dataset.classes]);
});

Deno.test("openModel() evaluates the weights of a file, and random ones by the seed", async () => {
  const gpu = await deviceOf();
  using model = openModel(gpu, await load({ model: "weights.safetensors" }), { task: dataset });
  using same = new Model(gpu, tinyGraph(), { task: dataset });
  getCore(same).network.writeParameters(
    new Map(weightTensors(tinyGraph()).map(({ name, values }) => [name, values])),
  );
  assertEquals(await model.evaluate(dataset.test), await same.evaluate(dataset.test));
  using first = openModel(gpu, await load({ model: "net.json" }), { task: dataset, seed: 3 });
  using second = new Model(gpu, tinyGraph(), { task: dataset, seed: 3 });
  assertEquals(await first.state(), await second.state());
});

Deno.test("loadModel() refuses what contradicts itself, is absent or does not fit", async () => {
  const wrong: readonly [ModelSource, new (...args: never[]) => Error, string][] = [
    [
      { model: "lenett" },
      ConfigError,
      'Cannot open model "lenett": it is no preset and no file, expected "lenet"',
    ],
    [{ model: "absent.json" }, FileError, "absent.json"],
    [{ model: "damaged.json" }, FormatError, "damaged.json"],
    [{ model: "empty.safetensors" }, FormatError, "empty.safetensors"],
    [{ model: "seed", preset: "seed" }, ConfigError, 'Cannot use "preset": "seed"'],
    [{ model: "weights.safetensors", weights: "a" }, ConfigError, 'Cannot use "weights": "a"'],
    [{ model: "weights.safetensors", preset: "sede" }, ConfigError, 'Cannot use preset "sede"'],
    [{ model: "weights.safetensors", preset: "seed" }, FormatError, "misshapen: conv1.weight"],
    [{ model: "seed", weights: "weights.safetensors" }, FormatError, "misshapen: conv1.weight"],
    [{ model: "seed", mean: [0.5] }, ShapeError, 'Cannot normalise by "std": it is missing'],
    [{ model: "seed", std: [0.5] }, ShapeError, 'Cannot normalise by "mean": it is missing'],
    [{ model: "seed", mean: [1, 2], std: [1] }, ShapeError, "[1, 2], expected 1 number for the channel"],
    [
      { model: "seed", mean: [1], std: [0] },
      ShapeError,
      "[0], expected 1 number for the channel, from 0.000001",
    ],
    [{ model: "seed", mean: [1e300], std: [1] }, ShapeError, '"mean": [1e+300]'],
    [{ model: "seed", mean: [0], std: [1e-300] }, ShapeError, '"std": [1e-300]'],
    [{ model: "seed", mean: [0], std: [NaN] }, ShapeError, '"std": [NaN]'],
  ];
  for (const [source, kind, part] of wrong) await assertRejects(() => load(source), kind, part);
});

Deno.test("openModel() refuses a task that the file does not fit, and keeps no memory", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const loaded = await load({ model: "weights.safetensors" });
  assertThrows(() => openModel(gpu, loaded, { task: { ...dataset, channels: 3 } }), ShapeError, "1 x 8 x 8");
  assert(gpu.allocatedBytes === start);
});
