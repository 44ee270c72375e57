/** No name of a layer may change what is computed: buffers, tensors and random numbers go by structure. */
import { assertEquals } from "@std/assert";
import { arenaRoles } from "../../src/kernels/buffer_ref.ts";
import { type Graph, parseGraph } from "../../src/model/graph.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { openEvaluator } from "../../src/train/evaluate.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyClasses, tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { trainTiny } from "./tiny_training.ts";

/** A network whose first map has three readers, with sums, dropout and batch norm, under the names that are given. */
function graphNamed(names: readonly string[]): Graph {
  const [conv1, bn1, relu1, a, b, sum, drop, pool, flatten, fc] = names;
  return parseGraph({
    name: "names",
    input: { channels: 1, height: tinySize, width: tinySize },
    layers: [
      { kind: "conv2d", name: conv1, outChannels: 4, kernel: 3, padding: 1 },
      { kind: "batchnorm2d", name: bn1 },
      { kind: "relu", name: relu1 },
      { kind: "conv2d", name: a, outChannels: 4, kernel: 3, padding: 1 },
      { kind: "conv2d", name: b, outChannels: 4, kernel: 1, inputs: [relu1] },
      { kind: "add", name: sum, inputs: [relu1, a, b] },
      { kind: "dropout", name: drop, p: 0.2 },
      { kind: "maxpool2d", name: pool, kernel: 2, stride: 2 },
      { kind: "flatten", name: flatten },
      { kind: "linear", name: fc, outFeatures: tinyClasses },
    ],
  }, "names.json");
}

const plain = ["conv1", "bn1", "relu1", "a", "b", "sum", "drop", "pool", "flatten", "fc"];

/** The names of all that a training step binds, and of all its tensors. */
async function reservedNames(): Promise<readonly string[]> {
  const { choose } = await deviceOf();
  const plans = (["train", "evaluate", "score"] as const).map((mode) =>
    lowerPlan(graphNamed(plain), { batch: 16, mode, choose, images: { augmentation: "flip" } })
  );
  const bound = plans.flatMap(({ dispatches }) =>
    dispatches.flatMap(({ bindings }) => Object.values(bindings))
  );
  const inputs = bound.flatMap((ref) => "input" in ref ? [ref.input] : []);
  const tensors = plans.flatMap(({ tensors }) => [...tensors.keys()]);
  // Names that other plans and other parts of the library use, and those that earlier versions gave to tensors.
  const more = [
    "mask",
    "teacher_logits",
    "mix_shares",
    "a gradient",
    "relu1 gradient of input 0",
    "__proto__",
  ];
  return [...new Set([...inputs, ...tensors, ...more, ...arenaRoles])].filter((name) => name !== "input");
}

/** What training, evaluation and the running mean give, by the layers' places. */
async function resultsOf(path: "storage" | "texture", names: readonly string[]) {
  using bench = openWorkbench(await deviceOf(path), { graph: graphNamed(names), batch: 16 });
  await trainTiny(bench, { epochs: 1, augmentation: "flip" });
  using evaluator = await openEvaluator(bench.network, bench.test, bench);
  const { loss, predictions } = await evaluator.evaluate();
  const values = [...(await bench.network.readParameters()).values()];
  return { loss, predictions, values };
}

for (const path of readPaths) {
  Deno.test(`a network trains and evaluates to the same bits under any names, on ${path}`, async () => {
    const reserved = await reservedNames(), want = await resultsOf(path, plain);
    // Every reserved name once, at places that move on, so that each kind of layer has several of them.
    for (let first = 0; first < reserved.length; first += plain.length) {
      const names = plain.map((name, i) => reserved[first + i] ?? name);
      assertEquals(await resultsOf(path, names), want, names.join(", "));
    }
  });
}

Deno.test("plans under any names have as many tensors, since none stands for two things", async () => {
  const { choose } = await deviceOf(), reserved = await reservedNames();
  const sizesOf = (names: readonly string[]) =>
    (["train", "evaluate", "score"] as const).map((mode) => {
      const { tensors, slots } = lowerPlan(graphNamed(names), { batch: 16, mode, choose });
      return [tensors.size, slots];
    });
  const want = sizesOf(plain);
  for (let shift = 0; shift < reserved.length; shift++) {
    const names = plain.map((_, i) => reserved[(i + shift) % reserved.length]);
    assertEquals(sizesOf(names), want, names.join(", "));
  }
});
