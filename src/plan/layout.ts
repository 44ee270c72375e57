/**
 * The layout of parameters: trained ones in arenas of one kind, statistics in arenas of another. Each parameter
 * begins at a quad, at the same offset in the arenas of values, gradients, masks, moments, means and scores. An arena
 * that is larger than one binding is cut into windows. Weights come first in a window, so that an operation on weights
 * alone, such as their decay, covers the quads below one number.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import type { ParameterSpec } from "../model/layer.ts";
import { countQuads } from "../shape.ts";
import { type ArenaWindow, cutWindows, tooLarge, wholeWindow } from "./windows.ts";

/** A parameter and its offset. */
export interface PlacedParameter extends ParameterSpec {
  /** The layer's name and the parameter's, such as `conv1.weight`. */
  readonly fullName: string;
  /** The name of the random stream of its first values, which does not depend on layer names. */
  readonly stream: string;
  /** The part of its arena that kernels bind to reach it. */
  readonly window: ArenaWindow;
  /** First quad in its window, as kernels count. */
  readonly offset: number;
  /** First quad in its arena, as the host counts. */
  readonly first: number;
  /** What `first` would be if all parameters lay in one window: hashes and ties do not depend on windows. */
  readonly ordinal: number;
  /** Quads of one row: taps times quads of the channels. */
  readonly rowQuads: number;
  /** Quads in all. */
  readonly quads: number;
  /** Numbers in all, without padding. */
  readonly count: number;
  readonly arena: "values" | "statistics";
  /** True for the weights that pruning may remove. */
  readonly prunable: boolean;
}

/** All parameters of a model with their offsets. */
export interface ParameterLayout {
  readonly parameters: readonly PlacedParameter[];
  /** The parts of an arena of trained parameters that kernels bind; one if it fits in one binding. */
  readonly windows: readonly ArenaWindow[];
  /** Quads of a window, at most. */
  readonly bindingQuads: number;
  /** Quads of an arena of trained parameters. */
  readonly quads: number;
  /** Quads of an arena of statistics. */
  readonly statisticsQuads: number;
  /** Number of trained parameters. */
  readonly count: number;
  /** Number of weights that pruning may remove. */
  readonly prunableCount: number;
}

/**
 * The taps that PyTorch counts among the columns of a weight. In a linear layer after a flatten, column c * taps + t
 * is channel c at tap t. The taps of a convolution are lines of their own: 1.
 */
export function foldedTaps({ shape, taps }: ParameterSpec): number {
  return shape.length === 2 ? taps : 1;
}

/** The name of the layer that a parameter belongs to. */
export function getLayerName({ fullName, name }: PlacedParameter): string {
  return fullName.slice(0, fullName.length - name.length - 1);
}

/** The name of the layer that the full name of a parameter begins with. */
export function parseLayerName(fullName: string): string {
  return fullName.slice(0, fullName.lastIndexOf("."));
}

/**
 * Lays out the parameters of a model. They are listed in the order of the layers, not of their offsets.
 *
 * @param bindingQuads Quads of an arena that kernels bind at once, at most. Default: any number.
 * @throws {ShapeError} If the parameters of one layer, or all statistics, are more.
 */
