/**
 * Each layer as the nodes of an ONNX file. The last node of a layer has the layer's name.
 *
 * @module
 */
import { ConfigError } from "../../errors.ts";
import type { Graph } from "../../model/graph.ts";
import type { LayerSpec } from "../../model/layers/index.ts";
import { toPair, type Windows } from "../../shape.ts";
import { activations } from "./write_activations.ts";
import type { LayerToWrite, LibrarySpec, SpecOf, WriteLayer } from "./written_layer.ts";
import { type OnnxWriter, toMap, toVector, type WrittenNode, type WrittenValue } from "./writer.ts";

/** How each kind is written. */
const layers: { readonly [Kind in LibrarySpec["kind"]]: WriteLayer<SpecOf<Kind>> } = {
  ...activations,
  add: (writer, layer) => writeSeveral(writer, layer, layer.sources.length === 2 ? "Add" : "Sum"),
  avgpool2d: (writer, { node: { spec }, sources }) =>
    writeMap(writer, spec.name, "AveragePool", sources, {
      ...describeWindows(spec),
      "count_include_pad": spec.countsPadding === false ? 0 : 1,
    }),
  batchnorm2d: writeBatchNorm,
  concat: (writer, layer) => writeSeveral(writer, layer, "Concat", { axis: 1 }),
  conv2d: writeConvolution,
  dropout: writeDropout,
  flatten: writeFlatten,
  globalavgpool2d: (writer, { node: { spec }, sources }) =>
    writeMap(writer, spec.name, "GlobalAveragePool", sources),
  linear: writeLinear,
  maxpool2d: (writer, { node: { spec }, sources }) =>
    writeMap(writer, spec.name, "MaxPool", sources, describeWindows(spec)),
  multiply: (writer, layer) => writeSeveral(writer, layer, "Mul"),
  shuffle: writeShuffle,
  slice: writeSlice,
  subsample: writeSubsample,
};

/**
 * Writes a layer and notes its value.
 *
 * @throws {ConfigError} If it is not one of the library's.
 */
export function writeLayer(
  writer: OnnxWriter,
  { node, sources, graph }: LayerToWrite<LayerSpec> & { readonly graph: Graph },
): void {
  const { kind, name } = node.spec, table: Readonly<Record<string, unknown>> = layers;
  if (!Object.hasOwn(table, kind)) {
    const current = `its layer ${name} is of kind "${kind}"`;
    throw new ConfigError({
      act: "write as ONNX",
      thing: graph.name,
      current,
      wanted: "the library's layers alone",
    });
  }
  writer.values.push((table[kind] as WriteLayer<LayerSpec>)(writer, { node, sources }));
}

type Attributes = WrittenNode["attributes"];

/** A node of one map. */
function writeMap(
  writer: OnnxWriter,
  name: string,
  op: string,
  [source]: readonly WrittenValue[],
  attributes: Attributes = {},
): WrittenValue {
  return { name: writer.add({ op, name, inputs: [toMap(writer, source, name)], attributes }), isMap: true };
}

/** A node of several values of one rank. */
function writeSeveral(
  writer: OnnxWriter,
  { node: { spec: { name } }, sources }: LayerToWrite<LayerSpec>,
  op: string,
  attributes: Attributes = {},
): WrittenValue {
  const isMap = sources.some((source) => source.isMap);
  const inputs = sources.map((source, i) => isMap ? toMap(writer, source, `${name}/${i}`) : source.name);
  return { name: writer.add({ op, name, inputs, attributes }), isMap };
}

/** The attributes of windows. */
function describeWindows({ kernel, stride, padding, paddingAfter = padding }: Omit<Windows, "dilation">) {
  const pads = [...toPair(padding), ...toPair(paddingAfter)];
  return { "kernel_shape": toPair(kernel), strides: toPair(stride), pads };
}

function writeConvolution(
  writer: OnnxWriter,
  { node: { spec }, sources: [source] }: LayerToWrite<SpecOf<"conv2d">>,
): WrittenValue {
  const { name, bias, dilation = 1, groups = 1 } = spec;
  const inputs = [toMap(writer, source, name), `${name}.weight`, ...(bias ? [`${name}.bias`] : [])];
  const attributes = { ...describeWindows(spec), dilations: toPair(dilation), group: groups };
  return { name: writer.add({ op: "Conv", name, inputs, attributes }), isMap: true };
}

