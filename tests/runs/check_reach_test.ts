import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { runCompare } from "../../src/runs/compare.ts";
import { Model } from "../../src/api/model.ts";
import { readGoal } from "../../src/runs/read_recipe.ts";
import { runPrune } from "../../src/runs/prune.ts";
import { checkReachable } from "../../src/runs/check_reach.ts";
import { configOf } from "../helpers/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { summarizeModel } from "../../src/model/summary.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

// 36, 180, 140 and 28 weights, 20 biases: 384 that may go, of 404 numbers.
const graph = tinyGraph(), layout = layOutParameters(graph);
/** Half of its channels, rounded up. */
const halved = summarizeModel(tinyGraph({ conv1: 2, conv2: 3, fc1: 4 }));
const channels = { granularity: "channel", roundTo: 1 } as const;

function check(value: Record<string, unknown>, masks?: ReadonlyMap<string, Float32Array>): void {
  const config = configOf(value);
  checkReachable({ graph, layout }, config, { goal: readGoal(config, graph), masks });
}

Deno.test("checkReachable() names what keeps weights from going, what can be reached and what was asked for", () => {
  const cases: readonly (readonly [Record<string, unknown>, string])[] = [
    [
      { sparsity: 0.75, floor: 0.5 },
      'Cannot prune to "sparsity 0.75": floor 0.5 leaves 192 of 384 weights that may go, ' +
      "expected a sparsity of 0.5 or less, or another floor",
    ],
    [
      { sparsity: 0.5, floor: 0.25, protect: "conv2,fc2" },
      'Cannot prune to "sparsity 0.5": floor 0.25 and protect conv2,fc2 leave 132 of 384 weights ' +
      "that may go, expected a sparsity of 0.3437 or less, or another floor or protect",
    ],
    [
      { sparsity: 0.9, granularity: "channel", roundTo: 4 },
      'Cannot prune to "sparsity 0.9": roundTo 4 leaves 124 of 384 weights that may go',
    ],
    [
      { sparsity: 0.99, granularity: "filter" },
      'Cannot prune to "sparsity 0.99": granularity filter, which spares',
    ],
    [
      { targetParameters: 0.1, floor: 0.5 },
      'Cannot prune to "parameters 40": floor 0.5 leaves at least 212 of 404, expected a target of 0.5248 ' +
      "or more, or another floor",
    ],
    [{ targetMultiplyAdds: 1, floor: 0.5 }, 'Cannot prune to "multiplyAdds 1": floor 0.5 leaves'],
    // Of each layer half the weights go, but a bit a weight stays.
    [
      { targetBytes: 890, floor: 0.5, store: "sparse" },
      `Cannot prune to "bytes 890": floor 0.5 leaves at least ${4 * 212 + 5 + 23 + 18 + 4} of 1616`,
    ],
    [
      { targetParameters: 0.1, floor: 0.5, ...channels },
      `Cannot prune to "parameters 40": floor 0.5 leaves at least ${halved.parameters} of 404`,
    ],
    [
      { targetMultiplyAdds: 0.1, floor: 0.5, ...channels, perCost: true },
      `floor 0.5 leaves at least ${halved.multiplyAdds} of ${summarizeModel(graph).multiplyAdds}`,
    ],
    // conv1's channels feed conv2, and conv2's fc1: of channels those of fc1 alone may go, all but one.
    [
      { sparsity: 0.4, granularity: "channel", protect: "conv2" },
      'Cannot prune to "sparsity 0.4": protect conv2 leaves 144 of 384 weights that may go',
    ],
    [
      { targetMultiplyAdds: 0.5, ...channels, floor: 0, protect: "conv2" },
      'Cannot prune to "multiplyAdds',
    ],
    [
      { sparsity: 0.1, protect: "conv1,conv2,fc1,fc2" },
      'Cannot prune to "sparsity 0.1": protect conv1,conv2,fc1,fc2 leaves nothing that may go, expected a layer',
    ],
    [
      { granularity: "2:4", protect: "conv1,conv2,fc1,fc2" },
      'Cannot prune to "granularity 2:4": protect conv1,conv2,fc1,fc2 leaves nothing that may go, expected a layer',
    ],
    [
      { confidence: 0.9, granularity: "channel", protect: "conv2,fc1" },
      'Cannot prune to "confidence 0.9": protect conv2,fc1 leaves nothing that may go',
    ],
    [
      { targetParameters: 19 },
      'Cannot prune to "parameters 19": granularity element leaves at least 20 of 404',
    ],
  ];
  for (const [value, message] of cases) assertThrows(() => check(value), ConfigError, message);
  // A network whose only filters are its classes.
  const layers = [{ kind: "flatten", name: "flatten" }, { kind: "linear", name: "fc", outFeatures: 4 }];
  const single = parseGraph({ name: "single", input: graph.input, layers }, "a test");
  const config = configOf({ confidence: 0.9, granularity: "filter" }), goal = readGoal(config, single);
  assertThrows(
    () => checkReachable({ graph: single, layout: layOutParameters(single) }, config, { goal }),
    ConfigError,
    'Cannot prune to "confidence 0.9": granularity filter, which spares the last layer, leaves nothing that may go',
  );
});

