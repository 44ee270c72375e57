import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { ConfigError, ShapeError } from "../../src/errors.ts";
import { checkGraphFits, type Graph, resolveGraph } from "../../src/model/graph.ts";
import { initialValues } from "../../src/model/initialize.ts";
import { lenet, presetNames, presetNetwork, seedNetwork } from "../../src/model/presets.ts";
import { residualNetwork } from "../../src/model/presets/resnet.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { shapeText } from "../../src/shape.ts";

Deno.test("seedNetwork() has 545,098 parameters on 3 x 32 x 32 and 10 classes", () => {
  const graph = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });
  const { parameters, count, prunableCount, statisticsQuads } = layOutParameters(graph);
  assertEquals(parameters.map(({ fullName, shape }) => [fullName, ...shape]), [
    ["conv1.weight", 32, 3, 3, 3],
    ["conv1.bias", 32],
    ["conv2.weight", 64, 32, 3, 3],
    ["conv2.bias", 64],
    ["fc1.weight", 128, 4096],
    ["fc1.bias", 128],
    ["fc2.weight", 10, 128],
    ["fc2.bias", 10],
  ]);
  assertEquals([count, prunableCount, statisticsQuads], [545098, 545098 - 32 - 64 - 128 - 10, 0]);
});

Deno.test("seedNetwork() takes its sizes from the data", () => {
  const graph = seedNetwork({ channels: 1, height: 28, width: 28, classes: 7 }, {
    conv1: 2,
    conv2: 3,
    fc1: 5,
  });
  assertEquals(resolveGraph(graph).map(({ output }) => shapeText(output)), [
    ...["2 x 28 x 28", "2 x 28 x 28", "2 x 14 x 14", "3 x 14 x 14", "3 x 14 x 14", "3 x 7 x 7"],
    ...["147", "5", "5", "7"],
  ]);
});

const cifar = { channels: 3, height: 32, width: 32, classes: 10 };

/** Parameters in all, of convolutions and linear layers, and statistics, as PyTorch counts them. */
function countsOf(graph: Graph): readonly number[] {
  const { parameters, count, prunableCount } = layOutParameters(graph);
  const statistics = parameters.filter(({ arena }) => arena === "statistics");
  return [count, prunableCount, statistics.reduce((sum, parameter) => sum + parameter.count, 0)];
}

Deno.test("presetNetwork() has as many parameters as the networks in PyTorch", () => {
  const wanted: Readonly<Record<string, number>> = {
    seed: 545_098,
    lenet: 62_006,
    "vgg16-cifar": 14_728_266,
    resnet20: 269_722,
    resnet32: 464_154,
    resnet44: 658_586,
    resnet56: 853_018,
    resnet110: 1_727_962,
    "resnet18-cifar": 11_173_962,
  };
  assertEquals(presetNames, Object.keys(wanted));
  for (const name of presetNames) {
    const graph = presetNetwork(name, cifar);
    checkGraphFits(graph, { ...cifar, name, classes: Array.from({ length: 10 }, (_, i) => `${i}`) });
    assertEquals([graph.name, countsOf(graph)[0]], [name, wanted[name]]);
  }
});

Deno.test("presetNetwork() refuses other names", () => {
  assertThrows(
    () => presetNetwork("resnet21", cifar),
    ConfigError,
    'Cannot use preset "resnet21": no preset has that name, expected "resnet20"',
  );
});

Deno.test("lenet() takes 28 pixels with padding, and 32 without", () => {
  const shapes = (size: number, channels: number) =>
    resolveGraph(lenet({ channels, height: size, width: size, classes: 10 }))
      .map(({ output }) => shapeText(output));
  const rest = ["400", "120", "120", "84", "84", "10"];
  for (const [size, channels] of [[28, 1], [32, 3]]) {
    assertEquals(shapes(size, channels), [
      ...["6 x 28 x 28", "6 x 28 x 28", "6 x 14 x 14", "16 x 10 x 10", "16 x 10 x 10", "16 x 5 x 5"],
      ...rest,
    ]);
  }
  assertEquals(countsOf(lenet({ channels: 1, height: 28, width: 28, classes: 10 }))[0], 61_706);
});

