/**
 * Readers of files under damage: whatever stands in a file, they read it or refuse it by an error that users can act on,
 * and what they read is whole. The damage follows from a seed.
 */
import { assert, assertEquals } from "@std/assert";
import { readCifar10 } from "../src/data/cifar10.ts";
import { readIdx } from "../src/data/idx.ts";
import { parseShardIndex } from "../src/data/shards.ts";
import { parseRunConfig } from "../src/config/config.ts";
import { configOf } from "./helpers/config.ts";
import { isWinnowError } from "../src/errors.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../src/io/checkpoint.ts";
import { seal } from "../src/io/checksum.ts";
import { decodeModel, encodeModel } from "../src/io/model_file.ts";
import { decodePretrained } from "../src/io/pretrained.ts";
import { type NewTensor, writeSafetensors } from "../src/io/safetensors.ts";
import { parseJson } from "../src/json.ts";
import { readChoices } from "../src/kernels/product_choices.ts";
import { type Graph, parseGraph, resolveGraph } from "../src/model/graph.ts";
import { layOutParameters } from "../src/plan/layout.ts";
import { openRandomStream, type RandomStream } from "../src/random.ts";
import { tinyIdx } from "./helpers/idx_files.ts";
import { memoryFiles } from "./helpers/memory_files.ts";
import { shardFiles } from "./helpers/shard_files.ts";
import { tinyDataset } from "./helpers/tiny_dataset.ts";
import { weightFile } from "./helpers/weight_files.ts";

const graph: Graph = parseGraph({
  name: "small",
  input: { channels: 2, height: 4, width: 4 },
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 3, kernel: 3, padding: 1 },
    { kind: "batchnorm2d", name: "bn1" },
    { kind: "relu", name: "relu1" },
    { kind: "add", name: "sum", inputs: ["relu1", "bn1"] },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 3 },
  ],
}, "a test");

/** What replaces a value of JSON. */
const strange: readonly string[] = [
  ...[
    "-1",
    "0",
    "1e300",
    "-0",
    "2.5",
    "4294967296",
    "9007199254740993",
    "1e-300",
    "null",
    "true",
    '""',
    "[]",
    "{}",
  ],
  ...[
    '"__proto__"',
    '"constructor"',
    '"\\ud800"',
    '"\\u0000"',
    "[[[]]]",
    '{"__proto__":1}',
    '"NaN"',
    "NaN",
    "-Infinity",
  ],
  "[".repeat(5000) + "]".repeat(5000),
];

function below(random: RandomStream, count: number): number {
  return random.nextUint32() % count;
}

/** Changes some bytes, cuts, doubles or moves a part. */
function damageBytes(bytes: Uint8Array, random: RandomStream): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes), at = below(random, copy.length);
  switch (below(random, 5)) {
    case 0:
      return copy.slice(0, at);
    case 1: {
      const length = below(random, 64);
      return Uint8Array.from([
        ...copy.slice(0, at),
        ...copy.slice(Math.max(0, at - length)),
        ...copy.slice(at),
      ]);
    }
    case 2:
      return copy.fill([0, 0x7f, 0xff][below(random, 3)], at, at + 1 + below(random, 8));
    case 3:
      for (let i = 0; i < 4; i++) copy[below(random, copy.length)] = random.nextUint32();
      return copy;
    default:
      copy[at % Math.min(copy.length, 16)] = random.nextUint32();
      return copy;
  }
}

/** Replaces a value or key of a JSON text, or repeats a part of it. */
function damageJson(text: string, random: RandomStream): string {
  const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*|true|false|null/g)];
  const { 0: token, index } = tokens[below(random, tokens.length)];
  const other = below(random, 4) === 0
    ? tokens[below(random, tokens.length)][0]
    : strange[below(random, strange.length)];
  return text.slice(0, index) + other + text.slice(index + token.length);
}

/** Runs a reader on damaged files; returns how many it read and how many it refused. */
async function fuzz(
  name: string,
  rounds: number,
  read: (random: RandomStream) => unknown,
): Promise<{ readonly taken: number; readonly refused: number }> {
  let taken = 0, refused = 0;
  for (let round = 0; round < rounds; round++) {
    try {
      await read(openRandomStream(round, name));
      taken++;
    } catch (error) {
      if (!isWinnowError(error)) throw new Error(`round ${round} of ${name}`, { cause: error });
      assert(error.message.length < 3000, `round ${round} of ${name}: ${error.message.length} characters`);
      refused++;
    }
  }
  return { taken, refused };
}