Deno.test("checkReachable() lets pass what can just be reached, and what only scores can tell", () => {
  const possible: readonly Record<string, unknown>[] = [
    { sparsity: 0.5, floor: 0.5 },
    { sparsity: 0.999 },
    { targetParameters: 212, floor: 0.5 },
    { targetParameters: 20 },
    { targetBytes: 4 * 212 + 5 + 23 + 18 + 4, floor: 0.5, store: "sparse" },
    { targetParameters: halved.parameters, floor: 0.5, ...channels },
    { targetBytes: 4 * halved.parameters, floor: 0.5, ...channels },
    { confidence: 0.9, floor: 1 },
    { granularity: "2:4", protect: "conv1,conv2,fc1" },
    { confidence: 0.9, granularity: "channel", protect: "conv2" },
  ];
  for (const value of possible) check(value);
  // What is gone already need not go.
  const masks = new Map([["conv2.weight", new Float32Array(180)]]);
  assertThrows(() => check({ sparsity: 0.7, floor: 0.5 }), ConfigError);
  check({ sparsity: 0.7, floor: 0.5 }, masks);
  check({ targetParameters: 0.1, floor: 0.5, ...channels }, masks);
});

Deno.test("runPrune() and runCompare() refuse what cannot be reached before anything is trained", async () => {
  const gpu = await deviceOf(), bytes = gpu.allocatedBytes;
  let steps = 0;
  const options = { dataset: tinyDataset(), graph, onProgress: () => void steps++ };
  const short = { epochs: 1, batch: 16, floor: 0.5 };
  const run = (more: Record<string, unknown>) =>
    runPrune(gpu, { ...options, config: configOf({ ...short, ...more }) });
  await assertRejects(() => run({ sparsity: 0.9 }), ConfigError, 'Cannot prune to "sparsity 0.9": floor 0.5');
  await assertRejects(() => run({ targetParameters: 0.1 }), ConfigError, 'Cannot prune to "parameters 40"');
  const lists = {
    variants: ["magnitude", "random/filter"],
    sparsities: [0.4, 0.6],
    seeds: [0],
    versions: {},
  };
  await assertRejects(
    () => runCompare(gpu, { ...options, ...lists, config: configOf(short) }),
    ConfigError,
    'Cannot compare magnitude at "sparsity 0.6": floor 0.5 leaves',
  );
  assertEquals([steps, gpu.allocatedBytes], [0, bytes], "nothing was trained, nothing is left");
});

Deno.test("Model.prune() says what channels cost at least where that is more than it is to bring a model to", async () => {
  using model = new Model(await deviceOf(), graph, { task: tinyDataset() });
  const { test } = tinyDataset(),
    steps = { calibration: test, test, examples: 40, finetune: () => Promise.resolve() };
  const goal = { cost: "parameters", max: 40.4 } as const;
  const error = await assertRejects(
    () => model.prune(goal, { ...steps, rounds: 2, ...channels, floor: 0.5, by: "magnitude" }),
    ConfigError,
    'Cannot prune to "parameters 40": ',
  );
  const { parameters } = halved, least = `${parameters} is the least there is, in round 1 of 2`;
  assertStringIncludes(error.message, `${least}, expected ${parameters} or more, a lower floor`);
});
