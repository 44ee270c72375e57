import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { readSafetensors, tensorFloats, writeSafetensors } from "../../src/io/safetensors.ts";
import { sharedPath } from "../helpers/shared.ts";

/** A file with the given header (JSON text or bytes) and as many zero bytes of data; `length` overrides the truth. */
function rawFile(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array<ArrayBuffer> {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** A header with one tensor `a`, its fields overridden. */
const one = (fields: Record<string, unknown>) =>
  JSON.stringify({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } });

const u8 = (begin: number, end: number, count = end - begin) => ({
  dtype: "U8",
  shape: [count],
  data_offsets: [begin, end],
});

Deno.test("readSafetensors() rejects a wrong length or header", () => {
  const wrong: readonly [Uint8Array, string][] = [
    [new Uint8Array(0), "it is empty, expected safetensors"],
    [new Uint8Array(7), "it ends at byte 7"],
    [rawFile("{}", 0, 3n), "a header of 3 bytes by the length at byte 0, expected at most 2 bytes"],
    [rawFile("{}", 0, 2n ** 64n - 1n), "expected at most 2 bytes, all of a file of 10 bytes"],
    [new Uint8Array(8), "the header at byte 8 is not JSON"],
    [rawFile(Uint8Array.of(0x7b, 0xff, 0x7d)), "the 3 bytes from byte 8 on are not UTF-8"],
    [rawFile("\uFEFF{}"), "the header at byte 8 is not JSON"],
    [rawFile("{"), "is not JSON"],
    [rawFile("{} x"), "is not JSON"],
    [rawFile("[]"), 'starts with "[]", expected a JSON object'],
    [rawFile("null"), 'starts with "null"'],
    [rawFile(" {}"), 'starts with " {}"'],
  ];
  for (const [bytes, message] of wrong) assertThrows(() => readSafetensors(bytes, "m"), FormatError, message);
});

Deno.test("readSafetensors() bounds the header at 100 MB", () => {
  const bytes = new Uint8Array(100_000_009);
  new DataView(bytes.buffer).setBigUint64(0, 100_000_001n, true);
  assertThrows(
    () => readSafetensors(bytes, "m"),
    FormatError,
    "at most 100000000 bytes, the largest allowed",
  );
});

Deno.test("readSafetensors() rejects a wrong tensor of the header", () => {
  const wrong: readonly [string, string][] = [
    ['{"a": 1}', 'tensor "a" of the header at byte 8 has the value 1'],
    ['{"a": null}', "has the value null"],
    ['{"a": []}', "has the value []"],
    ["{}", "8 bytes belong to no tensor from byte 10 on"],
    ['{"a": {}}', "has dtype nothing, expected one of BOOL"],
    [one({ dtype: "F31" }), 'has dtype "F31"'],
    [one({ dtype: 7 }), "has dtype 7"],
    [one({ dtype: "toString" }), 'has dtype "toString"'],
    [one({ dtype: ["F32"] }), 'has dtype ["F32"]'],
    [one({ shape: [1.5] }), "has shape [1.5], expected a list of whole numbers, at least 0 and below 2^53"],
    [one({ shape: [-2] }), "has shape [-2]"],
    [one({ shape: ["2"] }), 'has shape ["2"]'],
    [one({ shape: 2 }), "has shape 2"],
    [one({ shape: null }), "has shape null"],
    [one({ shape: [2 ** 40, 2 ** 40] }), "expected a size in bytes below 2^53"],
    [one({ shape: [2 ** 53] }), "expected a list of whole numbers, at least 0 and below 2^53"],
    [one({ shape: [3] }), "has data_offsets [0,8], 8 bytes, expected 12 bytes for F32 (3)"],
    [one({ data_offsets: [0] }), "has data_offsets [0], expected two whole numbers"],
    [one({ data_offsets: [0, 4, 8] }), "expected two whole numbers"],
    [one({ data_offsets: [-8, 0] }), "expected two whole numbers"],
    [one({ data_offsets: [0.5, 8.5] }), "expected two whole numbers"],
    [one({ data_offsets: { 0: 0, 1: 8, length: 2 } }), "expected two whole numbers"],
    [one({ data_offsets: [8, 0] }), "expected an ascending range within the data's 8 bytes"],
    [one({ data_offsets: [8, 16] }), "expected an ascending range within the data's 8 bytes"],
    [one({ shape: [1], data_offsets: [0, 4] }), "4 bytes belong to no tensor from byte"],
    [one({ shape: [1], data_offsets: [4, 8] }), "after a hole, expected byte"],
    [JSON.stringify({ a: u8(0, 5), b: u8(4, 8) }), 'tensor "b" starts at byte 117, inside the one before it'],
    [JSON.stringify({ a: u8(0, 8), b: u8(0, 8) }), "inside the one before it"],
    [JSON.stringify({ a: u8(0, 3), b: u8(5, 8) }), "after a hole"],
    ['{"__metadata__": []}', "__metadata__ of the header at byte 8 has []"],
    [
      '{"__metadata__": {"a": 1}}',
      '__metadata__ of the header at byte 8 has ["a",1], expected an object of strings',
    ],
    ['{"a": 1, "\\u0061": 2}', 'key "a" is there again at byte 17, expected every key once'],
    ['{"a": {"dtype": "U8", "dtype": "F32"}}', 'key "dtype" is there again at byte 30'],
    ['{"é": 1, "é": 2}', 'key "é" is there again at byte 18'],
  ];
  for (const [header, message] of wrong) {
    const dataBytes = header.includes("__metadata__") ? 0 : 8;
    assertThrows(() => readSafetensors(rawFile(header, dataBytes), "m"), FormatError, message);
  }
});

Deno.test("readSafetensors() survives nesting and strings of a million characters", () => {
  const deep = `{"a": ${"[".repeat(1e6)}${"]".repeat(1e6)}}`;
  assertThrows(() => readSafetensors(rawFile(deep), "m"), FormatError);
  const long = JSON.stringify({ __metadata__: { text: 'a"'.repeat(1e6) } });
  assertEquals(readSafetensors(rawFile(long), "m").metadata.text.length, 2e6);
});

Deno.test("readSafetensors() reads names of the prototype like any other", () => {
  const header = `{"__proto__":${JSON.stringify(u8(0, 2))},"constructor":${JSON.stringify(u8(2, 3))},` +
    '"__metadata__":{"__proto__":"text"}}';
  const { tensors, metadata } = readSafetensors(rawFile(header, 3), "m");
  assertEquals([...tensors.keys()], ["__proto__", "constructor"]);
  assertEquals(tensors.get("__proto__")?.bytes.length, 2);
  assertEquals(Object.entries(metadata), [["__proto__", "text"]]);
  assertEquals(metadata.toString, undefined);
  assertThrows(
    () => readSafetensors(rawFile('{"a":{"__proto__":{"dtype":"U8"}}}'), "m"),
    FormatError,
    "dtype nothing",
  );
});

Deno.test("readSafetensors() reads scalars, empty tensors and padding", () => {
  const header = JSON.stringify({
    scalar: { ...u8(0, 1), shape: [] },
    none: u8(1, 1),
    also: { ...u8(0, 0), shape: [0, 9] },
  });
  const { tensors, metadata } = readSafetensors(rawFile(`${header}   `, 1), "m");
  assertEquals([...tensors].map(([name, { shape }]) => [name, shape]), [["also", [0, 9]], ["scalar", []], [
    "none",
    [0],
  ]]);
  assertEquals(Object.keys(metadata), []);
});

Deno.test("readSafetensors() reads a view into other bytes", () => {
  const file = writeSafetensors([{ name: "a", dtype: "F32", shape: [2], values: Float32Array.of(1, -2) }]);
  const around = new Uint8Array(file.length + 7);
  around.set(file, 3);
  const { tensors } = readSafetensors(around.subarray(3, 3 + file.length), "m");
  assertEquals([...tensorFloats(tensors.get("a")!, "a")], [1, -2]);
});

const goldens = sharedPath("goldens");
Deno.test(
  "readSafetensors() rejects a golden file cut anywhere",
  { ignore: goldens === undefined },
  async () => {
    const bytes = await Deno.readFile(`${goldens}/resnet20.safetensors`);
    for (let end = 0; end < bytes.length; end += 97) {
      await assertRejects(async () => await readSafetensors(bytes.subarray(0, end), "cut"), FormatError);
    }
  },
);
