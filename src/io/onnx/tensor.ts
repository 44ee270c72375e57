/**
 * Tensors of ONNX files as numbers.
 *
 * @module
 */
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType } from "onnx-buf";
import { FormatError } from "../../errors.ts";
import { parameterFloats } from "../safetensors_values.ts";

/** Numbers that a file holds, or that follow from them. */
export interface OnnxTensor {
  /** Size of each dimension; empty for a scalar. */
  readonly shape: readonly number[];
  /**
   * The numbers, last dimension fastest. Integers are in 64-bit floats. Sizes are integers, and NaN is the size of a
   * batch that the file leaves open.
   */
  readonly values: Float32Array | Float64Array;
  /** True for integers and truth values. */
  readonly isInteger: boolean;
}

/** The bytes of the files beside an ONNX file that hold its external data, by `location`. */
export type ExternalData = ReadonlyMap<string, Uint8Array>;

/** The number of elements of a shape. */
export function countElements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A vector of integers, such as a shape. */
export function integerVector(values: readonly number[]): OnnxTensor {
  return { shape: [values.length], values: Float64Array.from(values), isInteger: true };
}

const { FLOAT, FLOAT16, BFLOAT16, DOUBLE, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL } =
  TensorProto_DataType;

/** Float types by the names that safetensors give them, with bytes per number. */
const floats = new Map([
  [FLOAT, { dtype: "F32", bytes: 4 }],
  [FLOAT16, { dtype: "F16", bytes: 2 }],
  [BFLOAT16, { dtype: "BF16", bytes: 2 }],
  [DOUBLE, { dtype: "F64", bytes: 8 }],
]);

/** How the bytes of integer types are read, with bytes per number. */
const integers = new Map<TensorProto_DataType, {
  readonly bytes: number;
  readonly at: (view: DataView, offset: number) => number;
}>([
  [INT8, { bytes: 1, at: (view, offset) => view.getInt8(offset) }],
  [UINT8, { bytes: 1, at: (view, offset) => view.getUint8(offset) }],
  [BOOL, { bytes: 1, at: (view, offset) => view.getUint8(offset) }],
  [INT16, { bytes: 2, at: (view, offset) => view.getInt16(offset, true) }],
  [UINT16, { bytes: 2, at: (view, offset) => view.getUint16(offset, true) }],
  [INT32, { bytes: 4, at: (view, offset) => view.getInt32(offset, true) }],
  [UINT32, { bytes: 4, at: (view, offset) => view.getUint32(offset, true) }],
  [INT64, { bytes: 8, at: (view, offset) => Number(view.getBigInt64(offset, true)) }],
  [UINT64, { bytes: 8, at: (view, offset) => Number(view.getBigUint64(offset, true)) }],
]);

/** True for a type of floats that are read. */
export function isFloatType(type: number): boolean {
  return floats.has(type);
}

/**
 * Reads a tensor.
 *
 * @param thing The file and the tensor, for messages.
 * @throws {FormatError} If its type is not read, its sizes and its numbers differ, or its file or a part of it is
 *   missing.
 */
export function readTensor(
  tensor: TensorProto,
  { thing, external }: { readonly thing: string; readonly external: ExternalData },
): OnnxTensor {
  const shape = tensor.dims.map(Number),
    count = countElements(shape),
    type: TensorProto_DataType = tensor.dataType;
  if (shape.some((size) => size < 0) || !Number.isSafeInteger(count)) {
    throw refusal(thing, `sizes ${shape.join(" x ")}`, "sizes from 0 on whose product a number can hold");
  }
  const float = floats.get(type), integer = integers.get(type);
  if (!float && !integer) {
    const current = `its type is ${TensorProto_DataType[type] ?? `number ${type}`}`;
    throw refusal(thing, current, "float, float16, bfloat16, double or an integer type");
  }
  const bytes = findBytes(tensor, thing, external);
  if (!bytes) {
    const values = readTypedValues(tensor, type);
    checkCount(values.length, count, { thing, shape });
    if (!float) return { shape, values, isInteger: true };
    return { shape, values: Float32Array.from(values), isInteger: false };
  }
  const size = (float ?? integer!).bytes;
  checkCount(bytes.length / size, count, { thing, shape });
  if (float) {
    return { shape, values: parameterFloats({ ...float, bytes, shape }, thing), isInteger: false };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    shape,
    values: Float64Array.from({ length: count }, (_, i) => integer!.at(view, i * size)),
    isInteger: true,
  };
}

/** The bytes of a tensor, in the file or in another; undefined if it stands in the fields of its type. */
function findBytes(tensor: TensorProto, thing: string, external: ExternalData): Uint8Array | undefined {
  if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) {
    return tensor.rawData.length > 0 ? tensor.rawData : undefined;
  }
  const { location, offset, length } = findExternalPart(tensor), file = external.get(location);
  if (!file) throw refusal(thing, `its data lies in "${location}", which was not read`, "that file");
  const end = length === undefined ? file.length : offset + length;
  if (!(offset >= 0 && end >= offset && end <= file.length)) {
    throw refusal(thing, `bytes ${offset} to ${end} of "${location}"`, `bytes up to ${file.length}`);
  }
  return file.subarray(offset, end);
}

/** Where external data lies. */
export function findExternalPart(
  { externalData }: TensorProto,
): { readonly location: string; readonly offset: number; readonly length?: number } {
  const entries = new Map(externalData.map(({ key, value }) => [key, value]));
  const length = entries.get("length");
  return {
    location: entries.get("location") ?? "",
    offset: Number(entries.get("offset") ?? 0),
    ...(length === undefined ? {} : { length: Number(length) }),
  };
}

/** The numbers in the fields of a type. Those of 16-bit floats are their bits. */
function readTypedValues(tensor: TensorProto, type: TensorProto_DataType): Float64Array | Float32Array {
  if (type === FLOAT) return Float32Array.from(tensor.floatData);
  if (type === DOUBLE) return Float64Array.from(tensor.doubleData);
  if (type === INT64) return Float64Array.from(tensor.int64Data, Number);
  if (type === UINT64 || type === UINT32) return Float64Array.from(tensor.uint64Data, Number);
  const half = type === FLOAT16 || type === BFLOAT16;
  if (!half) return Float64Array.from(tensor.int32Data);
  const bytes = new Uint8Array(Uint16Array.from(tensor.int32Data).buffer);
  return parameterFloats({ ...floats.get(type)!, bytes }, tensor.name);
}

function checkCount(
  found: number,
  count: number,
  { thing, shape }: { readonly thing: string; readonly shape: readonly number[] },
): void {
  if (found === count) return;
  const wanted = shape.length === 0
    ? "1, as it is a scalar"
    : `${count}, as its sizes are ${shape.join(" x ")}`;
  throw refusal(thing, `${found} numbers`, wanted);
}

function refusal(thing: string, current: string, wanted: string): FormatError {
  return new FormatError({ act: "read tensor", thing, current, wanted });
}
