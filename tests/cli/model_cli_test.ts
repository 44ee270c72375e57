import { assert, assertEquals, assertMatch } from "@std/assert";
import { encodeModel } from "../../src/io/model_file.ts";
import { presetNetwork } from "../../src/model/presets.ts";
import { runTask } from "../helpers/command.ts";
import { sharedPath } from "../helpers/shared.ts";
import { weightTensors } from "../helpers/weight_files.ts";

Deno.test("model prints a preset's layers and their sums", async () => {
  const { code, stdout, stderr } = await runTask("model", ["resnet20"]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^resnet20: images of 3 x 32 x 32$/m);
  assertMatch(stdout, /^conv1 +conv2d +16 x 32 x 32 +432 +442,368$/m);
  assertMatch(stdout, /^layer2\.0\.add +add +layer2\.0\.bn2, layer2\.0\.shortcut +32 x 16 x 16$/m);
  assertMatch(stdout, /^total +269,722 +40,551,040$/m);
  assertMatch(
    stdout,
    /^268,336 weights that pruning may remove, 0 of them removed, 1,376 running statistics$/m,
  );
});

Deno.test("model --json prints one object, for other images and classes", async () => {
  const { code, stdout } = await runTask("model", ["lenet", "--input=1x28x28", "--classes=7", "--json"]);
  assertEquals(code, 0);
  const { name, input, layers, parameters, removed } = JSON.parse(stdout);
  assertEquals([name, input, layers.length, removed], ["lenet", [1, 28, 28], 12, 0]);
  assertEquals([layers[11].output, parameters], [[7], 61_706 - 3 * 85]);
});

Deno.test("model prints graphs in JSON, and says which layer does not fit", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const graph = presetNetwork("seed", { channels: 3, height: 8, width: 8, classes: 2 });
    await Deno.writeTextFile(`${folder}/net.json`, JSON.stringify(graph));
    const good = await runTask("model", [`${folder}/net.json`]);
    assertMatch(good.stdout, /^fc2 +linear +2 +258 +256$/m);
    const layers = graph.layers.filter(({ kind }) => kind !== "flatten");
    await Deno.writeTextFile(`${folder}/bad.json`, JSON.stringify({ ...graph, layers }));
    const bad = await runTask("model", [`${folder}/bad.json`]);
    assertEquals([bad.code, bad.stdout], [1, ""]);
    assertMatch(bad.stderr, /^error: Cannot apply layer "fc1": input 64 x 2 x 2, expected a vector/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("model counts the weights that a pruned file lacks", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/pruned.safetensors`;
  try {
    const graph = presetNetwork("lenet", { channels: 3, height: 32, width: 32, classes: 10 });
    const model = encodeModel({
      graph,
      parameters: new Map(
        // What the mask removes is 0.
        weightTensors(graph).map((
          { name, values },
        ) => [name, values.fill(0, 0, name === "conv1.weight" ? 37 : 0)]),
      ),
      masks: new Map([["conv1.weight", Float32Array.from({ length: 450 }, (_, i) => i < 37 ? 0 : 1)]]),
      normalization: { mean: [0, 0, 0], std: [1, 1, 1] },
      classes: [],
    });
    await Deno.writeFile(path, model);
    const { stdout } = await runTask("model", [path]);
    assertMatch(
      stdout,
      /^61,770 weights that pruning may remove, 37 of them removed, 0 running statistics$/m,
    );
    const { removed } = JSON.parse((await runTask("model", [path, "--preset=lenet", "--json"])).stdout);
    assertEquals(removed, 37);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const resnet56 = sharedPath("models/resnet56-cifar10.safetensors");
Deno.test("model reads files of PyTorch", { ignore: resnet56 === undefined }, async () => {
  const { stdout } = await runTask("model", [resnet56!]);
  assertMatch(stdout, /^total +853,018 +125,485,696$/m);
});

Deno.test("model refuses nothing, several names, and what it does not know", async () => {
  const wrong: readonly [readonly string[], RegExp][] = [
    [[], /nothing was named, expected one of seed, lenet/],
    [["seed", "lenet"], /2 were named/],
    [["resnet2"], /Cannot open model "resnet2".*"resnet20"/],
    [
      ["seed", "--plan=train", "--groups"],
      /Cannot use "--plan": it is there beside --groups, expected one of --plan and --groups$/,
    ],
    [["seed", "--input=32x32"], /--input/],
    [["seed", "--input=0x32x32"], /--input/],
    [["seed", "--classes=0"], /--classes/],
    [["seed", "--classes=2000000000"], /--classes.*from 1 to 65536/],
    [["seed", "--input=3x2000000x32"], /--input/],
    [["vgg16-cifar", "--input=1x28x28"], /features\.43/],
  ];
  await Promise.all(wrong.map(async ([args, pattern]) => {
    const { code, stdout, errors, stderr } = await runTask("model", args);
    assertEquals([code, stdout, errors.length], [1, "", 1], stderr);
    assertMatch(errors[0], pattern);
    assert(!stderr.includes("    at "));
  }));
});

Deno.test("model --groups prints the channels that go together, and --plan the dispatches of a step", async () => {
  const groups = await runTask("model", ["resnet20", "--groups"]);
  assertEquals([groups.code, groups.stderr], [0, ""]);
  assertMatch(groups.stdout, /^400 groups of channels that go together, in \d+ sets$/m);
  assertMatch(groups.stdout, /^ +16 +layer1\.0\.conv1 +layer1\.0\.conv2\.weight$/m);
  const json = JSON.parse((await runTask("model", ["lenet", "--groups", "--json"])).stdout);
  assertEquals(json.sets.map(({ layers }: { layers: object }) => Object.keys(layers)[0]), [
    "conv1",
    "conv2",
    "fc1",
    "fc2",
  ]);
  assertEquals(json.groups.length, 6 + 16 + 120 + 84);
  const plan = await runTask("model", ["seed", "--plan", "train", "--batch=8"]);
  assertEquals([plan.code, plan.stderr], [0, ""]);
  assertMatch(plan.stdout, /^plan train, batch 8$/m);
  assertMatch(plan.stdout, /^conv2 backward weight: gemm\//m);
  assertMatch(plan.stdout, /^sgd step: /m);
  const evaluation = JSON.parse((await runTask("model", ["seed", "--plan", "evaluate", "--json"])).stdout);
  assertEquals(evaluation.batch, 64);
  assert(
    evaluation.dispatches.length > 5 &&
      !evaluation.dispatches.some(({ label }: { label: string }) => label.includes("backward")),
  );
  const wrong = await runTask("model", ["seed", "--plan", "train", "--batch=0"]);
  assertMatch(wrong.stderr, /^error: Cannot use "--batch": 0, expected a whole number, at least 1/);
});
