/**
 * Holds the refit of whole networks against the f64 reference, where every position is a sample. Tolerance: with a
 * damping of 0.3 of the mean variance the condition of a layer's system is at most (columns + 0.3) / 0.3, and its f32
 * errors are sums over n samples of products of about the variance; each layer's error passes on to all behind it.
 */
import assert from "node:assert/strict";
import { ConfigError, NumericError } from "../../src/errors.ts";
import { FeatureExamples } from "../../src/gpu/examples.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Network } from "../../src/gpu/network.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { pruneWithRefit, refitKept, stagesTo } from "../../src/prune/refit/prune_with_refit.ts";
import { refittableLayers } from "../../src/prune/refit/refittable_layers.ts";
import { type RefitSettings, samplePositions, sampleRows } from "../../src/prune/refit/settings.ts";
import { Refit } from "../../src/prune/refit/refit_network.ts";
import { deviceOf } from "../helpers/devices.ts";
import { imagesToQuads } from "../kernels/harness.ts";
import { assertSame } from "../kernels/precision.ts";
import { referenceOutputs, type Tensors } from "../plan/reference_graph.ts";
import { F32_ROUNDOFF, maxAbs, randomTensor, type RefTensor, tensorOf } from "../reference/tensor.ts";
import {
  caseParameters,
  refitCases,
  replaceByReference,
  type ReplaceCase,
} from "./refit_network_reference.ts";

/** Examples of which the last batch is not full. */
const count = 23,
  settings: Partial<RefitSettings> = { images: count, positions: 64, batch: 10, damping: 0.3 };

const images = randomTensor([count, 5, 6, 5], 7);

/** A case's network on a device with its dense values, its examples, and a mask that removes a third. */
function openCase(gpu: Gpu, { graph }: ReplaceCase, given: RefTensor = images) {
  const layout = layOutParameters(graph);
  const dense = caseParameters(layout.parameters, 3);
  const masks: Tensors = Object.fromEntries(
    layout.parameters.filter(({ prunable }) => prunable).map(
      ({ fullName, shape }, i) => {
        const { values } = randomTensor(shape, 900 + i);
        return [fullName, tensorOf(shape, values.map((value) => value > -0.33 ? 1 : 0))];
      },
    ),
  );
  const network = new Network(gpu, graph, 0);
  const floats = (tensors: Tensors) =>
    new Map(Object.entries(tensors).map(([name, { values }]) => [name, Float32Array.from(values)]));
  network.writeParameters(floats(dense));
  const features = imagesToQuads(given.values, given.shape);
  const examples = new FeatureExamples(features, new Uint32Array(count), 64);
  return { network, examples, dense, masks, mask: () => network.writeMask(floats(masks)) };
}

/** Replaces a case on a device and reads all parameters. */
async function refitOnDevice(gpu: Gpu, each: ReplaceCase, change: Partial<RefitSettings> = {}) {
  const { network, examples, dense, masks, mask } = openCase(gpu, each);
  using _ = network;
  const layers = await refitKept(network, examples, { ...settings, ...change, mask });
  return { parameters: await network.readParameters(), layers, dense, masks };
}

