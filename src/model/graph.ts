/**
 * Models as plain data: an input shape, and layers in the order of their computation. They come from a JSON file or a
 * preset. A layer reads the layer before it, or the layers that it names.
 *
 * @module
 */
import { z } from "zod";
import type { ImageTask } from "../data/split.ts";
import { ConfigError, ShapeError } from "../errors.ts";
import { describeRefusal } from "../schema_words.ts";
import { countFeatures, type FeatureShape, imageBounds, mapShape, shapeText } from "../shape.ts";
import type { LayerType, ParameterSpec } from "./layer.ts";
import { getLayerType, layerSchemas, type LayerSpec } from "./layers/index.ts";
import type { LayerDefinition } from "./own_layer.ts";

/** The property with a graph's own layers: a symbol, which files do not hold and copies of the graph keep. */
export const ownLayers: unique symbol = Symbol("layers of a graph's own");

/** The property with the images that a graph was made for: a symbol, which files do not hold and copies of the graph keep. */
export const madeFor: unique symbol = Symbol("the images of a graph");

/** A model: layers from images to logits, each after the layers that it reads. */
export interface Graph {
  /** Its name in reports and messages. */
  readonly name: string;
  /** The input images: (C, H, W), C at most 64, H and W in pixels. */
  readonly input: { readonly channels: number; readonly height: number; readonly width: number };
  /** The layers from images to logits. Names are unique; the last layer gives the logits. */
  readonly layers: readonly LayerSpec[];
  /** What is applied to the logits in files of other programs; winnow's results are the logits. Default: nothing. */
  readonly output?: OutputFunction | undefined;
  /** Layers besides the library's, as passed to `parseGraph`. */
  readonly [ownLayers]?: readonly LayerDefinition[];
  /** The images that it was made for, as a preset makes it for a data set. */
  readonly [madeFor]?: ImageTask;
}

/** The layers besides the library's that a graph was made with. */
export function getOwnLayers(graph: Graph): readonly LayerDefinition[] {
  return graph[ownLayers] ?? [];
}

/** A function of logits that a network may end with. */
export type OutputFunction = "softmax" | "logsoftmax" | "sigmoid";

/** The name of the images in `inputs`. */
export const imagesName = "input";

/** A layer with its input and output shapes and its parameters. */
export interface GraphNode {
  readonly spec: LayerSpec;
  readonly type: LayerType<LayerSpec>;
  /**
   * The name of its stream of random numbers, such as `conv2` for the second convolution: no result depends on layer
   * names.
   */
  readonly stream: string;
  /** The indices of the layers that it reads; -1 for the images. */
  readonly sources: readonly number[];
  /** The shapes of its inputs, and of the first input. */
  readonly inputs: readonly FeatureShape[];
  readonly input: FeatureShape;
  readonly output: FeatureShape;
  readonly parameters: readonly ParameterSpec[];
}

/** Validates a model of the library's layers and others. */
function graphSchema(layers: readonly LayerDefinition[]) {
  const own = layers.map(({ schema }) => schema as typeof layerSchemas[number]);
  return z.strictObject({
    name: z.string().min(1),
    input: z.strictObject({
      channels: z.int().min(1).max(imageBounds.channels),
      height: z.int().min(1).max(imageBounds.side),
      width: z.int().min(1).max(imageBounds.side),
    }),
    layers: z.array(z.discriminatedUnion("kind", [...layerSchemas, ...own])).min(1),
    output: z.enum(["softmax", "logsoftmax", "sigmoid"]).optional(),
  });
}

const libraryGraph = graphSchema([]);

/** Maximum number of layers of a model. Larger models are refused unread. */
export const maxLayers = 10_000;

/** Maximum number of a model's trained numbers and statistics. */
const maxParameters = 2 ** 31;

/** The layers that a model may have besides the library's. */
export interface GraphOptions {
  /** Layers made by `defineLayer`. Default: those that the value was made with, if it is a graph. */
  readonly layers?: readonly LayerDefinition[];
}

/**
 * Reads a model from a parsed JSON file.
 *
 * @param source The file's name, for messages.
 * @throws {ConfigError} If a key is wrong, naming the first; or if two of the given layers have the same kind.
 */
