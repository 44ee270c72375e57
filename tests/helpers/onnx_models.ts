/**
 * Small ONNX files for tests, made message by message.
 *
 * @module
 */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from "onnx-buf";

/** Numbers of a tensor, with their sizes: floats, or integers of 64 bits. */
export interface TestTensor {
  readonly shape: readonly number[];
  readonly floats?: readonly number[];
  readonly integers?: readonly number[];
}

/** A node: its operator, what it reads and gives, and its attributes. */
export interface TestNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, number | readonly number[] | string | TestTensor>>;
  /** Attributes that are floats. */
  readonly floats?: Readonly<Record<string, number>>;
}

/** A tensor of floats whose numbers follow from their index. */
export function testTensor(...shape: readonly number[]): TestTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, floats: Array.from({ length: count }, (_, i) => ((i * 37) % 23 - 11) / 16) };
}

/** Integers as a vector. */
export function integers(...values: readonly number[]): TestTensor {
  return { shape: [values.length], integers: values };
}

/** One float. */
export function scalar(value: number): TestTensor {
  return { shape: [], floats: [value] };
}

/** A tensor as a message. */
export function tensorMessage(name: string, { shape, floats, integers }: TestTensor) {
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    ...(integers ? { dataType: TensorProto_DataType.INT64, int64Data: integers.map(BigInt) } : {
      dataType: TensorProto_DataType.FLOAT,
      rawData: new Uint8Array(Float32Array.from(floats ?? []).buffer),
    }),
  });
}

/** Where the numbers of a tensor lie outside of the file. */
export function locateData(entries: Readonly<Record<string, string>>) {
  return Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
}

function attributeMessage(name: string, value: number | readonly number[] | string | TestTensor) {
  if (typeof value === "number") {
    return create(AttributeProtoSchema, { name, type: Type.INT, i: BigInt(value) });
  }
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: new TextEncoder().encode(value) });
  }
  if ("shape" in value) {
    return create(AttributeProtoSchema, { name, type: Type.TENSOR, t: tensorMessage("", value) });
  }
  return create(AttributeProtoSchema, { name, type: Type.INTS, ints: value.map(BigInt) });
}

/** An input or output of floats. */
export function imageMessage(name: string, sizes: readonly (number | string)[]) {
  const dim = sizes.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof size === "number"
        ? { case: "dimValue", value: BigInt(size) }
        : { case: "dimParam", value: size },
    })
  );
  const value = create(TypeProto_TensorSchema, {
    elemType: TensorProto_DataType.FLOAT,
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value } }),
  });
}

/** What a file holds. */
export interface TestModel {
  readonly nodes: readonly TestNode[];
  readonly tensors?: Readonly<Record<string, TestTensor>>;
  /** Sizes of the images `x`. Default: N x 3 x 8 x 8. */
  readonly input?: readonly (number | string)[];
  /** The name of the output. Default: that of the last node. */
  readonly output?: string;
  readonly opset?: number;
}

/** The message of a file. */
export function modelMessage(
  { nodes, tensors = {}, input = ["N", 3, 8, 8], output, opset = 17 }: TestModel,
): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: "test",
    opsetImport: [{ domain: "", version: BigInt(opset) }],
    graph: create(GraphProtoSchema, {
      name: "test",
      input: [imageMessage("x", input)],
      output: [imageMessage(output ?? nodes.at(-1)!.outputs[0], ["N", 2])],
      initializer: Object.entries(tensors).map(([name, tensor]) => tensorMessage(name, tensor)),
      node: nodes.map(({ op, inputs, outputs, name = "", domain = "", attributes = {}, floats = {} }) =>
        create(NodeProtoSchema, {
          opType: op,
          domain,
          name,
          input: [...inputs],
          output: [...outputs],
          attribute: [
            ...Object.entries(attributes).map(([key, value]) => attributeMessage(key, value)),
            ...Object.entries(floats).map(([key, f]) =>
              create(AttributeProtoSchema, { name: key, type: Type.FLOAT, f })
            ),
          ],
        })
      ),
    }),
  });
}

/** The bytes of a file. */
export function onnxFile(model: TestModel): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, modelMessage(model));
}
