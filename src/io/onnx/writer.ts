/**
 * The nodes and tensors of an ONNX file that is being written.
 *
 * @module
 */
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from "onnx-buf";
import type { OutputFunction } from "../../model/graph.ts";

/** A value: a map (N, C, H, W), or a vector (N, F). */
export interface WrittenValue {
  readonly name: string;
  readonly isMap: boolean;
}

/** Numbers with their shape: floats, or integers. */
export interface WrittenTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | readonly number[];
}

/** An attribute: a text, whole numbers, or a number that is a float. */
export type WrittenAttribute = string | number | readonly number[] | { readonly float: number };

/** A node to write. */
export interface WrittenNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly attributes?: Readonly<Record<string, WrittenAttribute>>;
  /** The name of its output. Default: its own. */
  readonly output?: string;
}

/** The file so far. */
export interface OnnxWriter {
  readonly nodes: NodeProto[];
  /** Tensors by name; they are written in this order if a node reads them. */
  readonly tensors: Map<string, WrittenTensor>;
  /** The images, then what each layer gives. */
  readonly values: WrittenValue[];
  /** Adds a node and returns the name of its output. */
  add(node: WrittenNode): string;
  /** Adds a tensor and returns its name. */
  tensor(name: string, tensor: WrittenTensor): string;
  /** Makes the last value the file's output, as a vector, after a function if there is one. */
  end(output: OutputFunction | undefined): void;
  /** The tensors as messages. */
  initializers(): TensorProto[];
}

/** Starts a file whose images are named `input`. */
export function makeWriter(): OnnxWriter {
  const nodes: NodeProto[] = [], tensors = new Map<string, WrittenTensor>();
  const values: WrittenValue[] = [{ name: "input", isMap: true }];
  const writer: OnnxWriter = {
    nodes,
    tensors,
    values,
    add({ op, name, inputs, attributes = {}, output = `${name}/output` }) {
      nodes.push(create(NodeProtoSchema, {
        opType: op,
        name,
        input: [...inputs],
        output: [output],
        attribute: Object.entries(attributes).map(([key, value]) => encodeAttribute(key, value)),
      }));
      return output;
    },
    tensor(name, tensor) {
      tensors.set(name, tensor);
      return name;
    },
    end(output) {
      const logits = toVector(writer, values.at(-1)!, "logits");
      if (output !== undefined) {
        const operators = { softmax: "Softmax", logsoftmax: "LogSoftmax", sigmoid: "Sigmoid" };
        const attributes: Readonly<Record<string, number>> = output === "sigmoid" ? {} : { axis: 1 };
        writer.add({ op: operators[output], name: output, inputs: [logits], attributes });
      }
      nodes.at(-1)!.output = ["logits"];
    },
    initializers: () => [...tensors].map(([name, tensor]) => encodeTensor(name, tensor)),
  };
  return writer;
}

/** The name of a value as a vector (N, F); the node that makes it one is named after the layer that reads it. */
export function toVector(writer: OnnxWriter, { name, isMap }: WrittenValue, reader: string): string {
  if (!isMap) return name;
  return writer.add({ op: "Flatten", name: `${reader}/flatten`, inputs: [name], attributes: { axis: 1 } });
}

/** The name of a value as a map (N, C, H, W). */
export function toMap(writer: OnnxWriter, { name, isMap }: WrittenValue, reader: string): string {
  if (isMap) return name;
  const axes = writer.tensor("pixel axes", { shape: [2], values: [2, 3] });
  return writer.add({ op: "Unsqueeze", name: `${reader}/unsqueeze`, inputs: [name, axes] });
}

const { INT, INTS, FLOAT, STRING } = AttributeProto_AttributeType;

function encodeAttribute(name: string, value: WrittenAttribute) {
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: STRING, s: new TextEncoder().encode(value) });
  }
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: INT, i: BigInt(value) });
  if ("float" in value) return create(AttributeProtoSchema, { name, type: FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: INTS, ints: value.map(BigInt) });
}

function encodeTensor(name: string, { shape, values }: WrittenTensor): TensorProto {
  const dims = shape.map(BigInt);
  if (values instanceof Float32Array) {
    // A view: nothing is copied before the file is encoded.
    const rawData = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
    return create(TensorProtoSchema, { name, dims, dataType: TensorProto_DataType.FLOAT, rawData });
  }
  return create(TensorProtoSchema, {
    name,
    dims,
    dataType: TensorProto_DataType.INT64,
    int64Data: values.map(BigInt),
  });
}
