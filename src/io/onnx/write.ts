/**
 * Models as ONNX files of operators of version 17, with PyTorch's names and an open batch.
 *
 * @module
 */
import { create } from "@bufbuild/protobuf";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataType,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "onnx-buf";
import { countClasses, type Graph, resolveGraph } from "../../model/graph.ts";
import { checkMask } from "../check_values.ts";
import type { StoredModel } from "../model_file.ts";
import type { ValueNames } from "../pretrained.ts";
import { describeModel } from "../model_metadata.ts";
import { encodeModelProto } from "./protobuf.ts";
import { makeWriter, type OnnxWriter } from "./writer.ts";
import { writeLayer } from "./write_layers.ts";

/** The version of ONNX's operators that is written, and that of the file format which goes with it. */
const opset = 17n, irVersion = 8n;

/** A model to write: of a file of others it may not be known how images are normalised. */
export type WrittenModel =
  & Pick<StoredModel, "graph" | "parameters" | "masks">
  & Partial<StoredModel>
  & { readonly valueNames?: ValueNames | undefined };

/**
 * Writes a model as the bytes of an ONNX file; the same model gives the same bytes. Removed weights are zeros; masks, mean
 * and deviation of images and the classes stand in the metadata, for winnow.
 *
 * @throws {ConfigError} If the model has layers of its own, whose operators winnow does not know.
 * @throws {FormatError} If a mask removes a weight that is not 0.
 */
export function encodeOnnx(
  { graph, parameters, masks, valueNames, ...task }: WrittenModel,
): Uint8Array<ArrayBuffer> {
  const writer = makeWriter();
  const nodes = resolveGraph(graph), removing = new Map<string, Float32Array>();
  for (const [i, node] of nodes.entries()) {
    for (const { name, shape } of node.parameters) {
      const fullName = `${node.spec.name}.${name}`,
        values = parameters.get(fullName)!,
        mask = masks.get(fullName);
      if (mask) checkMask(values, mask, { act: "write model", thing: `${graph.name}, ${fullName}`, shape });
      if (mask?.includes(0)) removing.set(fullName, mask);
      writer.tensors.set(fullName, { shape, values });
    }
    writeLayer(writer, { node, sources: node.sources.map((source) => writer.values[source + 1]), graph });
    if (writer.values.length !== i + 2) throw new Error(`layer ${node.spec.name} gave no value`);
  }
  writer.end(graph.output);
  const input = renameValue(writer, "input", valueNames?.input);
  const output = renameValue(writer, "logits", valueNames?.output);
  const { normalization, classes, examples } = task;
  const metadata = normalization && classes
    ? describeModel({
      masks: removing,
      normalization,
      classes,
      ...(examples === undefined ? {} : { examples }),
    })
    : {};
  return encodeModelProto(create(ModelProtoSchema, {
    irVersion,
    producerName: "winnow",
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: "", version: opset })],
    metadataProps: Object.entries(metadata).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value })
    ),
    graph: create(GraphProtoSchema, {
      name: graph.name,
      node: writer.nodes,
      initializer: writer.initializers(),
      input: [describeImages(input, graph)],
      output: [describeFloats(output, [countClasses(graph, nodes)])],
    }),
  }));
}

/** Gives a value another name, if there is one that nothing else has. */
function renameValue({ nodes, tensors }: OnnxWriter, from: string, to: string | undefined): string {
  const isTaken = nodes.some(({ input, output }) => [...input, ...output].includes(to ?? ""));
  if (to === undefined || to === "" || tensors.has(to) || isTaken) return from;
  const rename = (name: string) => name === from ? to : name;
  for (const node of nodes) {
    node.input = node.input.map(rename);
    node.output = node.output.map(rename);
  }
  return to;
}

function describeImages(name: string, { input: { channels, height, width } }: Graph): ValueInfoProto {
  return describeFloats(name, [channels, height, width]);
}

/** A value of floats (batch, ...sizes). */
function describeFloats(name: string, sizes: readonly number[]): ValueInfoProto {
  const dim = [
    create(TensorShapeProto_DimensionSchema, { value: { case: "dimParam", value: "batch" } }),
    ...sizes.map((size) =>
      create(TensorShapeProto_DimensionSchema, { value: { case: "dimValue", value: BigInt(size) } })
    ),
  ];
  const value = create(TypeProto_TensorSchema, {
    elemType: TensorProto_DataType.FLOAT,
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value } }),
  });
}
