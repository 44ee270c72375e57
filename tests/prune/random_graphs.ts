/**
 * Random small graphs that branch and meet, with values for their parameters, and what compaction makes of them in f64.
 *
 * @module
 */
import type { Graph } from "../../src/model/graph.ts";
import { fullMask, layOutParameters, placeParameter, takeParameter } from "../../src/plan/layout.ts";
import { type Compaction, noSource } from "../../src/prune/compact/compact.ts";
import { openRandomStream } from "../../src/random.ts";
import { type OwnPass, referencePass } from "../plan/reference_graph.ts";
import { randomTensor, type RefTensor, tensorOf } from "../reference/tensor.ts";

/** Draws integers in [0, below). */
export type Draw = (below: number) => number;

/** The integers that follow from a seed. */
export function openDraw(seed: number, name = "random graph"): Draw {
  const stream = openRandomStream(seed, name);
  return (below) => Math.min(below - 1, Math.floor(stream.nextUniform() * below));
}

/** What a random graph may be made of besides linear layers: each appends layers and returns the last one's name. */
type Layer = Graph["layers"][number];

interface Map2d {
  readonly name: string;
  readonly channels: number;
  readonly side: number;
}

/** A graph that a seed chooses: images 2 x 6 x 6, 3 to 9 steps that branch and meet, and 3 logits. */
export function randomGraph(seed: number): Graph {
  const draw = openDraw(seed), layers: Layer[] = [];
  const maps: Map2d[] = [{ name: "input", channels: 2, side: 6 }];
  const append = (layer: Layer, channels: number, side: number): Map2d => {
    layers.push(layer);
    const map = { name: layer.name, channels, side };
    maps.push(map);
    return map;
  };
  const name = (kind: string) => `${kind}${layers.length}`;
  const convolve = (from: Map2d, outChannels: number, groups = 1): Map2d => {
    const kernel = draw(2) === 0 ? 1 : 3, padding = (kernel - 1) / 2, bias = draw(2) === 0;
    const conv = {
      kind: "conv2d",
      name: name("conv"),
      inputs: [from.name],
      kernel,
      stride: 1,
      padding,
    } as const;
    return append({ ...conv, outChannels, bias, groups }, outChannels, from.side);
  };
  const normalize = (from: Map2d): Map2d =>
    append(
      { kind: "batchnorm2d", name: name("norm"), inputs: [from.name], epsilon: 1e-3, momentum: 0.1 },
      from.channels,
      from.side,
    );
  const rectify = (from: Map2d): Map2d =>
    append({ kind: "relu", name: name("relu"), inputs: [from.name] }, from.channels, from.side);
  convolve(maps[0], 2 + draw(4));
  const steps = 3 + draw(7);
  for (let step = 0; step < steps; step++) {
    const from = maps[Math.max(1, maps.length - 1 - draw(3))];
    switch (draw(11)) {
      case 0:
        convolve(from, 2 + draw(5));
        break;
      case 1:
        rectify(normalize(convolve(from, 2 + draw(5))));
        break;
      case 2: {
        const inner = rectify(normalize(convolve(from, 2 + draw(4))));
        const outer = normalize(convolve(inner, from.channels));
        const sum = { kind: "add", name: name("sum"), inputs: [outer.name, from.name] } as const;
        rectify(append(sum, from.channels, from.side));
        break;
      }
      case 3: {
        if (from.side < 3) break;
        const side = Math.ceil(from.side / 2), outChannels = from.channels + draw(5);
        const shortcut = {
          kind: "subsample",
          name: name("shortcut"),
          inputs: [from.name],
          stride: 2,
        } as const;
        const padded = append({ ...shortcut, outChannels }, outChannels, side);
        const pool = {
          kind: "avgpool2d",
          name: name("pool"),
          inputs: [from.name],
          kernel: 1,
          stride: 2,
        } as const;
        const halved = append({ ...pool, padding: 0 }, from.channels, side);
        const outer = normalize(convolve(halved, outChannels));
        append({ kind: "add", name: name("sum"), inputs: [padded.name, outer.name] }, outChannels, side);
        break;
      }
      case 4: {
        const peers = maps.slice(1).filter(({ channels, side }) =>
          channels === from.channels && side === from.side
        );
        const other = peers[draw(peers.length)];
        append({ kind: "add", name: name("sum"), inputs: [from.name, other.name] }, from.channels, from.side);
        break;
      }
      case 5: {
        const peers = maps.slice(1).filter(({ side }) => side === from.side),
          other = peers[draw(peers.length)];
        const joined = { kind: "concat", name: name("joined"), inputs: [from.name, other.name] } as const;
        append(joined, from.channels + other.channels, from.side);
        break;
      }
      case 6: {
        // Depthwise: one or two filters a channel.
        const filters = from.channels * (1 + draw(2)), groups = from.channels;
        rectify(normalize(convolve(from, filters, groups)));
        break;
      }
      case 7: {
        const groups = 2 + draw(2), wide = convolve(from, groups * (1 + draw(3)));
        convolve(rectify(wide), groups * (1 + draw(3)), groups);
        break;
      }
      case 8: {
        const pool = { kind: "globalavgpool2d", name: name("pool"), inputs: [from.name] } as const;
        layers.push(pool);
        layers.push({ kind: "linear", name: name("squeeze"), outFeatures: 2 + draw(2), bias: true });
        layers.push({ kind: "relu", name: name("relu") });
        layers.push({
          kind: "linear",
          name: name("expand"),
          outFeatures: from.channels,
          bias: draw(2) === 0,
        });
        const gate = { kind: "sigmoid", name: name("gate") } as const;
        layers.push(gate);
        const product = { kind: "multiply", name: name("product"), inputs: [from.name, gate.name] } as const;
        append(product, from.channels, from.side);
        break;
      }
      case 9: {
        // Both parts are read by what joins them alone, so that no channel is left unread.
        const half = Math.floor(from.channels / 2), rest = from.channels - half;
        const left = { kind: "slice", name: name("left"), inputs: [from.name], first: 0 } as const;
        layers.push({ ...left, outChannels: half });
        const right = { kind: "slice", name: name("right"), inputs: [from.name], first: half } as const;
        layers.push({ ...right, outChannels: rest });
        const outChannels = half + 2 * draw(2), window = { kernel: 1, stride: 1, padding: 0 } as const;
        const conv = { kind: "conv2d", name: name("conv"), outChannels, ...window, bias: true } as const;
        layers.push(conv);
        const joined = { kind: "concat", name: name("joined"), inputs: [left.name, conv.name] } as const;
        const { channels } = append(joined, half + outChannels, from.side);
        append({ kind: "shuffle", name: name("shuffle"), groups: 2 }, channels, from.side);
        break;
      }
      default:
        rectify(from);
    }
  }
  const last = maps[maps.length - 1];
  layers.push({ kind: draw(2) === 0 ? "globalavgpool2d" : "flatten", name: "flatten", inputs: [last.name] });
  if (draw(2) === 0) {
    layers.push({ kind: "linear", name: "hidden", outFeatures: 4, bias: true }, {
      kind: "relu",
      name: "relu",
    });
  }
  layers.push({ kind: "linear", name: "logits", outFeatures: 3, bias: draw(2) === 0 });
  const taken = new Set([layers[layers.length - 1].name]);
  for (const [i, { name, inputs = [layers[i - 1]?.name] }] of [...layers.entries()].reverse()) {
    if (taken.has(name)) { for (const source of inputs) taken.add(source); }
  }
  // A graph has no layers that none takes.
  const needed = layers.filter(({ name }) => taken.has(name));
  return { name: `random ${seed}`, input: { channels: 2, height: 6, width: 6 }, layers: needed };
}

