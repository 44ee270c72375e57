/**
 * Layers that are defined here alone: a channel shuffle, which permutes channels, and a PReLU, which has a slope per
 * channel or one for all. They train, are pruned by channels, compacted, saved and loaded as the library's layers are.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { z } from "zod";
import {
  arenaRef,
  channelwise,
  ConfigError,
  countQuads,
  defineLayer,
  dispatchOver,
  type Graph,
  keepZero,
  type LayerContext,
  mapShape,
  Model,
  parseGraph,
  quadsPerExample,
  sgd,
  ShapeError,
  splitRows,
  sumColumns,
} from "../../mod.ts";
import { resolveGraph } from "../../src/model/graph.ts";
import { fullMask, layOutParameters } from "../../src/plan/layout.ts";
import { planCompaction } from "../../src/prune/compact/compact.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { readPaths } from "../kernels/harness.ts";
import { type OwnPass, referencePass } from "../plan/reference_graph.ts";
import { batch, parametersOf, roundingsOf, runStep } from "../plan/step.ts";
import { maskGroups } from "../prune/mask_groups.ts";
import { gatherArenas, logitsOf, openDraw, randomArenas } from "../prune/random_graphs.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor, tensorOf } from "../reference/tensor.ts";

/** y[c] = x[(c mod groups) * channels / groups + c div groups], pixel by pixel. */
const shuffleText = `
// include dispatch
struct Params { quads_total: u32, channels: u32, groups: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let quads = (params.channels + 3u) / 4u;
  let pixel = i / quads;
  var quad = vec4f(0.0);
  for (var lane = 0u; lane < 4u; lane++) {
    let c = 4u * (i - pixel * quads) + lane;
    if (c < params.channels) {
      let from_channel = (c % params.groups) * (params.channels / params.groups) + c / params.groups;
      let from_quad = read_x(pixel * quads + from_channel / 4u);
      quad[lane] = from_quad[from_channel % 4u];
    }
  }
  write_y(i, quad);
}
`;

/** A shuffle, or its inverse, which is one by channels / groups. */
function shuffled(
  { name, batch, output }: Pick<LayerContext<unknown>, "name" | "batch" | "output">,
  { pass, groups, ...bindings }: {
    readonly pass: string;
    readonly groups: number;
    readonly x: LayerContext<unknown>["x"];
    readonly y: LayerContext<unknown>["x"];
  },
) {
  const quads = batch * quadsPerExample(output);
  return dispatchOver(quads, {
    kernel: "shuffle",
    text: shuffleText,
    label: `${name} ${pass}`,
    bindings,
    params: { quads_total: quads, channels: output.channels, groups },
  });
}

/** Mixes the channels of groups. Source: Zhang et al. 2017, "ShuffleNet", arXiv 1707.01083. */
const shuffle = defineLayer({
  kind: "test/shuffle",
  fields: { groups: z.int().min(1) },
  channels: {
    sign: "kept",
    onlyRearranges: true,
    labels({ spec: { groups }, output: { channels } }, [first], labels) {
      // Groups must keep as many channels as each other, or what is left is no shuffle.
      const positions = channels / groups;
      for (let c = positions; c < channels; c++) labels.unite(first[c % positions], first[c]);
      return first.map((_, c) => first[(c % groups) * positions + Math.floor(c / groups)]);
    },
    constants: ({ spec: { groups }, output: { channels } }, [first]) =>
      first.map((_, c) => first[(c % groups) * (channels / groups) + Math.floor(c / groups)]),
    narrow: ({ spec }) => spec,
  },
  outputShape({ groups }, [input], name) {
    if (input.channels % groups === 0) return input;
    const current = `${input.channels} channels`, wanted = `a multiple of its ${groups} groups`;
    throw new ShapeError({ act: "apply layer", thing: name, current, wanted });
  },
  parameters: () => [],
  forward(context) {
    const { spec: { groups }, x, y } = context;
    context.emit(shuffled(context, { pass: "forward", groups, x, y }));
  },
  backward(context) {
    const { spec: { groups }, output: { channels }, dy, dx } = context;
    if (dx) context.emit(shuffled(context, { pass: "backward", groups: channels / groups, x: dy, y: dx }));
  },
});

