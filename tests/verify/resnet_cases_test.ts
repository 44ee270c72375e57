import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, FileError, ShapeError } from "../../src/errors.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { readSafetensors, tensorFloats, tensorIntegers, writeSafetensors } from "../../src/io/safetensors.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { verifyGoldens } from "../../src/verify/verify.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { sharedPath } from "../helpers/shared.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { referencePass, type Tensors } from "../plan/reference_graph.ts";
import { randomTensor, type RefTensor, tensorOf } from "../reference/tensor.ts";
import { integerTensor } from "./golden_file.ts";

const dataset = tinyDataset(), graph = tinyGraph(), { test } = dataset;
const classes = dataset.classes.length, rows = 7;

/** The tiny network's values, all of different sizes, so that no two weights share a magnitude. */
const parameters: Tensors = Object.fromEntries(
  layOutParameters(graph).parameters.map((
    { fullName, shape },
    i,
  ) => [fullName, randomTensor(shape, 300 + i, 0.4)]),
);
const weightNames = Object.keys(parameters).filter((name) => name.endsWith(".weight"));

/** The test images, normalised as the data set says, in f64. */
const images = tensorOf(
  [test.count, 1, dataset.height, dataset.width],
  Array.from(test.pixels, (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0]),
);

/** Logits of all test images and the fraction that is right, by the f64 reference. */
function referenceRun(values: Tensors): { logits: RefTensor; predictions: number[]; accuracy: number } {
  const { logits } = referencePass(graph, values, { images, labels: test.labels, trains: false });
  const predictions = Array.from({ length: test.count }, (_, row) => {
    const scores = [...logits.values].slice(row * classes, (row + 1) * classes);
    return scores.indexOf(Math.max(...scores));
  });
  const right = predictions.filter((prediction, row) => prediction === test.labels[row]).length;
  return { logits, predictions, accuracy: right / test.count };
}

/** Removes so many weights of the smallest magnitude. */
function pruneByMagnitude(removed: number): { values: Tensors; threshold: number } {
  const sizes = weightNames.flatMap((name) => Array.from(parameters[name].values, Math.abs)).sort((a, b) =>
    a - b
  );
  const threshold = sizes[removed - 1];
  const values = { ...parameters };
  for (const name of weightNames) {
    const { shape, values: dense } = parameters[name];
    values[name] = tensorOf(shape, Array.from(dense, (value) => Math.abs(value) <= threshold ? 0 : value));
  }
  return { values, threshold };
}

const floatTensor = (name: string, { shape, values }: RefTensor) =>
  ({ name, dtype: "F32", shape: [...shape], values: Float32Array.from(values) }) as const;

/** What the file of reference values holds; a test may change it. */
function goldenParts() {
  const of = weightNames.reduce((sum, name) => sum + parameters[name].values.length, 0);
  const { logits, predictions, accuracy } = referenceRun(parameters);
  const magnitudes = [0.6, 0.3].map((fraction) => {
    const pruned = Math.floor(fraction * of), { values, threshold } = pruneByMagnitude(pruned);
    return { fraction, entry: { accuracy: referenceRun(values).accuracy, pruned, of, threshold } };
  });
  return { logits: [...logits.values].slice(0, rows * classes), predictions, accuracy, magnitudes };
}

type GoldenParts = ReturnType<typeof goldenParts>;

function encodeParts({ logits, predictions, accuracy, magnitudes }: GoldenParts): Uint8Array {
  const tensors = [
    floatTensor("logits", tensorOf([rows, classes], logits)),
    integerTensor("predictions", predictions),
  ];
  const entries = magnitudes.map((
    { fraction, entry },
  ) => [`magnitude_global_${fraction}`, JSON.stringify(entry)]);
  return writeSafetensors(tensors, { "accuracy_dense": `${accuracy}`, ...Object.fromEntries(entries) });
}

const prefixed = Object.fromEntries(
  Object.entries(tinyDatasetFiles(dataset)).map(([name, bytes]) => [`images/${name}`, bytes]),
);
const files = memoryFiles({
  ...prefixed,
  "weights.safetensors": writeSafetensors(
    Object.entries(parameters).map(([name, tensor]) => floatTensor(name, tensor)),
  ),
});
const sources = { files, model: "weights.safetensors", data: "images" };

async function verify(parts: GoldenParts) {
  const checks = await verifyGoldens(await deviceOf(), { bytes: encodeParts(parts), name: "tiny" }, {
    sources,
  });
  return { names: checks.map(({ name }) => name), failed: checks.filter(({ passed }) => !passed) };
}