export function parseGraph(value: unknown, source: string, options: GraphOptions = {}): Graph {
  const { layers } = (value ?? {}) as { readonly layers?: unknown };
  const own = options.layers ?? getOwnLayers((value ?? {}) as Graph);
  const kinds = own.map(({ kind }) => kind), repeated = kinds.find((kind, i) => kinds.indexOf(kind) < i);
  if (repeated !== undefined) {
    const current = `two layers of kind "${repeated}"`;
    throw new ConfigError({ act: "read model", thing: source, current, wanted: "one layer per kind" });
  }
  if (Array.isArray(layers) && layers.length > maxLayers) {
    const current = `${layers.length} layers`, wanted = `at most ${maxLayers}`;
    throw new ConfigError({ act: "read model", thing: source, current, wanted });
  }
  const schema = own.length === 0 ? libraryGraph : graphSchema(own), parsed = schema.safeParse(value);
  if (!parsed.success) {
    const { at, current, wanted = "a model (docs/models.md)" } = describeRefusal(schema, value, parsed.error);
    throw new ConfigError({ act: "read model", thing: `${source}, ${at || "top level"}`, current, wanted });
  }
  const names = new Set<string>();
  const twice = parsed.data.layers.find(({ name }) => names.size === names.add(name).size)?.name;
  if (names.has(imagesName)) {
    const current = `a layer named ${imagesName}`;
    throw new ConfigError({
      act: "read model",
      thing: source,
      current,
      wanted: "another name: it is the images'",
    });
  }
  if (twice !== undefined) {
    const current = `two layers named ${twice}`;
    throw new ConfigError({ act: "read model", thing: source, current, wanted: "one name per layer" });
  }
  return own.length === 0 ? parsed.data : { ...parsed.data, [ownLayers]: own };
}

/**
 * Resolves the sources, shapes and parameters of every layer.
 *
 * @throws {ShapeError} If a layer does not fit its inputs, or is larger than any device could hold.
 * @throws {ConfigError} If a layer reads a layer that does not come before it, or too many layers.
 */
export function resolveGraph(graph: Graph): readonly GraphNode[] {
  const { name: model, input, layers } = graph;
  const own = new Map(getOwnLayers(graph).map(({ kind, type }) => [kind, type]));
  const images = mapShape(input.channels, input.height, input.width);
  const nodes: GraphNode[] = [], indices = new Map(layers.map(({ name }, i) => [name, i]));
  const counts = new Map<string, number>();
  let parameterCount = 0;
  for (const [i, spec] of layers.entries()) {
    const type = own.get(spec.kind) ?? getLayerType(spec);
    const sources = spec.inputs?.map((name) => {
      const source = name === imagesName ? -1 : indices.get(name) ?? -1;
      if (source < i && (source >= 0 || name === imagesName)) return source;
      const current = source < 0
        ? `it takes "${name}", which is no layer`
        : `it takes "${name}", a later layer`;
      const wanted = `"${imagesName}" or the name of a layer before it`;
      throw new ConfigError({ act: "use model", thing: `${model}, layer ${spec.name}`, current, wanted });
    }) ?? [i - 1];
    if (sources.length !== 1 && type.arity !== "several") {
      const current = `a ${spec.kind} with ${sources.length} inputs`;
      throw new ConfigError({
        act: "use model",
        thing: `${model}, layer ${spec.name}`,
        current,
        wanted: "one",
      });
    }
    const inputs = sources.map((source) => source < 0 ? images : nodes[source].output);
    const output = type.outputShape(spec, inputs, spec.name);
    const parameters = type.parameters(spec, inputs[0]);
    checkParameters(parameters, { thing: `${model}, layer ${spec.name}`, input: inputs[0], output });
    parameterCount += parameters.reduce((sum, { rows, taps, channels }) => sum + rows * taps * channels, 0);
    checkSizes({ thing: `${model}, layer ${spec.name}`, output, parameterCount });
    const count = (counts.get(spec.kind) ?? 0) + 1;
    counts.set(spec.kind, count);
    const stream = `${type.stream ?? spec.kind}${count}`;
    nodes.push({ spec, type, stream, sources, inputs, input: inputs[0], output, parameters });
  }
  const read = new Set(nodes.flatMap(({ sources }) => sources));
  const unread = nodes.findIndex((_, i) => i < nodes.length - 1 && !read.has(i));
  if (unread >= 0) {
    const current = "no layer takes its output";
    const wanted = "every layer but the last to be taken by one";
    throw new ConfigError({
      act: "use model",
      thing: `${model}, layer ${layers[unread].name}`,
      current,
      wanted,
    });
  }
  return nodes;
}