const slopes = `
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;

fn slope(column: u32) -> vec4f {
  let quad = read_values(params.offset + column * (1u - params.shared_slope));
  return select(quad, vec4f(quad.x), params.shared_slope == 1u);
}
`;
const preluParams = "struct Params { quads_total: u32, quads: u32, offset: u32, shared_slope: u32 }";
const forwardText = `
// include dispatch
${preluParams}
${slopes}
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let quad = read_x(i);
  write_y(i, select(slope(i % params.quads) * quad, quad, quad > vec4f(0.0)));
}
`;
const backwardText = `
// include dispatch
${preluParams}
${slopes}
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  write_dx(i, read_dy(i) * select(slope(i % params.quads), vec4f(1.0), read_x(i) > vec4f(0.0)));
}
`;
/** Behind the library's core \`reduce/columns\`: the terms of a slope's gradient. */
const slopeTermText = `
struct Params { rows: u32, quads: u32, rows_per_chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

fn term(row: u32, quad: u32) -> vec4f {
  let i = row * params.quads + quad;
  return select(read_x(i) * read_dy(i), vec4f(0.0), read_x(i) > vec4f(0.0));
}
`;
/** The sum of all lanes of some quads. */
const totalText = `
struct Params { quads: u32, offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(1)
fn main() {
  var sum = vec4f(0.0);
  for (var i = 0u; i < params.quads; i++) {
    sum += read_x(i);
  }
  write_y(params.offset, vec4f(dot(sum, vec4f(1.0)), 0.0, 0.0, 0.0));
}
`;

/** y = x where x > 0, else slope x. Source: He et al. 2015, "Delving deep into rectifiers", arXiv 1502.01852. */
const prelu = defineLayer({
  kind: "test/prelu",
  fields: { shared: z.boolean().default(false) },
  channels: channelwise({ ofConstant: keepZero, sign: "kept", onlyRearranges: false }),
  outputShape: (_spec, [input]) => input,
  parameters({ shared }, { channels: all }) {
    const channels = shared ? 1 : all, initial = { constant: 0.25 };
    return [{ name: "slope", role: "scale", rows: 1, taps: 1, channels, shape: [channels], shared, initial }];
  },
  forward({ spec, name, batch, output, x, y, offsetOf, emit }) {
    const total = batch * quadsPerExample(output);
    emit(dispatchOver(total, {
      kernel: "prelu_forward",
      text: forwardText,
      label: `${name} forward`,
      bindings: { x, values: arenaRef("values"), y },
      params: {
        quads_total: total,
        quads: countQuads(output.channels),
        offset: offsetOf("slope"),
        shared_slope: spec.shared ? 1 : 0,
      },
    }));
  },
  backward({ spec, name, batch, output, x, dy, dx, offsetOf, scratch, emit }) {
    const total = batch * quadsPerExample(output), quads = countQuads(output.channels), rows = total / quads;
    const gradients = arenaRef("gradients"), offset = offsetOf("slope"), sums = scratch("slopes", quads);
    emit(...sumColumns({
      label: `${name} backward slope`,
      term: "prelu_slope",
      text: slopeTermText,
      bindings: { x, dy },
      ...{ rows, quads, scale: 1, scratch: scratch("chunks", splitRows(rows).chunks * quads) },
      ...(spec.shared ? { out: sums, offset: 0 } : { out: gradients, offset }),
    }));
    if (spec.shared) {
      emit(dispatchOver(1, {
        kernel: "prelu_total",
        text: totalText,
        label: `${name} backward slope`,
        bindings: { x: sums, y: gradients },
        params: { quads, offset },
      }));
    }
    if (!dx) return;
    emit(dispatchOver(total, {
      kernel: "prelu_backward",
      text: backwardText,
      label: `${name} backward`,
      bindings: { x, values: arenaRef("values"), dy, dx },
      params: { quads_total: total, quads, offset, shared_slope: spec.shared ? 1 : 0 },
    }));
  },
});

const layers = [shuffle, prelu];

/** Both layers in f64. */
const own: Readonly<Record<string, OwnPass>> = {
  "test/shuffle": (layer, [x]) => {
    const { groups } = layer as unknown as { readonly groups: number }, [images, channels] = x.shape;
    const area = x.values.length / images / channels, positions = channels / groups;
    const from = (i: number) => {
      const image = Math.floor(i / area / channels), c = Math.floor(i / area) % channels;
      return (image * channels + (c % groups) * positions + Math.floor(c / groups)) * area + i % area;
    };
    return {
      y: tensorOf(x.shape, x.values.map((_, i) => x.values[from(i)])),
      backward(dy) {
        const dx = new Float64Array(dy.values.length);
        for (const [i, value] of dy.values.entries()) dx[from(i)] = value;
        return { dxs: [tensorOf(x.shape, dx)] };
      },
    };
  },
  "test/prelu": (_layer, [x], of) => {
    const slope = of("slope"), [images, channels] = x.shape, area = x.values.length / images / channels;
    const at = (i: number) => slope.values.length === 1 ? 0 : Math.floor(i / area) % channels;
    return {
      y: tensorOf(x.shape, x.values.map((value, i) => value > 0 ? value : slope.values[at(i)] * value)),
      backward(dy) {
        const gradient = new Float64Array(slope.values.length);
        for (const [i, value] of x.values.entries()) {
          if (!(value > 0)) gradient[at(i)] += value * dy.values[i];
        }
        const dx = dy.values.map((value, i) => x.values[i] > 0 ? value : slope.values[at(i)] * value);
        return { dxs: [tensorOf(x.shape, dx)], parameters: { slope: tensorOf(slope.shape, gradient) } };
      },
    };
  },
};