for (const each of refitCases) {
  Deno.test(`refitKept() replaces as in f64: ${each.graph.name}`, async () => {
    const gpu = await deviceOf(), before = gpu.allocatedBytes;
    const { parameters, layers, dense, masks } = await refitOnDevice(gpu, each);
    assert.equal(gpu.allocatedBytes, before, "memory is freed");
    const want = replaceByReference(each, { dense, masks, images, damping: 0.3 });
    const columns = Math.max(...Object.values(masks).map(({ shape, values }) => values.length / shape[0]));
    const tolerance = layers.length * (columns + 0.3) / 0.3 * Math.sqrt(count * 30) * F32_ROUNDOFF;
    let kept = 0;
    for (const [name, { values }] of Object.entries(want)) {
      const got = parameters.get(name)!, scale = Math.max(1, maxAbs(values));
      const off = Math.max(...values.map((value, i) => Math.abs(value - got[i])));
      assert(off <= tolerance * scale, `${name} is off by ${off}, allowed ${tolerance * scale}`);
      const mask = masks[name]?.values;
      mask?.forEach((keep, i) => assert(keep === 1 || got[i] === 0, `${name} ${i} is removed`));
      if (
        mask || name.endsWith("running_mean") ||
        each.graph.layers.some((layer) => `${layer.name}.bias` === name && layer.kind !== "batchnorm2d")
      ) continue;
      kept++;
      assertSame(got, Float32Array.from(dense[name].values), `${name} stays`);
    }
    // Scales, which a batch norm alone has.
    assert.equal(kept > 0, each.graph.layers.some(({ kind }) => kind === "batchnorm2d"));
  });

  Deno.test(`refitKept() brings outputs nearer to the dense ones: ${each.graph.name}`, async () => {
    const gpu = await deviceOf();
    const { parameters, dense, masks } = await refitOnDevice(gpu, each, { damping: 3e-3 });
    const replaced: Tensors = Object.fromEntries(
      Object.entries(dense).map(([name, { shape }]) => [name, tensorOf(shape, parameters.get(name)!)]),
    );
    const masked: Tensors = Object.fromEntries(
      Object.entries(dense).map(([name, { shape, values }]) => {
        const mask = masks[name]?.values;
        return [name, tensorOf(shape, values.map((value, i) => mask ? mask[i] * value : value))];
      }),
    );
    const wanted = referenceOutputs(each.graph, dense, images);
    const errorsOf = (of: Tensors) => {
      const got = referenceOutputs(each.graph, of, images);
      return [...wanted].map(([name, { values }]) =>
        values.reduce((sum, value, i) => sum + (value - got.get(name)!.values[i]) ** 2, 0)
      );
    };
    const before = errorsOf(masked), after = errorsOf(replaced);
    const first = [...wanted.keys()].indexOf("conv1"), last = before.length - 1;
    for (const place of [first, last]) {
      assert(after[place] < before[place], `output ${place}: ${after[place]}, before ${before[place]}`);
    }
  });
}

Deno.test("refitKept() gives the same bits for a seed, whether or not activations are kept", async () => {
  const gpu = await deviceOf(), change = { positions: 7, images: 20, seed: 5 };
  for (const each of [refitCases[0], refitCases[2]]) {
    const first = await refitOnDevice(gpu, each, change);
    const anew = await refitOnDevice(gpu, each, { ...change, memoryBytes: 0 });
    const other = await refitOnDevice(gpu, each, { ...change, seed: 6 });
    for (const [name, values] of first.parameters) assertSame(anew.parameters.get(name)!, values, name);
    const weights = first.parameters.get("conv1.weight")!;
    assert(other.parameters.get("conv1.weight")!.some((value, i) => value !== weights[i]), "another seed");
  }
});

Deno.test("Refit() says what takes the shifts, and starts from the dense network every time", async () => {
  const gpu = await deviceOf(), each = refitCases[1];
  const { network, examples, mask } = openCase(gpu, each);
  using _ = network;
  using refit = await Refit.open(network, examples, settings);
  mask();
  const layers = await refit.apply();
  assert.deepEqual(layers.map(({ name, shifted }) => [name, shifted]), [
    ["conv1", "bias"],
    ["conv2", "bias"],
    ["projection", "none"],
    ["fc", "none"],
  ]);
  const first = await network.readParameters();
  await refit.apply();
  const second = await network.readParameters();
  for (const [name, values] of first) assertSame(second.get(name)!, values, name);
});

Deno.test("Refit() leaves the biases of removed channels at zero", async () => {
  const gpu = await deviceOf(), each = refitCases[1];
  const { network, examples, masks } = openCase(gpu, each);
  using _ = network;
  using refit = await Refit.open(network, examples, settings);
  const named = new Map(Object.entries(masks).map(([name, { values }]) => [name, Float32Array.from(values)]));
  named.set("conv1.bias", Float32Array.of(1, 1, 0, 1, 1, 1, 1));
  named.get("conv1.weight")!.fill(0, 2 * 45, 3 * 45);
  network.writeMask(named);
  await refit.apply();
  const parameters = await network.readParameters();
  assert.equal(parameters.get("conv1.bias")![2], 0);
  assert(parameters.get("conv1.weight")!.subarray(90, 135).every((value) => value === 0));
});

