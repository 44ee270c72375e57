import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { parameterFloats, tensorFloats } from "../../src/io/safetensors.ts";

/** A stored tensor of the bytes behind a typed array. */
const stored = (dtype: string, { buffer, byteOffset, byteLength }: ArrayBufferView) => {
  return { dtype, bytes: new Uint8Array(buffer, byteOffset, byteLength) };
};

/** The value of IEEE 754 binary16 bits, by the definition. */
function halfValue(bits: number): number {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction / 2 ** 24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

Deno.test("tensorFloats() reads all 65,536 halves, subnormals, infinities and NaNs among them", () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
  assertEquals(tensorFloats(stored("F16", halves), "t"), Float32Array.from(halves, halfValue));
});

Deno.test("tensorFloats() takes the bits of BF16 as the upper half of an F32's, NaN bits included", () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const bits = new Uint32Array(tensorFloats(stored("BF16", halves), "t").buffer);
  assert(bits.every((word, i) => word === i * 65536));
});

Deno.test("tensorFloats() reads tensors at any alignment", () => {
  const bytes = new Uint8Array(9);
  bytes.set(new Uint8Array(Float64Array.of(0.1).buffer), 1);
  assertEquals([...tensorFloats({ dtype: "F64", bytes: bytes.subarray(1) }, "t")], [Math.fround(0.1)]);
  assertEquals([...tensorFloats({ dtype: "F16", bytes: Uint8Array.of(9, 0, 0x3c).subarray(1) }, "t")], [1]);
});

Deno.test("tensorFloats() rounds F64 to nearest, ties to even, down to the subnormals", () => {
  const half = 2 ** -24, least = 2 ** -149;
  const cases: readonly [number, number][] = [
    [1 + half, 1],
    [1 + 3 * half, 1 + 4 * half],
    [1 + half * (1 + 2 ** -20), 1 + 2 * half],
    [0.75 * least, least],
    [least / 2, 0],
    [-least / 2, -0],
    [2 ** -140 + least / 2, 2 ** -140],
    [NaN, NaN],
    [-Infinity, -Infinity],
  ];
  const wide = Float64Array.from(cases, ([value]) => value);
  assertEquals([...tensorFloats(stored("F64", wide), "t")], cases.map(([, rounded]) => rounded));
});

Deno.test("tensorFloats() refuses a finite F64 that rounds to infinity", () => {
  // The largest F32 is 2^128 - 2^104; from half a step above it on, numbers round up.
  const largest = 2 ** 128 - 2 ** 104, limit = 2 ** 128 - 2 ** 103;
  const below = limit - 2 ** 75;
  assertEquals([...tensorFloats(stored("F64", Float64Array.of(below, -below)), "t")], [largest, -largest]);
  for (const value of [limit, -limit, 1e300]) {
    const wide = stored("F64", Float64Array.of(1, value));
    assertThrows(() => tensorFloats(wide, "m, t"), FormatError, `"m, t": F64 ${value} at its index [1]`);
  }
});

Deno.test("parameterFloats() reads floats, and integers that F32 holds exactly", () => {
  const read = (dtype: string, values: ArrayBufferView) => [...parameterFloats(stored(dtype, values), "t")];
  assertEquals(read("F16", Uint16Array.of(0x3c00)), [1]);
  assertEquals(read("I8", Int8Array.of(-128, 127)), [-128, 127]);
  assertEquals(read("U8", Uint8Array.of(0, 255)), [0, 255]);
  assertEquals(read("I16", Int16Array.of(-32768, 5)), [-32768, 5]);
  assertEquals(read("U16", Uint16Array.of(65535)), [65535]);
  assertEquals(read("I32", Int32Array.of(-(2 ** 24), 2 ** 30)), [-(2 ** 24), 2 ** 30]);
  assertEquals(read("U32", Uint32Array.of(2 ** 31)), [2 ** 31]);
  assertEquals(read("I64", BigInt64Array.of(-(2n ** 63n), 3n)), [-(2 ** 63), 3]);
  assertEquals(read("U64", BigUint64Array.of(2n ** 63n)), [2 ** 63]);
  const odd = 2 ** 24 + 1;
  for (
    const [dtype, values] of [
      ["I32", Int32Array.of(0, odd)],
      ["U32", Uint32Array.of(0, 2 ** 32 - 1)],
      ["I64", BigInt64Array.of(0n, 2n ** 62n + 1n)],
      ["U64", BigUint64Array.of(0n, 2n ** 64n - 1n)],
    ] as const
  ) {
    assertThrows(() => read(dtype, values), FormatError, `${dtype} ${values[1]} at its index [1]`);
  }
  assertThrows(() => read("BOOL", Uint8Array.of(1)), FormatError, "its type is BOOL");
  assertThrows(() => read("F8_E4M3", Uint8Array.of(1)), FormatError, "its type is F8_E4M3");
});