/** A network of both: grouped convolutions with shuffles between, as in ShuffleNet, slopes of both kinds, a sum. */
function shuffleNet(input: Graph["input"]): Graph {
  const conv = { kind: "conv2d", kernel: 3, padding: 1 };
  return parseGraph(
    {
      name: "shuffle net",
      input,
      layers: [
        { ...conv, name: "conv1", outChannels: 12, stride: 2 },
        { kind: "test/prelu", name: "prelu1", shared: true },
        { kind: "test/shuffle", name: "shuffle1", groups: 3 },
        { ...conv, name: "conv2", outChannels: 18, groups: 3 },
        { kind: "batchnorm2d", name: "bn2" },
        { kind: "test/prelu", name: "prelu2" },
        { kind: "test/shuffle", name: "shuffle2", groups: 2 },
        { ...conv, name: "conv3", outChannels: 12 },
        { kind: "add", name: "sum", inputs: ["conv3", "shuffle1"] },
        { kind: "relu", name: "relu" },
        { kind: "flatten", name: "flatten" },
        { kind: "linear", name: "fc", outFeatures: 4 },
      ],
    },
    "a test",
    { layers },
  );
}

const input = { channels: 3, height: 9, width: 9 };

for (const path of readPaths) {
  for (const mode of ["train", "score", "evaluate"] as const) {
    // Tolerances as in tests/plan/lower_test.ts.
    Deno.test(`a graph's own layers compute ${mode} on ${path} as their f64 reference`, async () => {
      const graph = shuffleNet(input), parameters = parametersOf(graph);
      const images = randomTensor([batch, input.channels, input.height, input.width], 1);
      const labels = Uint32Array.from({ length: 4 * countQuads(batch) }, (_, i) => i % 4);
      const given = { images, labels: labels.subarray(0, batch), trains: mode === "train", own };
      const want = referencePass(graph, parameters, given);
      const got = await runStep(path, graph, { mode, images, labels, parameters });
      const relative = 2 * F32_ROUNDOFF * roundingsOf(graph);
      const check = (name: string, values: ArrayLike<number>, wanted: ArrayLike<number>) =>
        assertClose(values, wanted, { name, tolerance: relative * Math.max(1e-2, maxAbs(wanted)) });
      check("logits", got.logits, want.logits.values);
      if (mode === "evaluate") return;
      const names = Object.keys(want.gradients);
      assertEquals(names.filter((name) => name.endsWith("slope")).sort(), ["prelu1.slope", "prelu2.slope"]);
      for (const name of names) {
        check(`gradient of ${name}`, got.gradients.get(name)!, want.gradients[name].values);
      }
    });
  }
}

Deno.test("coupleChannels() follows channels through a shuffle, as worked out by hand", () => {
  const graph = parseGraph(
    {
      name: "hand",
      input,
      layers: [
        { kind: "conv2d", name: "a", outChannels: 6, kernel: 1 },
        { kind: "test/shuffle", name: "shuffle", groups: 2 },
        { kind: "test/prelu", name: "each" },
        { kind: "test/prelu", name: "all", shared: true },
        { kind: "globalavgpool2d", name: "pool" },
        { kind: "linear", name: "b", outFeatures: 4 },
      ],
    },
    "hand",
    { layers },
  );
  const { groups, groupOf } = coupleChannels(graph);
  // Channels 0 and 3 lie at the same position of both groups; the shuffle puts them side by side.
  assertEquals(groupOf.slice(0, 3), [[0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]]);
  const slice = (parameter: string, axis: string) => (index: number) => ({ parameter, axis, index });
  assertEquals(groups[1].producers, [
    ...[1, 4].map(slice("a.weight", "row")),
    ...[1, 4].map(slice("a.bias", "channel")),
    ...[2, 3].map(slice("each.slope", "channel")),
  ]);
  assertEquals(groups[1].consumers, [2, 3].map(slice("b.weight", "channel")));
});