/** A safetensors file with its header's JSON damaged, and its length right. */
function damageHeader(file: Uint8Array, random: RandomStream): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(8, 8 + length));
  const header = new TextEncoder().encode(damageJson(text, random));
  const changed = new Uint8Array(8 + header.length + file.length - 8 - length);
  new DataView(changed.buffer).setBigUint64(0, BigInt(header.length), true);
  changed.set(header, 8);
  changed.set(file.subarray(8 + length), 8 + header.length);
  return changed;
}

/** Half the time bytes, half the time the header. */
const damageFile = (file: Uint8Array, random: RandomStream) =>
  below(random, 2) === 0 ? damageBytes(file, random) : damageHeader(file, random);

function modelFile(store: "dense" | "sparse"): Uint8Array {
  const { parameters } = layOutParameters(graph);
  const isRemoved = (i: number) => i % 2 === 1;
  return encodeModel({
    graph,
    parameters: new Map(
      parameters.map(({ fullName, count, prunable }) => [
        fullName,
        Float32Array.from({ length: count }, (_, i) => prunable && isRemoved(i) ? 0 : 0.5),
      ]),
    ),
    masks: new Map(
      parameters.filter(({ prunable }) => prunable).map(({ fullName, count }) => [
        fullName,
        Float32Array.from({ length: count }, (_, i) => isRemoved(i) ? 0 : 1),
      ]),
    ),
    normalization: { mean: [0.5, 0.5], std: [0.25, 0.25] },
    classes: ["a", "b", "c"],
  }, store);
}

for (const store of ["dense", "sparse"] as const) {
  Deno.test(`decodeModel() reads damaged ${store} files whole, or refuses them`, async () => {
    const file = modelFile(store);
    const { taken, refused } = await fuzz(`model ${store}`, 3000, (random) => {
      const { parameters, masks, normalization, graph } = decodeModel(damageFile(file, random), "m");
      for (const { fullName, count, min: least = -Infinity } of layOutParameters(graph).parameters) {
        const values = parameters.get(fullName)!, mask = masks.get(fullName);
        assertEquals(values.length, count);
        assert(values.every((value) => Number.isFinite(value) && value >= least), fullName);
        assert(!mask || values.every((value, i) => mask[i] === 1 || value === 0), fullName);
      }
      assert([...normalization.mean, ...normalization.std].every((value) => Math.abs(value) <= 1e6));
    });
    assert(taken > 0 && refused > 1000, `${taken} taken, ${refused} refused`);
  });
}

Deno.test("decodePretrained() reads damaged files of PyTorch whole, or refuses them", async () => {
  const file = weightFile(graph), size = { height: 4, width: 4 };
  const { refused } = await fuzz("weights", 2000, (random) => {
    const options = below(random, 2) === 0 ? { graph } : {};
    decodePretrained(damageFile(file, random), { name: "m", size, ...options });
  });
  assert(refused > 500);
});

Deno.test("decodePretrained() recognises or refuses whatever names and shapes a file has", async () => {
  const places = [
    "conv1",
    "conv2",
    "fc1",
    "fc2",
    "features.0",
    "features.1",
    "features.3",
    "classifier",
    "classifier.0",
  ]
    .concat(
      "layer1.0.conv1",
      "layer1.0.conv2",
      "layer1.0.bn1",
      "layer2.0.conv1",
      "layer2.0.downsample.0",
      "fc",
      "bn1",
    );
  const parts = [
    "weight",
    "bias",
    "running_mean",
    "running_var",
    "mask",
    "values",
    "num_batches_tracked",
    "",
  ];
  const { taken, refused } = await fuzz("names", 4000, (random) => {
    const tensors = new Map<string, NewTensor>();
    for (let i = below(random, 8); i >= 0; i--) {
      const place = places[below(random, places.length)];
      const name = `${place}.${below(random, 3) > 0 ? "weight" : parts[below(random, parts.length)]}`;
      const [outputs, inputs] = [1 + below(random, 3), below(random, 4)];
      const shape =
        [[outputs, inputs, 3, 3], [outputs, 4 * inputs], [outputs], [], [outputs, 1, 0, 1]][below(random, 5)];
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      tensors.set(name, { name, dtype: "F32", shape, values });
    }
    const file = writeSafetensors([...tensors.values()]);
    const { parameters, graph } = decodePretrained(file, { name: "m", size: { height: 4, width: 4 } });
    assertEquals(parameters.size, layOutParameters(graph).parameters.length);
  });
  assert(refused > 3000, `${taken} taken, ${refused} refused`);
});