/** Refuses parameters that are not laid out by channels as their roles say. */
function checkParameters(parameters: readonly ParameterSpec[], { thing, input, output }: {
  readonly thing: string;
  readonly input: FeatureShape;
  readonly output: FeatureShape;
}): void {
  for (const { name, role, rows, channels, shared = false } of parameters) {
    const refuse = (current: string, wanted: string) => {
      throw new ShapeError({ act: "use model", thing: `${thing}, ${name}`, current, wanted });
    };
    if (role === "weight") {
      if (shared) refuse("a shared weight", "one row per output channel");
      if (name !== "weight") refuse(`a weight called "${name}"`, `the name "weight", one per layer`);
      if (rows !== output.channels) refuse(`${rows} rows`, `${output.channels}, one per output channel`);
      if (input.channels % channels !== 0) {
        refuse(`${channels} channels per row`, `${input.channels} input channels, or a part of them`);
      }
      const groups = input.channels / channels;
      if (rows % groups !== 0) refuse(`${rows} rows`, `a multiple of its ${groups} groups`);
    } else if (!shared && (rows !== 1 || channels !== output.channels)) {
      const current = `${rows} x ${channels} numbers`;
      refuse(current, `1 x ${output.channels}, one per output channel, or "shared"`);
    }
  }
}

/** Maximum size of a layer's output for one image. */
const maxFeatures = 2 ** 31;

/** Refuses a layer that no device could hold, before anything of its size is allocated. */
function checkSizes({ thing, output, parameterCount }: {
  readonly thing: string;
  readonly output: FeatureShape;
  /** Of this layer and those before it. */
  readonly parameterCount: number;
}): void {
  const refuse = (current: string, max: number) => {
    throw new ShapeError({ act: "use model", thing, current, wanted: `at most ${max}` });
  };
  if (countFeatures(output) > maxFeatures) refuse(`an output of ${shapeText(output)}`, maxFeatures);
  if (parameterCount > maxParameters) {
    refuse(`${parameterCount} parameters up to this layer`, maxParameters);
  }
}

/** The number of a model's classes: the number of its logits. */
export function countClasses(graph: Graph, nodes: readonly GraphNode[] = resolveGraph(graph)): number {
  return countFeatures(nodes[nodes.length - 1].output);
}

/** The classification task of a model: what its images are, but for how they are normalised. */
export type ClassificationTask = Omit<ImageTask, "mean" | "std">;

/**
 * Checks that a model reads a data set's images and gives one logit per class.
 *
 * @throws {ShapeError} If it does not.
 */
export function checkGraphFits(graph: Graph, task: ClassificationTask): void {
  const images = shapeText(mapShape(task.channels, task.height, task.width));
  const taken = shapeText(mapShape(graph.input.channels, graph.input.height, graph.input.width));
  const thing = graph.name;
  if (images !== taken) {
    const wanted = `the ${images} of data set ${task.name}`;
    throw new ShapeError({ act: "use model", thing, current: `it takes images of ${taken}`, wanted });
  }
  const nodes = resolveGraph(graph), { output } = nodes[nodes.length - 1];
  const logits = countFeatures(output);
  // The loss reads a vector in quads; other maps of the same size have another layout.
  if (output.height !== 1 || output.width !== 1 || output.taps !== 1) {
    const flattened = `${logits} logits as flattened pixels of ${output.channels}`;
    const current = `it gives ${output.taps === 1 ? `logits as ${shapeText(output)}` : flattened}`;
    throw new ShapeError({ act: "use model", thing, current, wanted: "a vector (end with a linear layer)" });
  }
  if (logits !== task.classes.length) {
    const wanted =
      `${task.classes.length}, one logit per class of data set ${task.name} (--classes makes a new last layer)`;
    throw new ShapeError({ act: "use model", thing, current: `it gives ${logits} logits`, wanted });
  }
}
