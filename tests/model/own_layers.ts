/**
 * Layers that are defined here alone: a channel shuffle, which permutes channels, and a PReLU, which has a slope per
 * channel or one for all; in WGSL, and in f64.
 *
 * @module
 */
import { z } from "zod";
import {
  arenaRef,
  channelwise,
  countQuads,
  defineLayer,
  dispatchOver,
  type Graph,
  keepZero,
  type LayerContext,
  parseGraph,
  quadsPerExample,
  ShapeError,
  splitRows,
  sumColumns,
} from "../../mod.ts";
import type { OwnPass } from "../plan/reference_graph.ts";
import { tensorOf } from "../reference/tensor.ts";

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
export const shuffle = defineLayer({
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
export const prelu = defineLayer({
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
      ...{ rows, quads, scale: 1, scratch: scratch("chunks", splitRows(rows, quads).chunks * quads) },
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

/** All of them. */
export const layers = [shuffle, prelu];

/** Both layers in f64. */
export const own: Readonly<Record<string, OwnPass>> = {
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
export function shuffleNet(input: Graph["input"]): Graph {
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