export function layOutParameters(graph: Graph, bindingQuads = Infinity): ParameterLayout {
  const nodes = resolveGraph(graph), owners = windowOwners(nodes);
  const parts = nodes.map(({ spec: { name } }) => ({ name, weightQuads: 0, quads: 0 }));
  let statisticsQuads = 0;
  for (const [i, { parameters }] of nodes.entries()) {
    const part = parts[owners[i]];
    for (const parameter of parameters) {
      const quads = quadsOfParameter(parameter);
      if (parameter.role === "statistic") statisticsQuads += quads;
      else part.quads += quads;
      if (parameter.role === "weight") part.weightQuads += quads;
    }
  }
  if (statisticsQuads > bindingQuads) {
    throw tooLarge(["place statistics of", graph.name], statisticsQuads, bindingQuads);
  }
  const { windows, windowOf } = cutWindows(parts, bindingQuads);
  const statistics = wholeWindow(statisticsQuads, 0);
  const nextOf = ({ first, weightQuads }: ArenaWindow) => ({ weight: first, other: first + weightQuads });
  const next = windows.map(nextOf), nextStatistic = nextOf(statistics);
  const nextOrdinal = { weight: 0, other: parts.reduce((sum, { weightQuads }) => sum + weightQuads, 0) };
  const parameters = nodes.flatMap(({ spec, stream: layer, parameters }, node) =>
    parameters.map((parameter): PlacedParameter => {
      const { role, rows, taps, channels } = parameter, quads = quadsOfParameter(parameter);
      const index = windowOf[owners[node]], isStatistic = role === "statistic";
      const window = isStatistic ? statistics : windows[index];
      const kind = role === "weight" ? "weight" : "other";
      const take = (from: typeof nextOrdinal) => (from[kind] += quads) - quads;
      const first = take(isStatistic ? nextStatistic : next[index]);
      return {
        ...parameter,
        fullName: `${spec.name}.${parameter.name}`,
        stream: `${layer}.${parameter.name}`,
        window,
        offset: first - window.first,
        first,
        ordinal: isStatistic ? first : take(nextOrdinal),
        rowQuads: quads / rows,
        quads,
        count: rows * taps * channels,
        arena: isStatistic ? "statistics" : "values",
        prunable: role === "weight",
      };
    })
  );
  const total = (kept: readonly PlacedParameter[]) => kept.reduce((sum, { count }) => sum + count, 0);
  const last = windows[windows.length - 1];
  return {
    parameters,
    windows,
    bindingQuads,
    quads: last.first + last.quads,
    statisticsQuads,
    count: total(parameters.filter(({ arena }) => arena === "values")),
    prunableCount: total(parameters.filter(({ prunable }) => prunable)),
  };
}

function quadsOfParameter({ rows, taps, channels }: ParameterSpec): number {
  return rows * taps * countQuads(channels);
}

/** The layer in whose window each layer's parameters lie: itself, or the layer before a norm, which may apply the norm. */
function windowOwners(nodes: readonly GraphNode[]): readonly number[] {
  const owners: number[] = [];
  for (const [i, { type, sources: [source] }] of nodes.entries()) {
    const isBehind = type.normForm !== undefined && source >= 0 && nodes[source].parameters.length > 0;
    owners.push(isBehind ? owners[source] : i);
  }
  return owners;
}

/**
 * Copies a parameter from PyTorch's order (rows, channels, taps) into an arena, at its offset.
 *
 * @param arena Floats of the whole arena, 4 per quad.
 * @throws {ShapeError} If the number of values differs.
 */
export function placeParameter(
  parameter: PlacedParameter,
  values: ArrayLike<number>,
  arena: Float32Array,
): void {
  const { fullName, count } = parameter;
  if (values.length !== count) {
    const current = `${values.length} values`;
    throw new ShapeError({ act: "place parameter", thing: fullName, current, wanted: `${count}` });
  }
  forEachValue(parameter, (i, at) => arena[at] = values[i]);
}

/** The inverse of `placeParameter`: returns the values in PyTorch's order. */
export function takeParameter(parameter: PlacedParameter, arena: Float32Array): Float32Array {
  const values = new Float32Array(parameter.count);
  forEachValue(parameter, (i, at) => values[i] = arena[at]);
  return values;
}

/** Calls `visit` with each value's index in PyTorch's order and the index of its float in the arena. */
function forEachValue(
  { rows, taps, channels, rowQuads, first }: PlacedParameter,
  visit: (index: number, at: number) => void,
): void {
  const tapFloats = 4 * countQuads(channels);
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let tap = 0; tap < taps; tap++) {
        const at = 4 * (first + row * rowQuads) + tap * tapFloats + channel;
        visit((row * channels + channel) * taps + tap, at);
      }
    }
  }
}

/** The mask before any pruning: 1 for every trained parameter, 0 in the padding. */
export function fullMask({ parameters, quads }: ParameterLayout): Float32Array {
  const mask = new Float32Array(4 * quads);
  for (const parameter of parameters) {
    if (parameter.arena === "values") forEachValue(parameter, (_, at) => mask[at] = 1);
  }
  return mask;
}
