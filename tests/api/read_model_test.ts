/** What is read of a model by names: in PyTorch's order, with shapes. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { ConfigError, ShapeError } from "../../src/errors.ts";
import { residualNetwork } from "../../src/model/presets/resnet.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset(), { test, train } = dataset;

Deno.test("Model.weights(), mask(), scores() and confidence() give tensors by name, in PyTorch's order", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 3 });
  await assertRejects(() => model.scores("conv1"), ConfigError, 'Cannot read scores of "conv1.weight"');
  await model.train(train, { epochs: 1, batch: 16 });
  await model.score(test, { by: "magnitude" });
  await model.remove(70);
  const { parameters, masks } = await model.state();
  const shapes = { conv1: [4, 1, 3, 3], conv2: [5, 4, 3, 3], fc1: [7, 20], fc2: [4, 7] };
  for (const [layer, shape] of Object.entries(shapes)) {
    const name = `${layer}.weight`, values = parameters.get(name)!;
    const weight = await model.weights(layer);
    assertEquals(weight.name, name);
    assertEquals(weight.values, values);
    assertEquals(weight.shape.length === shape.length && weight.shape.at(0), shape[0]);
    assertEquals(weight.shape.reduce((product, size) => product * size), values.length);
    assertEquals(await model.weights(name), weight);
    assertEquals((await model.mask(layer)).values, masks.get(name)!);
  }
  assertEquals((await model.weights("conv1")).shape, shapes.conv1);
  assertEquals((await model.weights("conv1.bias")).shape, [4]);
  assert((await model.mask("conv1.bias")).values.every((keep) => keep === 1));
  // The values that were scored: what was removed since has its score of then.
  const [scores, mask, weight] = [
    await model.scores("fc1"),
    await model.mask("fc1"),
    await model.weights("fc1"),
  ];
  const kept = [...mask.values.keys()].filter((i) => mask.values[i] === 1);
  assert(kept.length > 20);
  assertEquals(kept.map((i) => scores.values[i]), kept.map((i) => Math.abs(weight.values[i])));
  const { tensors, layers } = await model.confidence(test);
  assertEquals([...tensors.keys()], layers.map(({ name }) => name));
  for (const [name, { shape, values }] of tensors) {
    assertEquals(shape, (await model.weights(name)).shape);
    assert(values.every((confidence) => confidence >= 0 && confidence <= 1));
  }
  const z = await model.scores("fc1"), confidence = tensors.get("fc1.weight")!;
  const order = (of: Float32Array) => [...of.keys()].sort((a, b) => of[a] - of[b] || a - b);
  assertEquals(order(z.values).slice(0, 40), order(confidence.values).slice(0, 40), "by z as by confidence");
  await assertRejects(
    () => model.weights("conv3"),
    ShapeError,
    'Cannot read values of "conv3": seed has none of that name',
  );
  await assertRejects(() => model.mask("fc3"), ShapeError, '"fc1", the nearest known name');
  await assertRejects(() => model.scores("conv1.bias"), ShapeError, "none of that name");
});

Deno.test("Model.weights() reads batch norm's statistics, and groups() says which channels go together", async () => {
  const stages = [{ channels: 4, blocks: 1 }];
  const form = { name: "resnet4", stem: 4, stages, shortcut: "pad", head: "linear" } as const;
  const graph = residualNetwork(form, { channels: 1, height: 8, width: 8, classes: dataset.classes });
  using model = new Model(await deviceOf(), graph, { task: dataset, seed: 3 });
  const variance = await model.weights("bn1.running_var");
  assertEquals([variance.shape, [...variance.values]], [[4], [1, 1, 1, 1]]);
  await assertRejects(() => model.mask("bn1.running_var"), ShapeError, "none of that name");
  const { groups, sets } = model.groups();
  // The stem and the block's second convolution add up, so that their channels go together.
  assertEquals(sets.map((set) => set.groups.length), [4, 4]);
  const makers = sets.map((set) => groups[set.groups[0]].producers.map(({ parameter }) => parameter));
  assert(
    makers[0].includes("conv1.weight") && makers[0].some((name) => name.endsWith("conv2.weight")),
    `${makers}`,
  );
});
