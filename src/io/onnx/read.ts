/**
 * ONNX files as models: their nodes become layers, their tensors parameters.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import type { Files } from "../../files.ts";
import { type Graph, imagesName, parseGraph } from "../../model/graph.ts";
import type { LayerSpec } from "../../model/layers/index.ts";
import { mapShape } from "../../shape.ts";
import { layOutParameters } from "../../plan/layout.ts";
import { checkValues } from "../check_values.ts";
import { metadataKeys, readMasks, readTask } from "../model_metadata.ts";
import type { PretrainedModel } from "../pretrained.ts";
import { familyNormalization } from "../recognize.ts";
import type { ImageSize } from "../recognize_chain.ts";
import {
  type FeatureValue,
  type GraphBuilder,
  isTensor,
  type NodeInputs,
  type OnnxValue,
  readFeatures,
  refuseNode,
} from "./builder.ts";
import { hasChannelsLast, imageSizes } from "./channels_last.ts";
import { findExternalData } from "./external.ts";
import { folds } from "./fold.ts";
import { describeNode, type OnnxGraph, type OnnxNode, readOnnxGraph } from "./graph.ts";
import { renewInputs } from "./old_forms.ts";
import { operators, partedOperators } from "./operators.ts";
import { type FusedOperator, fuseOperator } from "./patterns.ts";
import { decodeModelProto } from "./protobuf.ts";
import { type ExternalData, type OnnxTensor, readTensor } from "./tensor.ts";

/** The most numbers that operators on tensors of a file may make: a gigabyte. */
const maxFolded = 2 ** 28;

/**
 * Reads an ONNX file and the files beside it that hold its external data.
 *
 * @param name The file's path.
 * @param size Height and width of the images, for a file that leaves them open.
 * @throws {FormatError} If the file is damaged, or has an operator that is not read, by its node.
 * @throws {FileError} If a file of external data cannot be read.
 * @throws {ShapeError} If a layer does not fit its input.
 */
export async function readOnnx(
  bytes: Uint8Array,
  { name, size, files }: { readonly name: string; readonly size: ImageSize; readonly files: Files },
): Promise<PretrainedModel> {
  const model = decodeModelProto(bytes, name);
  const external = await findExternalData(model, { name, files });
  return convertGraph(readOnnxGraph(model, name), { size, external });
}

/** Turns the nodes of a file into a model. */
function convertGraph(
  graph: OnnxGraph,
  { size, external }: { readonly size: ImageSize; readonly external: ExternalData },
): PretrainedModel {
  const { file, input, output } = graph, [batch, channels, height, width] = imageSizes(graph);
  if (channels === undefined) {
    const current = "its number of channels is open";
    throw new FormatError({
      act: "read",
      thing: `${file}, input ${input.name}`,
      current,
      wanted: "a number",
    });
  }
  const images = { channels, height: height ?? size.height, width: width ?? size.width };
  const plan = findNeeded(graph, external);
  const builder = createBuilder(graph, { external, batch, uses: plan.uses });
  const values = new Map<string, OnnxValue>([[input.name, nameImages(graph, images)]]);
  const read = (value: string): OnnxValue | undefined => {
    if (value === "") return undefined;
    const known = values.get(value), tensor = graph.initializers.get(value);
    if (known || !tensor) return known;
    // Once, however many nodes read it.
    const numbers = readTensor(tensor, { thing: `${file}, tensor ${value}`, external });
    values.set(value, numbers);
    return numbers;
  };
  for (const { node, fused } of plan.steps) {
    const given = (fused ? [fused.input] : node.inputs).map(read), inputs = renewInputs(builder, node, given);
    builder.fused = fused;
    const parts = partedOperators.get(node.op);
    const results = parts ? parts(builder, node, inputs) : [convertNode(builder, node, inputs)];
    for (const [i, value] of results.entries()) values.set(node.outputs[i], value);
  }
  return finish(builder, { images, last: read(output) });
}

/** The images as a value. */
function nameImages(graph: OnnxGraph, { channels, height, width }: Graph["input"]): FeatureValue {
  const shape = mapShape(channels, height, width), images = { layer: imagesName, shape };
  if (!hasChannelsLast(graph)) return { ...images, sizes: [channels, height, width] };
  const node = graph.nodes.find(({ inputs }) => inputs.includes(graph.input.name))!;
  return { ...images, sizes: [height, width, channels], pending: { node, isChannelsLast: true } };
}

/** A node that the output depends on, and what it computes together with others. */
interface Step {
  readonly node: OnnxNode;
  readonly fused: FusedOperator | undefined;
}