/** A chain that a seed chooses, of the library's layers and those of this file, whose last map is read by a sum. */
function randomChain(seed: number): Graph {
  const draw = openDraw(seed, "own layers"), chain: Record<string, unknown>[] = [];
  let channels = 6 * (1 + draw(2));
  const add = (layer: Record<string, unknown>) => chain.push({ name: `layer${chain.length}`, ...layer });
  const convolve = (outChannels: number, groups = 1) => {
    add({ kind: "conv2d", outChannels, kernel: draw(2) === 0 ? 1 : 3, padding: 1, groups });
    channels = outChannels;
  };
  convolve(channels);
  for (let step = 0; step < 4 + draw(4); step++) {
    const choose = [
      () => convolve(6 * (1 + draw(2))),
      () => convolve(6 * (1 + draw(2)), [2, 3, channels][draw(3)]),
      () => add({ kind: "test/shuffle", groups: [1, 2, 3, 6][draw(4)] }),
      () => add({ kind: "test/prelu", shared: draw(2) === 0 }),
      () => add({ kind: "batchnorm2d" }),
      () => {
        add({ kind: "test/shuffle", groups: 2 });
        const from = chain.at(-1)!.name;
        add({ kind: "test/shuffle", groups: 3 });
        add({ kind: "add", inputs: [chain.at(-1)!.name, from] });
      },
      () => {
        const from = chain.at(-1)!.name;
        add({ kind: "test/prelu" });
        add({ kind: "concat", inputs: [from, chain.at(-1)!.name] });
        channels *= 2;
      },
    ];
    // Depthwise needs as many filters, or twice.
    choose[channels > 24 ? 0 : draw(choose.length)]();
  }
  add({ kind: draw(2) === 0 ? "flatten" : "globalavgpool2d" });
  add({ kind: "linear", outFeatures: 3 });
  const value = { name: `own ${seed}`, input: { channels: 2, height: 5, width: 5 }, layers: chain };
  return parseGraph(value, "random", { layers });
}

Deno.test("planCompaction() keeps the logits of graphs with layers of their own, whatever groups go", () => {
  let smaller = 0, graphs = 0;
  for (let seed = 0; seed < 80; seed++) {
    const graph = randomChain(seed), draw = openDraw(seed, "groups");
    try {
      resolveGraph(graph);
    } catch (error) {
      // Some chains end up with filters that their groups do not divide.
      if (error instanceof ShapeError) continue;
      throw error;
    }
    graphs++;
    const layout = layOutParameters(graph), { groups } = coupleChannels(graph);
    const removed = groups.keys().filter(() => draw(3) === 0).toArray();
    const mask = maskGroups(layout, groups, { removed, mask: fullMask(layout) });
    const arenas = randomArenas(graph, seed);
    const masked = { ...arenas, values: arenas.values.map((value, i) => value * mask[i]) };
    const compaction = planCompaction(graph, { mask });
    const images = randomTensor([2, 2, 5, 5], seed);
    const want = logitsOf(graph, masked, images, own);
    const got = logitsOf(compaction.graph, gatherArenas(compaction, masked), images, own);
    assertClose(got, want, { tolerance: 1e-12 * Math.max(1, maxAbs(want)), name: graph.name });
    if (compaction.removedGroups.size > 0) smaller++;
  }
  assert(graphs > 40 && smaller > 30, `${smaller} of ${graphs} graphs became smaller`);
});

Deno.test("a model with layers of its own trains, loses channels, is compacted, saved and loaded", async () => {
  const gpu = await deviceOf(), files = memoryFiles(), dataset = tinyDataset(), start = gpu.allocatedBytes;
  {
    const graph = shuffleNet({ channels: 1, height: 8, width: 8 });
    using model = new Model(gpu, graph, { task: dataset, seed: 2 });
    const options = { epochs: 4, batch: 16, learningRate: 0.05, optimizer: sgd(), seed: 1 };
    await model.train(dataset.train, options);
    const trained = await model.evaluate(dataset.test);
    assert(trained.accuracy > 0.9, `${trained.accuracy}`);
    const { parameters: state } = await model.state();
    for (const name of ["prelu1.slope", "prelu2.slope"]) {
      assert(state.get(name)!.every((slope) => slope !== 0.25), `${name} is trained`);
    }
    await model.score(dataset.train, { examples: 48, seed: 0, by: "magnitude" });
    await model.remove(500, { granularity: "channel" });
    const pruned = await model.evaluate(dataset.test);
    const report = await model.compact(dataset.test);
    assert(report.after.parameters < report.before.parameters);
    const widths = new Map(resolveGraph(model.graph).map(({ spec, output }) => [spec.name, output.channels]));
    assert(widths.get("conv1")! < 12 || widths.get("conv2")! < 18);
    const compacted = await model.evaluate(dataset.test);
    assertEquals(compacted.accuracy, pruned.accuracy);
    await model.train(dataset.train, { ...options, epochs: 1 });
    await model.save("own.safetensors", files);
    using loaded = await Model.load(gpu, "own.safetensors", files, { layers });
    assertEquals(await loaded.state(), await model.state());
    assertEquals(await loaded.evaluate(dataset.test), await model.evaluate(dataset.test));
    await assertRejects(() => Model.load(gpu, "own.safetensors", files), ConfigError, "layers.1.kind");
  }
  assertEquals(gpu.allocatedBytes, start, "a disposed model leaves nothing");
});

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