const dense = goldenParts();

Deno.test("verifyGoldens() passes a network, its accuracy and its magnitude pruning by the f64 reference", async () => {
  const { names, failed } = await verify(dense);
  assertEquals(failed, []);
  assertEquals(names.length, 3 + 2 * 4);
  // Ascending, however the file orders them.
  assertEquals(names.slice(3).map((name) => name.slice(0, 20)).indexOf("magnitude_global_0.6"), 4);
});

Deno.test("verifyGoldens() fails exactly what is wrong about a network", async () => {
  const withEntry = (change: Partial<GoldenParts["magnitudes"][number]["entry"]>): GoldenParts => {
    const [first, ...others] = dense.magnitudes;
    return { ...dense, magnitudes: [{ ...first, entry: { ...first.entry, ...change } }, ...others] };
  };
  const { entry: { accuracy, of, threshold } } = dense.magnitudes[0];
  const others = (count: number) => dense.predictions.map((p, i) => i < count ? (p + 1) % classes : p);
  const wrong: readonly [GoldenParts, readonly string[]][] = [
    [{ ...dense, logits: dense.logits.map((logit, i) => i === 5 ? logit + 0.002 : logit) }, ["logits"]],
    [{ ...dense, predictions: others(2) }, []],
    [{ ...dense, predictions: others(3) }, ["predictions that differ"]],
    [{ ...dense, accuracy: dense.accuracy + 0.004 }, ["accuracy dense"]],
    [withEntry({ accuracy: accuracy - 0.004 }), ["magnitude_global_0.6 accuracy"]],
    [withEntry({ of: of + 1 }), ["magnitude_global_0.6 of"]],
    [withEntry({ threshold: threshold * 1.001 }), ["magnitude_global_0.6 threshold"]],
  ];
  for (const [parts, names] of wrong) {
    assertEquals((await verify(parts)).failed.map(({ name }) => name), names);
  }
});

Deno.test("verifyGoldens() says where the weights and images of a network are missing", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const golden = { bytes: encodeParts(dense), name: "goldens/tiny.safetensors" };
  const run = (options: Parameters<typeof verifyGoldens>[2]) => () => verifyGoldens(gpu, golden, options);
  await assertRejects(run({}), ConfigError, 'Cannot verify "goldens/tiny.safetensors"');
  await assertRejects(
    run({ sources: { files, data: "images" } }),
    FileError,
    "its weights are not at goldens/../models/tiny-cifar10.safetensors, expected their path by --model",
  );
  await assertRejects(
    run({ sources: { files, model: "weights.safetensors" } }),
    FileError,
    "its images are not in goldens/../data/cifar-10-batches-bin, expected their folder by --data",
  );
  const many = { ...dense, predictions: [...dense.predictions, 0] };
  await assertRejects(() => verify(many), ShapeError, "40 test images, expected 41");
  const excessive = { ...dense.magnitudes[0], entry: { ...dense.magnitudes[0].entry, pruned: 1e6 } };
  await assertRejects(() => verify({ ...dense, magnitudes: [excessive] }), ShapeError, "1000000");
  assertEquals(gpu.allocatedBytes, start);
});

const golden = sharedPath("goldens/resnet20.safetensors"),
  weights = sharedPath("models/resnet20-cifar10.safetensors");
Deno.test({
  name: "verifyGoldens() passes PyTorch's resnet20 on its first images",
  ignore: golden === undefined || weights === undefined,
  async fn() {
    // All 1,000 images take minutes on a software adapter: `deno task verify` checks those.
    const { tensors, metadata } = readSafetensors(await Deno.readFile(golden!), "resnet20"), count = 16;
    const logits = tensorFloats(tensors.get("logits")!, "logits").subarray(0, 10 * count);
    const predictions = tensorIntegers(tensors.get("predictions")!, "predictions").subarray(0, count);
    const known = Object.entries(metadata).filter(([key]) => key !== "accuracy_dense").map(([key, text]) => {
      const { accuracy: _, ...counts } = JSON.parse(text);
      return [key, JSON.stringify(counts)];
    });
    const bytes = writeSafetensors([
      { name: "logits", dtype: "F32", shape: [count, 10], values: logits },
      { name: "predictions", dtype: "I32", shape: [count], values: predictions },
    ], Object.fromEntries(known));
    const checks = await verifyGoldens(await deviceOf(), { bytes, name: golden! }, {
      sources: { files: denoFiles },
    });
    assertEquals(checks.filter(({ passed }) => !passed), []);
    assert(checks.length === 2 + 4 * 4, `${checks.length} checks`);
  },
});