/** The nodes that the output depends on, in their order, and how many of them read each value. */
function findNeeded(
  graph: OnnxGraph,
  external: ExternalData,
): { readonly steps: readonly Step[]; readonly uses: ReadonlyMap<string, number> } {
  const uses = new Map([[graph.output, 1]]), steps: Step[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((value) => uses.has(value))) continue;
    const fused = fuseOperator({ graph, external }, node);
    for (const input of fused ? [fused.input] : node.inputs) uses.set(input, (uses.get(input) ?? 0) + 1);
    const unread = partedOperators.has(node.op)
      ? undefined
      : node.outputs.slice(1).find((value) => uses.has(value));
    if (unread !== undefined) {
      const thing = `${graph.file}, ${describeNode(node)}`, current = `its output "${unread}" is used`;
      throw new FormatError({ act: "read", thing, current, wanted: "only its first output" });
    }
    steps.push({ node, fused });
  }
  return { steps: steps.reverse(), uses };
}

function createBuilder(
  graph: OnnxGraph,
  { external, batch, uses }: {
    readonly external: ExternalData;
    readonly batch: number | undefined;
    readonly uses: ReadonlyMap<string, number>;
  },
): GraphBuilder {
  let folded = 0;
  return {
    graph,
    file: graph.file,
    external,
    batch,
    uses,
    layers: [],
    parameters: new Map(),
    names: new Map(),
    output: undefined,
    fused: undefined,
    spend(count, node) {
      folded += count;
      if (folded <= maxFolded) return;
      const thing = `${graph.file}, ${describeNode(node)}`,
        current = `${folded} computed numbers up to this node`;
      throw new FormatError({ act: "read", thing, current, wanted: `at most ${maxFolded}` });
    },
  };
}

/** Computes a node on numbers, or reads it as layers. */
function convertNode(builder: GraphBuilder, node: OnnxNode, inputs: NodeInputs): OnnxValue {
  const fold = folds.get(node.op), isFeatures = inputs.some((value) => value && !isTensor(value));
  if (fold && !isFeatures) return fold(inputs as readonly (OnnxTensor | undefined)[], node, builder);
  const operator = operators.get(builder.fused?.op ?? node.op);
  if (!operator) {
    return refuseNode(builder, node, inputs, "its operator is not read", "an operator of docs/onnx.md");
  }
  return operator(builder, node, inputs);
}

/** The model of all layers that the logits depend on. */
function finish(
  builder: GraphBuilder,
  { images, last }: { readonly images: Graph["input"]; readonly last: OnnxValue | undefined },
): PretrainedModel {
  const { graph: { file }, layers, output } = builder;
  const features = last && !isTensor(last) ? last : undefined;
  // What is left to a next operator must be computed, as there is none.
  const logits = features?.pending ? readFeatures(builder, features.pending.node, [features]) : features;
  if (!logits || logits.layer === imagesName) {
    const current = "its output does not depend on a layer",
      wanted = "logits that are computed from the images";
    throw new FormatError({ act: "read", thing: file, current, wanted });
  }
  const graph = parseGraph({
    name: nameModel(builder.graph),
    input: images,
    layers: keepNeeded(layers, logits.layer),
    ...(output ? { output } : {}),
  }, file);
  const { parameters: places } = layOutParameters(graph);
  const parameters = new Map(places.map(({ fullName, shape, min }) => {
    const values = builder.parameters.get(fullName)!;
    checkValues(values, { act: "read model", thing: `${file}, ${fullName}`, shape, min });
    return [fullName, values] as const;
  }));
  const normalization = familyNormalization(new Map(places.map(({ fullName, shape }) => [fullName, shape])));
  const { input, output: outputName } = builder.graph;
  // Programs that give images with channels in the last dimension must not take a file that is written with them in the first.
  const valueNames = hasChannelsLast(builder.graph) ? undefined : { input: input.name, output: outputName };
  const named = valueNames ? { valueNames } : {};
  // Only winnow writes them.
  const metadata = Object.fromEntries(builder.graph.metadata);
  if (metadata[metadataKeys.input] !== undefined) {
    const masks = readMasks(metadata, { name: file, laidOut: places, parameters });
    return { graph, parameters, masks, ...named, ...readTask(metadata, graph, file) };
  }
  return { graph, parameters, masks: new Map(), ...named, ...(normalization ? { normalization } : {}) };
}

/** The layers that a layer depends on, and itself. Those that read the layer before them need not say so. */
function keepNeeded(layers: readonly LayerSpec[], last: string): readonly LayerSpec[] {
  const needed = new Set([last]);
  for (const { name, inputs } of layers.toReversed()) {
    if (needed.has(name)) { for (const input of inputs!) needed.add(input); }
  }
  const kept = layers.filter(({ name }) => needed.has(name));
  return kept.map((spec, i) => {
    const { inputs, ...rest } = spec, previous = kept[i - 1]?.name ?? imagesName;
    return inputs!.length === 1 && inputs![0] === previous ? rest as LayerSpec : spec;
  });
}

/** The name of a model: its own if winnow wrote the file, otherwise the file's. */
function nameModel({ file, name, producer }: OnnxGraph): string {
  const stem = file.replaceAll("\\", "/").split("/").at(-1)!.replace(/\.onnx$/, "");
  return producer === "winnow" && name !== "" ? name : stem || "onnx";
}
