/** Tests of definitions of layers that are refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { z } from "zod";
import {
  channelwise,
  ConfigError,
  defineLayer,
  type Graph,
  keepZero,
  mapShape,
  parseGraph,
  ShapeError,
} from "../../mod.ts";
import { resolveGraph } from "../../src/model/graph.ts";
import { fullMask, layOutParameters } from "../../src/plan/layout.ts";
import { planCompaction } from "../../src/prune/compact/compact.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { layers, shuffle } from "./own_layers.ts";

const input = { channels: 3, height: 9, width: 9 };

/** The shuffle with other rules or parameters. */
const broken = (part: Partial<Parameters<typeof defineLayer>[0]>) =>
  parseGraph(
    {
      name: "broken",
      input,
      layers: [
        { kind: "conv2d", name: "conv1", outChannels: 8, kernel: 3 },
        { kind: "test/broken", name: "own" },
        { kind: "conv2d", name: "conv2", outChannels: 4, kernel: 3 },
      ],
    },
    "a test",
    {
      layers: [defineLayer({
        kind: "test/broken",
        fields: {},
        channels: channelwise({ ofConstant: keepZero, sign: "kept", onlyRearranges: true }),
        outputShape: (_spec, [input]) => input,
        parameters: () => [],
        forward: () => {},
        backward: () => {},
        ...part,
      })],
    },
  );

Deno.test("rules that do not fit their layer are refused by the layer's name", () => {
  const rules = channelwise({ ofConstant: keepZero, sign: "kept", onlyRearranges: true });
  const mask = (graph: Graph) => fullMask(layOutParameters(graph)).map(() => 0);
  const short = broken({ channels: { ...rules, labels: (_layer, [first]) => first.slice(1) } });
  assertThrows(
    () => coupleChannels(short),
    ShapeError,
    'layer "own": 7 labels, 0 of them unknown, expected 8',
  );
  const unknown = broken({ channels: { ...rules, labels: (_layer, [first]) => first.map(() => 1e6) } });
  assertThrows(() => coupleChannels(unknown), ShapeError, "8 labels, 8 of them unknown");
  const zeros = broken({ channels: { ...rules, constants: () => [] } });
  assertThrows(
    () => planCompaction(zeros, { mask: mask(zeros) }),
    ShapeError,
    'layer "own": constants of 0 channels',
  );
  // It has as many channels as before, whatever is kept.
  const wide = broken({ outputShape: () => mapShape(8, 7, 7) });
  assertThrows(
    () => planCompaction(wide, { mask: mask(wide) }),
    ShapeError,
    'narrow layer "own": it gives 8 channels',
  );
  const kept = broken({
    channels: {
      ...rules,
      labels(_layer, [first], labels) {
        for (const label of first) labels.keep(label);
        return first;
      },
    },
  });
  assertEquals(coupleChannels(kept).groups, []);
  const parameter = {
    name: "a",
    role: "scale",
    rows: 1,
    taps: 1,
    shape: [1],
    initial: { constant: 1 },
  } as const;
  const scalar = broken({ parameters: () => [{ ...parameter, channels: 1 }] });
  assertThrows(
    () => resolveGraph(scalar),
    ShapeError,
    '"broken, layer own, a": 1 x 1 numbers, expected 1 x 8',
  );
  const weight = broken({ parameters: () => [{ ...parameter, role: "weight", channels: 8 }] });
  assertThrows(() => resolveGraph(weight), ShapeError, 'a weight called "a"');
});

Deno.test("defineLayer() and parseGraph() refuse kinds without a prefix, twice, or of no layer", () => {
  assertThrows(() => broken({ kind: "shuffle" as "a/b" }), ConfigError, "such as acme/shuffle");
  assertThrows(() => broken({ fields: { name: z.string() } }), ConfigError, 'a field "name"');
  const value = { name: "a", input, layers: [{ kind: "test/shuffle", name: "s", groups: 3 }] };
  assertThrows(
    () => parseGraph(value, "a", { layers: [shuffle, shuffle] }),
    ConfigError,
    "two layers of kind",
  );
  assertThrows(() => parseGraph(value, "a"), ConfigError, "layers.0.kind");
  const wrong = { ...value, layers: [{ kind: "test/shuffle", name: "s", groups: 0.5 }] };
  assertThrows(() => parseGraph(wrong, "a", { layers }), ConfigError, "layers.0.groups");
  const graph = parseGraph(value, "a", { layers });
  // Its layers go along where it is copied or parsed again, and no further.
  assertEquals(resolveGraph(parseGraph({ ...graph }, "b")).length, 1);
  const bare = JSON.parse(JSON.stringify(graph));
  assertThrows(() => resolveGraph(bare), ConfigError, 'layer "s": a layer of kind "test/shuffle"');
});
