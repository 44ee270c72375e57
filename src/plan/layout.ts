/**
 * The layout of parameters: trained ones in arenas of one kind, statistics in arenas of another. Each parameter
 * begins at a quad, at the same offset in the arenas of values, gradients, masks, moments, means and scores. Weights
 * come first, so that an operation on weights alone, such as their decay, covers the quads below one number.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { type Graph, resolveGraph } from "../model/graph.ts";
import type { ParameterSpec } from "../model/layer.ts";
import { quadsOf } from "../shape.ts";

/** A parameter and its offset. */
export interface PlacedParameter extends ParameterSpec {
  /** The layer's name and the parameter's, such as `conv1.weight`. */
  readonly fullName: string;
  /** The name of the random stream of its first values, which does not depend on layer names. */
  readonly stream: string;
  /** First quad in its arena. */
  readonly offset: number;
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
  /** Quads of an arena of trained parameters. */
  readonly quads: number;
  /** Quads of an arena of statistics. */
  readonly statisticsQuads: number;
  /** Quads of the weights, which lie first among the trained parameters. */
  readonly weightQuads: number;
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
export function layerNameOf({ fullName, name }: PlacedParameter): string {
  return fullName.slice(0, fullName.length - name.length - 1);
}

/** Lays out the parameters of a model. They are listed in the order of the layers, not of their offsets. */
export function layOutParameters(graph: Graph): ParameterLayout {
  const nodes = resolveGraph(graph);
  const quadsOfParameter = ({ rows, taps, channels }: ParameterSpec) => rows * taps * quadsOf(channels);
  const weightQuads = nodes.flatMap((node) => node.parameters).filter(({ role }) => role === "weight")
    .reduce((sum, parameter) => sum + quadsOfParameter(parameter), 0);
  const next = { weights: 0, values: weightQuads, statistics: 0 };
  const parameters = nodes.flatMap(({ spec, stream: layer, parameters }) =>
    parameters.map((parameter): PlacedParameter => {
      const { role, rows, taps, channels } = parameter;
      const arena = role === "statistic" ? "statistics" : "values";
      const part = role === "weight" ? "weights" : arena;
      const rowQuads = taps * quadsOf(channels);
      const offset = next[part];
      next[part] += rows * rowQuads;
      const sizes = { rowQuads, quads: rows * rowQuads, count: rows * taps * channels };
      const fullName = `${spec.name}.${parameter.name}`;
      const stream = `${layer}.${parameter.name}`;
      return { ...parameter, fullName, stream, offset, ...sizes, arena, prunable: role === "weight" };
    })
  );
  const total = (kept: readonly PlacedParameter[]) => kept.reduce((sum, { count }) => sum + count, 0);
  return {
    parameters,
    quads: next.values,
    weightQuads,
    statisticsQuads: next.statistics,
    count: total(parameters.filter(({ arena }) => arena === "values")),
    prunableCount: total(parameters.filter(({ prunable }) => prunable)),
  };
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
  { rows, taps, channels, rowQuads, offset }: PlacedParameter,
  visit: (index: number, at: number) => void,
): void {
  const tapFloats = 4 * quadsOf(channels);
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let tap = 0; tap < taps; tap++) {
        const at = 4 * (offset + row * rowQuads) + tap * tapFloats + channel;
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