Deno.test("presetNetwork() has a resnet20 with halving stages and padded shortcuts", () => {
  const graph = presetNetwork("resnet20", { channels: 1, height: 27, width: 30, classes: 3 });
  const nodes = resolveGraph(graph);
  const at = (name: string) => nodes.find(({ spec }) => spec.name === name)!;
  assertEquals(
    ["layer1.2.relu2", "layer2.0.shortcut", "layer2.0.add", "layer3.0.shortcut", "pool", "linear"].map((
      name,
    ) => shapeText(at(name).output)),
    ["16 x 27 x 30", "32 x 14 x 15", "32 x 14 x 15", "64 x 7 x 8", "64", "3"],
  );
  assertEquals(at("layer1.0.add").spec.inputs, ["layer1.0.bn2", "relu1"]);
  assertEquals(at("layer2.0.add").spec.inputs, ["layer2.0.bn2", "layer2.0.shortcut"]);
  assertEquals(at("layer2.0.shortcut").spec.inputs, ["layer1.2.relu2"]);
});

Deno.test("presetNetwork() has a resnet18-cifar with torchvision's names, projections and no stem pooling", () => {
  const graph = presetNetwork("resnet18-cifar", cifar);
  const { parameters } = layOutParameters(graph);
  const shapes = Object.fromEntries(parameters.map(({ fullName, shape }) => [fullName, `${shape}`]));
  assertEquals(shapes["conv1.weight"], "64,3,3,3");
  assertEquals(shapes["layer2.0.downsample.0.weight"], "128,64,1,1");
  assertEquals(shapes["layer2.0.downsample.1.running_var"], "128");
  assertEquals(shapes["layer4.1.conv2.weight"], "512,512,3,3");
  assertEquals(shapes["fc.weight"], "10,512");
  assertEquals(Object.keys(shapes).filter((name) => name.includes("downsample")).length, 3 * 5);
  const pool = resolveGraph(graph).find(({ spec }) => spec.name === "pool")!;
  assertEquals(shapeText(pool.input), "512 x 4 x 4");
});

Deno.test("residualNetwork() pads channels where a first stage is wider than the stem", () => {
  const form = { name: "wide", stem: 4, stages: [{ channels: 6, blocks: 1 }], head: "fc" } as const;
  const layersOf = (shortcut: "pad" | "projection") =>
    residualNetwork({ ...form, shortcut }, cifar).layers.map(({ name }) => name).join(" ");
  assertEquals(layersOf("pad").includes("layer1.0.shortcut"), true);
  assertEquals(layersOf("projection").includes("layer1.0.downsample.0 layer1.0.downsample.1"), true);
});

Deno.test("presetNetwork() refuses images that are too small for VGG's five poolings", () => {
  assertThrows(
    () => resolveGraph(presetNetwork("vgg16-cifar", { channels: 1, height: 28, width: 28, classes: 10 })),
    ShapeError,
    "features.43",
  );
});

Deno.test("initialValues() gives the same values for a seed and stream, and others for others", () => {
  const spec = {
    name: "weight",
    role: "weight",
    rows: 4,
    taps: 9,
    channels: 3,
    shape: [4, 3, 3, 3],
  } as const;
  const draw = (seed: number, stream: string) =>
    initialValues({ ...spec, initial: { bound: 0.25 } }, { seed, stream });
  assertEquals(draw(1, "a"), draw(1, "a"));
  assertNotEquals(draw(1, "a"), draw(2, "a"));
  assertNotEquals(draw(1, "a"), draw(1, "b"));
});

Deno.test("initialValues() fills the bound evenly, or takes the constant", () => {
  const spec = {
    name: "weight",
    role: "weight",
    rows: 100,
    taps: 9,
    channels: 100,
    shape: [100, 100, 3, 3],
  } as const;
  const values = initialValues({ ...spec, initial: { bound: 1 / 30 } }, { seed: 3, stream: "a" });
  assertEquals(values.length, 90000);
  let sum = 0, squares = 0;
  for (const value of values) {
    assert(Math.abs(value) <= Math.fround(1 / 30), `${value}`);
    sum += value;
    squares += value * value;
  }
  // Six standard deviations of the mean, b / sqrt(3 n), and of the mean square, b^2 sqrt(4 / 45 n).
  assert(Math.abs(sum / 90000) < 6 / 30 / Math.sqrt(3 * 90000));
  assert(Math.abs(squares / 90000 - 1 / 2700) < 6 / 900 * Math.sqrt(4 / 45 / 90000));
  assertEquals([...initialValues({ ...spec, rows: 1, taps: 1, channels: 3, initial: { constant: 1 } }, {
    seed: 0,
    stream: "a",
  })], [1, 1, 1]);
});

Deno.test("presets take a data set, whose classes are named, as they take a number of classes", () => {
  const size = { channels: 3, height: 32, width: 32 }, names = ["cat", "dog", "bird"];
  assert(presetNames.length > 5);
  for (const name of presetNames) {
    assertEquals(
      presetNetwork(name, { ...size, classes: names }),
      presetNetwork(name, { ...size, classes: 3 }),
      name,
    );
  }
});
