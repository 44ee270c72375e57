/**
 * A summary of a model, layer by layer.
 *
 * @module
 */
import { type FeatureShape, shapeText } from "../shape.ts";
import { type Graph, imagesName, resolveGraph } from "./graph.ts";

/** One layer of a summary. */
export interface LayerSummary {
  /** Its name. */
  readonly name: string;
  /** Its kind, such as `conv2d`. */
  readonly kind: string;
  /** The layers that it reads, `input` for the images. */
  readonly inputs: readonly string[];
  /** True if it reads the layer before it, as layers do by default. */
  readonly takesPrevious: boolean;
  /** Its output for one image: (C, H, W), or (F) for a vector. */
  readonly output: readonly number[];
  /** The output as text, such as `16 x 32 x 32`. */
  readonly outputText: string;
  /** Trained numbers. */
  readonly parameters: number;
  /** Running statistics, which are kept but not trained. */
  readonly statistics: number;
  /** Multiplications and additions in pairs of its products, for one image. */
  readonly multiplyAdds: number;
}

/** All layers of a model, and their sums. */
export interface ModelSummary {
  /** The model's name. */
  readonly name: string;
  /** The input images: (C, H, W). */
  readonly input: readonly number[];
  /** The layers in their order. */
  readonly layers: readonly LayerSummary[];
  /** Trained numbers in all. */
  readonly parameters: number;
  /** Trained numbers that pruning may remove: the weights of convolutions and linear layers. */
  readonly prunable: number;
  /** Running statistics in all. */
  readonly statistics: number;
  /** Multiply-adds of convolutions and linear layers for one image; other layers need few. */
  readonly multiplyAdds: number;
}

/**
 * Summarises a model.
 *
 * @throws {ShapeError} If a layer does not fit its inputs, naming the layer and the shapes.
 * @throws {ConfigError} If a layer reads a layer that does not come before it.
 */
export function summarizeModel(graph: Graph): ModelSummary {
  const { name, input: { channels, height, width } } = graph;
  const nodes = resolveGraph(graph);
  const layers = nodes.map(({ spec, sources, output, parameters }, i): LayerSummary => {
    const sumOf = (keeps: (role: string) => boolean) =>
      parameters.filter(({ role }) => keeps(role))
        .reduce((sum, { rows, taps, channels }) => sum + rows * taps * channels, 0);
    return {
      name: spec.name,
      kind: spec.kind,
      inputs: sources.map((source) => source < 0 ? imagesName : nodes[source].spec.name),
      takesPrevious: sources.length === 1 && sources[0] === i - 1,
      output: listSides(output),
      outputText: shapeText(output),
      parameters: sumOf((role) => role !== "statistic"),
      statistics: sumOf((role) => role === "statistic"),
      // Every weight is used once per pixel of the output.
      multiplyAdds: sumOf((role) => role === "weight") * output.height * output.width,
    };
  });
  const total = (key: "parameters" | "statistics" | "multiplyAdds") =>
    layers.reduce((sum, layer) => sum + layer[key], 0);
  const weights = nodes.flatMap(({ parameters }) => parameters).filter(({ role }) => role === "weight");
  return {
    name,
    input: [channels, height, width],
    layers,
    parameters: total("parameters"),
    prunable: weights.reduce((sum, { rows, taps, channels }) => sum + rows * taps * channels, 0),
    statistics: total("statistics"),
    multiplyAdds: total("multiplyAdds"),
  };
}

/**
 * Counts the removed weights.
 *
 * @param masks Masks by full name; 1 keeps, 0 removes. Masks of parameters that are not weights are ignored.
 */
export function countRemoved(graph: Graph, masks: ReadonlyMap<string, Float32Array>): number {
  const weights = resolveGraph(graph).flatMap(({ spec, parameters }) =>
    parameters.filter(({ role }) => role === "weight").map(({ name }) => masks.get(`${spec.name}.${name}`))
  );
  return weights.reduce((sum, mask) => sum + (mask?.filter((keep) => keep === 0).length ?? 0), 0);
}

function listSides({ channels, height, width, taps }: FeatureShape): readonly number[] {
  return height === 1 && width === 1 ? [channels * taps] : [channels, height, width];
}