/** Values of all parameters as floats of the arenas, none of them zero; variances positive. */
export function randomArenas(graph: Graph, seed: number): { values: Float32Array; statistics: Float32Array } {
  const layout = layOutParameters(graph);
  const arenas = {
    values: new Float32Array(4 * layout.quads),
    statistics: new Float32Array(4 * layout.statisticsQuads),
  };
  for (const [i, parameter] of layout.parameters.entries()) {
    const { values } = randomTensor([...parameter.shape], 1000 * seed + i);
    const isVariance = parameter.name === "running_var";
    placeParameter(
      parameter,
      values.map((value) => isVariance ? 1 + value / 2 : value || 0.5),
      arenas[parameter.arena],
    );
  }
  return arenas;
}

/** The logits (N, K) of a graph whose parameters lie in arenas, in f64, batch norm by its running statistics. */
export function logitsOf(
  graph: Graph,
  arenas: { readonly values: Float32Array; readonly statistics: Float32Array },
  images: RefTensor,
  own: Readonly<Record<string, OwnPass>> = {},
): Float64Array {
  const parameters = Object.fromEntries(
    layOutParameters(graph).parameters.map((parameter) => {
      const { fullName, shape, arena } = parameter;
      return [fullName, tensorOf([...shape], takeParameter(parameter, arenas[arena]))];
    }),
  );
  const labels = Array(images.shape[0]).fill(0);
  return referencePass(graph, parameters, { images, labels, trains: false, own }).logits.values;
}

/** Takes an arena's numbers where a compaction says, zeros elsewhere. */
export function gatherArena(sources: Uint32Array, arena: Float32Array): Float32Array {
  return Float32Array.from(sources, (source) => source === noSource ? 0 : arena[source]);
}

/** Both arenas of the smaller model, with what took over constants. */
export function gatherArenas(
  { sources, folds }: Compaction,
  arenas: { readonly values: Float32Array; readonly statistics: Float32Array },
): { values: Float32Array; statistics: Float32Array } {
  const gathered = {
    values: gatherArena(sources.values, arenas.values),
    statistics: gatherArena(sources.statistics, arenas.statistics),
  };
  for (const { arena, offset: place, add } of folds) gathered[arena][place] += add;
  return gathered;
}

/** A mask of a graph's arena of which a draw removes about one in `one` of the trained numbers. */
export function randomMask(graph: Graph, draw: Draw, one: number): Float32Array {
  return fullMask(layOutParameters(graph)).map((keep) => draw(one) === 0 ? 0 : keep);
}