function writeLinear(
  writer: OnnxWriter,
  { node: { spec: { name, bias } }, sources: [source] }: LayerToWrite<SpecOf<"linear">>,
): WrittenValue {
  const inputs = [toVector(writer, source, name), `${name}.weight`, ...(bias ? [`${name}.bias`] : [])];
  return { name: writer.add({ op: "Gemm", name, inputs, attributes: { transB: 1 } }), isMap: false };
}

/** ONNX's momentum is the share of the old statistics. */
function writeBatchNorm(
  writer: OnnxWriter,
  { node: { spec }, sources: [source] }: LayerToWrite<SpecOf<"batchnorm2d">>,
): WrittenValue {
  const { name, epsilon, momentum } = spec;
  const inputs = [
    source.name,
    ...["weight", "bias", "running_mean", "running_var"].map((key) => `${name}.${key}`),
  ];
  const attributes = { epsilon: { float: epsilon }, momentum: { float: 1 - momentum } };
  return { name: writer.add({ op: "BatchNormalization", name, inputs, attributes }), isMap: source.isMap };
}

/** A map of one pixel stays one; a layer that needs a vector makes one of it. */
function writeFlatten(
  writer: OnnxWriter,
  { node: { spec: { name }, input }, sources: [source] }: LayerToWrite<SpecOf<"flatten">>,
): WrittenValue {
  if (!source.isMap || input.height === 1 && input.width === 1) return source;
  return {
    name: writer.add({ op: "Flatten", name, inputs: [source.name], attributes: { axis: 1 } }),
    isMap: false,
  };
}

function writeDropout(
  writer: OnnxWriter,
  { node: { spec: { name, p } }, sources: [source] }: LayerToWrite<SpecOf<"dropout">>,
): WrittenValue {
  const ratio = writer.tensor(`${name}.ratio`, { shape: [], values: Float32Array.of(p) });
  return { name: writer.add({ op: "Dropout", name, inputs: [source.name, ratio] }), isMap: source.isMap };
}

/** Groups and positions as two dimensions, which change places. */
function writeShuffle(
  writer: OnnxWriter,
  { node: { spec: { name, groups }, input: { channels, height, width } }, sources: [source] }: LayerToWrite<
    SpecOf<"shuffle">
  >,
): WrittenValue {
  const shape = (part: string, ...sizes: readonly number[]) =>
    writer.tensor(`${name}.${part}`, { shape: [sizes.length + 3], values: [0, ...sizes, height, width] });
  const grouped = writer.add({
    op: "Reshape",
    name: `${name}/groups`,
    inputs: [toMap(writer, source, name), shape("groups", groups, channels / groups)],
  });
  const turned = writer.add({
    op: "Transpose",
    name: `${name}/transpose`,
    inputs: [grouped],
    attributes: { perm: [0, 2, 1, 3, 4] },
  });
  return {
    name: writer.add({ op: "Reshape", name, inputs: [turned, shape("channels", channels)] }),
    isMap: true,
  };
}

function writeSlice(
  writer: OnnxWriter,
  { node: { spec: { name, first, outChannels } }, sources: [source] }: LayerToWrite<SpecOf<"slice">>,
): WrittenValue {
  const integer = (part: string, value: number) =>
    writer.tensor(`${name}.${part}`, { shape: [1], values: [value] });
  const inputs = [
    toMap(writer, source, name),
    integer("starts", first),
    integer("ends", first + outChannels),
    integer("axes", 1),
  ];
  return { name: writer.add({ op: "Slice", name, inputs }), isMap: true };
}

/** Every stride-th pixel, then channels of zeros. */
function writeSubsample(
  writer: OnnxWriter,
  { node: { spec, input }, sources: [source] }: LayerToWrite<SpecOf<"subsample">>,
): WrittenValue {
  const { name, stride, outChannels } = spec, added = outChannels - input.channels;
  const before = spec.before ?? Math.floor(added / 2),
    integers = (part: string, ...values: readonly number[]) =>
      writer.tensor(`${name}.${part}`, { shape: [values.length], values });
  let value = toMap(writer, source, name);
  if (stride > 1 || added === 0) {
    const { height, width } = input;
    const ranges = [
      integers("starts", 0, 0),
      integers("ends", height, width),
      integers("axes", 2, 3),
      integers("steps", stride, stride),
    ];
    value = writer.add({ op: "Slice", name: added > 0 ? `${name}/slice` : name, inputs: [value, ...ranges] });
  }
  if (added > 0) {
    const pads = integers("pads", 0, before, 0, 0, 0, added - before, 0, 0);
    value = writer.add({ op: "Pad", name, inputs: [value, pads] });
  }
  return { name: value, isMap: true };
}