Deno.test("decodeCheckpoint() reads damaged checkpoints whole, or refuses them", async () => {
  const { parameters } = layOutParameters(graph);
  const named = (arena: string) =>
    new Map(
      parameters.filter((parameter) => parameter.arena === arena)
        .map(({ fullName, count }) => [fullName, new Float32Array(count).fill(0.5)]),
    );
  const file = await encodeCheckpoint({
    graph,
    arenas: new Map([["values", named("values")], ["statistics", named("statistics")]]),
    masks: new Map(
      parameters.filter(({ prunable }) => prunable)
        .map(({ fullName, count }) => [fullName, new Float32Array(count).fill(1)]),
    ),
    state: {
      config: configOf({}),
      results: { steps: [{ name: "untrained", result: [1, "a", null] }] },
    },
  });
  const { refused } = await fuzz(
    "checkpoint",
    1500,
    async (random) => {
      const damaged = damageFile(file, random);
      // With a checksum that fits, what follows it is tried too; one that is gone stays so.
      if (below(random, 2) === 0) await seal(damaged).catch(() => undefined);
      await decodeCheckpoint(damaged, "c");
    },
  );
  assert(refused > 500);
});

Deno.test("graphs, configurations, indices of shards and choices in damaged JSON are read or refused", async () => {
  const index = new TextDecoder().decode(shardFiles(tinyDataset(), { shardRows: 16 })["dataset.json"]);
  const config = JSON.stringify(configOf({ distill: 0.5, teacher: "t.safetensors" }));
  const source = { act: "read", thing: "f", wanted: "JSON" };
  const readers: readonly (readonly [string, string, (value: unknown, text: string) => void])[] = [
    ["graph", JSON.stringify(graph), (value) => void resolveGraph(parseGraph(value, "f"))],
    ["config", config, (value) => void parseRunConfig(value, "f")],
    ["shards", index, (_, text) => void parseShardIndex(new TextEncoder().encode(text), "f")],
  ];
  for (const [name, text, read] of readers) {
    const { taken, refused } = await fuzz(name, 1500, (random) => {
      let damaged = text;
      for (let i = below(random, 3); i >= 0; i--) damaged = damageJson(damaged, random);
      read(parseJson(damaged, source), damaged);
    });
    assert(taken > 0 && refused > 300, `${name}: ${taken} taken, ${refused} refused`);
  }
  const choice = { "gemm/conv2d_forward rows 1": "gemm/register_8x8, 4 splits, storage" };
  await fuzz("choices", 300, (random) => {
    const text = new TextDecoder("latin1").decode(
      damageBytes(new TextEncoder().encode(Object.values(choice)[0]), random),
    );
    readChoices({ "__proto__": text, p: text });
  });
});

Deno.test("readIdx() and readCifar10() read damaged files whole, or refuse them", async () => {
  const idx = tinyIdx("d");
  const cifar = { "d/data_batch_1.bin": new Uint8Array(2 * 3073), "d/test_batch.bin": new Uint8Array(3073) };
  for (const [name, files] of [["idx", idx], ["cifar", cifar]] as const) {
    const { refused } = await fuzz(name, 800, async (random) => {
      const paths = Object.keys(files), path = paths[below(random, paths.length)];
      const bytes = damageBytes((files as Record<string, Uint8Array>)[path], random);
      const options = { files: memoryFiles({ ...files, [path]: bytes }), folder: "d" };
      const dataset = await (name === "idx" ? readIdx(options) : readCifar10(options));
      for (const { labels, pixels, count } of [dataset.train, dataset.test]) {
        assertEquals(pixels.length, count * dataset.channels * dataset.height * dataset.width);
        assert(labels.every((label) => label < dataset.classes.length));
      }
    });
    assert(refused > 200, `${name}: ${refused} refused`);
  }
});
