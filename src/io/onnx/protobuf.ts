/**
 * The bytes of an ONNX file as messages and back, by @bufbuild/protobuf and onnx-buf, the messages of onnx.proto3.
 *
 * @module
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ModelProto, ModelProtoSchema } from "onnx-buf";
import { FormatError } from "../../errors.ts";
import { recognizeFileKind } from "../../file_kinds.ts";

/**
 * Decodes a file. Weights stay views of its bytes.
 *
 * @param name The file's name, for messages.
 * @throws {FormatError} If it is another kind of file, is damaged, or holds no graph.
 */
export function decodeModelProto(bytes: Uint8Array, name: string): ModelProto {
  const kind = recognizeFileKind(bytes);
  if (kind && kind.name !== onnxKind) throw refusal(name, `it is ${kind.name}`);
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw refusal(name, `its protobuf is damaged (${error instanceof Error ? error.message : error})`);
  }
  if (!model.graph) throw refusal(name, "it holds no graph");
  return model;
}

/** Encodes a model; the same model gives the same bytes. */
export function encodeModelProto(model: ModelProto): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, model);
}

/** What `recognizeFileKind` calls an ONNX file. */
const onnxKind = "an ONNX model";

function refusal(thing: string, current: string): FormatError {
  return new FormatError({ act: "read", thing, current, wanted: onnxKind });
}