Deno.test("Refit() puts the dense network back where examples are not finite", async () => {
  const gpu = await deviceOf(), each = refitCases[0], before = gpu.allocatedBytes;
  const broken = tensorOf(images.shape, images.values);
  broken.values[40] = NaN;
  const { network, examples, dense, mask } = openCase(gpu, each, broken);
  await assert.rejects(() => refitKept(network, examples, { ...settings, mask }), NumericError);
  const parameters = await network.readParameters();
  for (const [name, { values }] of Object.entries(dense)) {
    assertSame(parameters.get(name)!, Float32Array.from(values), name);
  }
  network[Symbol.dispose]();
  assert.equal(gpu.allocatedBytes, before);
});

Deno.test("pruneWithRefit() goes through its stages, with replaced weights before each", async () => {
  const gpu = await deviceOf(), each = refitCases[0];
  const { network, examples, dense, mask } = openCase(gpu, each);
  using _ = network;
  const seen: Float32Array[] = [], ended: number[] = [];
  const stages = await pruneWithRefit(network, examples, {
    ...settings,
    sparsities: [0.1, 0.3],
    async remove() {
      seen.push((await network.readParameters()).get("conv2.weight")!);
      mask();
    },
    onStage: ({ sparsity }) => void ended.push(sparsity),
  });
  assert.deepEqual(ended, [0.1, 0.3]);
  assert.deepEqual(stages.map(({ layers }) => layers.length), [4, 4]);
  assertSame(seen[0], Float32Array.from(dense["conv2.weight"].values), "dense at first");
  assert(seen[1].some((value, i) => value !== seen[0][i]), "replaced then");
});

Deno.test("pruneWithRefit() rejects what cannot be", async () => {
  const gpu = await deviceOf();
  const { network, examples } = openCase(gpu, refitCases[0]);
  using _ = network;
  const remove = () => Promise.reject(new Error("nothing is removed"));
  for (const sparsities of [[], [0.5, 0.5], [0], [1]]) {
    await assert.rejects(() => pruneWithRefit(network, examples, { sparsities, remove }), ConfigError);
  }
  await assert.rejects(
    () => pruneWithRefit(network, examples, { sparsities: [0.5], remove, images: 0 }),
    { message: 'Cannot refit weights with "images": 0, expected a whole number, at least 1' },
  );
});

Deno.test("stagesTo() ends at the sparsity", () => {
  assert.deepEqual(stagesTo(0.9), [0.5, 0.7, 0.8, 0.85, 0.9]);
  assert.deepEqual(stagesTo(0.3), [0.3]);
});

Deno.test("sampleRows() and samplePositions() take different ones, the same for a seed", () => {
  const rows = sampleRows({ count: 30, images: 25, batch: 10, seed: 1 });
  assert.deepEqual(rows.map(({ length }) => length), [10, 10, 5]);
  assert.equal(new Set(rows.flatMap((batch) => [...batch])).size, 25);
  const [layer] = refittableLayers(refitCases[0].graph, layOutParameters(refitCases[0].graph)),
    options = { layer: 0, rows, positions: 7, seed: 1 };
  const sampled = samplePositions(layer, options);
  assert.deepEqual(samplePositions(layer, options), sampled);
  for (const [batch, places] of sampled.entries()) {
    const images = rows[batch].length;
    assert.equal(new Set(places).size, 7 * images);
    places.forEach((place, i) => assert.equal(Math.floor(place / 30), Math.floor(i / 7)));
  }
  const all = samplePositions(layer, { ...options, positions: 99 });
  assert.deepEqual([...all[2]], Array.from({ length: 150 }, (_, i) => i));
});
