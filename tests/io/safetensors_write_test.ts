import { assertEquals, assertThrows } from "@std/assert";
import { FormatError, ShapeError } from "../../src/errors.ts";
import {
  type NewTensor,
  readSafetensors,
  tensorFloats,
  tensorIntegers,
  writeSafetensors,
} from "../../src/io/safetensors.ts";
import { sharedPath } from "../helpers/shared.ts";

Deno.test("tensorFloats() converts every float type", () => {
  const floats = (
    dtype: string,
    values: ArrayBufferView,
  ) => [
    ...tensorFloats(
      { dtype, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) },
      "t",
    ),
  ];
  assertEquals(floats("F32", Float32Array.of(0.1, -0)), [Math.fround(0.1), -0]);
  assertEquals(floats("F64", Float64Array.of(0.1, -Infinity)), [Math.fround(0.1), -Infinity]);
  assertEquals(floats("BF16", Uint16Array.of(0x3f80, 0xc000, 0x7f80)), [1, -2, Infinity]);
  // One, the largest finite, the smallest normal, the smallest subnormal, minus zero, infinities, not a number.
  const halves = Uint16Array.of(0x3c00, 0x7bff, 0x0400, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x7e00);
  assertEquals(floats("F16", halves), [1, 65504, 2 ** -14, 2 ** -24, -0, Infinity, -Infinity, NaN]);
  assertThrows(
    () => floats("I32", Int32Array.of(1)),
    FormatError,
    'Cannot read floats of "t": its type is I32',
  );
});

Deno.test("tensorIntegers() converts every integer type", () => {
  const integers = (
    dtype: string,
    values: ArrayBufferView,
  ) => [
    ...tensorIntegers(
      { dtype, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) },
      "t",
    ),
  ];
  assertEquals(integers("I32", Int32Array.of(-1, 2 ** 31 - 1)), [-1, 2 ** 31 - 1]);
  assertEquals(integers("I64", BigInt64Array.of(-(2n ** 31n), 7n)), [-(2 ** 31), 7]);
  assertEquals(integers("U8", Uint8Array.of(0, 255)), [0, 255]);
  assertEquals(integers("BOOL", Uint8Array.of(0, 1)), [0, 1]);
  assertThrows(
    () => integers("I64", BigInt64Array.of(0n, 2n ** 31n)),
    FormatError,
    "I64 2147483648 at its byte 8",
  );
  assertThrows(
    () => integers("BOOL", Uint8Array.of(1, 2)),
    FormatError,
    "BOOL 2 at its byte 1, expected 0 or 1",
  );
  assertThrows(() => integers("F32", Float32Array.of(1)), FormatError, "expected I32, I64, U8 or BOOL");
});

const MIXED: readonly NewTensor[] = [
  { name: "mask", dtype: "BOOL", shape: [3], values: Uint8Array.of(1, 0, 1) },
  { name: "b", dtype: "F32", shape: [2, 1], values: Float32Array.of(1.5, -0) },
  { name: "labels", dtype: "I32", shape: [], values: Int32Array.of(-7) },
  { name: "__proto__", dtype: "F32", shape: [0], values: new Float32Array(0) },
  { name: "pixels", dtype: "U8", shape: [1], values: Uint8Array.of(9) },
];

Deno.test("writeSafetensors() writes what readSafetensors() reads", () => {
  const { tensors, metadata } = readSafetensors(writeSafetensors(MIXED, { b: "2", a: "é\n" }), "m");
  assertEquals([...tensors.keys()], ["__proto__", "b", "labels", "pixels", "mask"]);
  assertEquals(Object.entries(metadata), [["a", "é\n"], ["b", "2"]]);
  for (const { name, dtype, shape, values } of MIXED) {
    const tensor = tensors.get(name)!;
    assertEquals([tensor.dtype, tensor.shape], [dtype, shape]);
    const read = dtype === "F32" ? tensorFloats(tensor, name) : tensorIntegers(tensor, name);
    assertEquals([...read], [...values]);
    assertEquals(tensor.bytes.byteOffset % values.BYTES_PER_ELEMENT, 0);
  }
});

Deno.test("writeSafetensors() gives the same bytes in whatever order the tensors come", () => {
  const forward = writeSafetensors(MIXED, { a: "1", b: "2" });
  assertEquals(writeSafetensors(MIXED.toReversed(), { b: "2", a: "1" }), forward);
  assertEquals(Number(new DataView(forward.buffer).getBigUint64(0, true)) % 8, 0);
});

Deno.test("writeSafetensors() orders types, then names, as the reference implementation does", () => {
  // Written out by hand after safetensors' serialize(): F32 before U8, names in order, spaces up to 8 bytes.
  const header = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"c":{"dtype":"F32","shape":[1],' +
    '"data_offsets":[4,8]},"b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}}';
  const file = writeSafetensors([
    { name: "b", dtype: "U8", shape: [2], values: Uint8Array.of(1, 2) },
    { name: "c", dtype: "F32", shape: [1], values: Float32Array.of(2) },
    { name: "a", dtype: "F32", shape: [1], values: Float32Array.of(1) },
  ]);
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const values = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 1, 2];
  const expected = Uint8Array.of(
    padded.length,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    ...new TextEncoder().encode(padded),
    ...values,
  );
  assertEquals(file, expected);
  assertEquals(readSafetensors(writeSafetensors([]), "m").tensors.size, 0);
});

Deno.test("writeSafetensors() refuses what could not be read again", () => {
  const a: NewTensor = { name: "a", dtype: "F32", shape: [2], values: new Float32Array(2) };
  assertThrows(
    () => writeSafetensors([{ ...a, shape: [3] }]),
    ShapeError,
    "2 values, expected 3 for shape (3)",
  );
  assertThrows(() => writeSafetensors([{ ...a, shape: [-1, -2] }]), ShapeError, "shape (-1, -2)");
  assertThrows(() => writeSafetensors([a, a]), FormatError, "the name is there twice");
  assertThrows(() => writeSafetensors([{ ...a, name: "__metadata__" }]), FormatError, "the name is reserved");
  assertThrows(() => writeSafetensors([{ ...a, name: "\ud800" }]), FormatError, "surrogate");
  assertThrows(() => writeSafetensors([], { a: "\udc00" }), FormatError, "surrogate");
  const mask: NewTensor = { name: "m", dtype: "BOOL", shape: [1], values: Uint8Array.of(2) };
  assertThrows(() => writeSafetensors([mask]), FormatError, "a BOOL above 1");
});

const goldens = sharedPath("goldens");
for (const name of ["ops", "resnet20", "training"]) {
  Deno.test(
    `readSafetensors() reads ${name}.safetensors of PyTorch`,
    { ignore: goldens === undefined },
    async () => {
      const bytes = await Deno.readFile(`${goldens}/${name}.safetensors`);
      const { tensors, metadata } = readSafetensors(bytes, name);
      const rewritten: NewTensor[] = [...tensors].map(([name, tensor]) => {
        const { dtype, shape } = tensor;
        return dtype === "F32"
          ? { name, dtype, shape, values: tensorFloats(tensor, name) }
          : { name, dtype: "I32", shape, values: tensorIntegers(tensor, name) };
      });
      const again = readSafetensors(writeSafetensors(rewritten, metadata), name);
      assertEquals(Object.entries(again.metadata).sort(), Object.entries(metadata).sort());
      assertEquals(again.tensors.size, tensors.size);
      const differing = [...tensors].filter(([name, { bytes }]) =>
        again.tensors.get(name)!.bytes.some((byte, i) => byte !== bytes[i])
      );
      assertEquals(differing.map(([name]) => name), []);
    },
  );
}
