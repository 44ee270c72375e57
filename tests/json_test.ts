/** Tests of reading JSON of files, and of naming files that are something else. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { loadModel } from "../src/api/load_model.ts";
import { FormatError } from "../src/errors.ts";
import { recognizeFileKind } from "../src/file_kinds.ts";
import { denoFiles } from "../src/deno/files.ts";
import { readSafetensors } from "../src/io/safetensors.ts";
import { parseJson } from "../src/json.ts";
import { findJsonFault } from "../src/json_keys.ts";
import { gzip } from "./helpers/idx_files.ts";
import { memoryFiles } from "./helpers/memory_files.ts";
import { sharedPath } from "./helpers/shared.ts";

const source = { act: "read", thing: "f.json", wanted: "JSON" };
const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

Deno.test("findJsonFault() compares keys of one object, unescaped", () => {
  const texts = [
    '{"a":{"a":[{"a":1},{"a":"a"}]},"b":"\\"a\\":"}',
    '{"a":1,"b":{"c":1,"c" :2}}',
    '{"\\\\":1,"\\u005c":2}',
    `${"[".repeat(100)}${"]".repeat(100)}`,
    `{"a":[[]],"a":${"[".repeat(1e6)}${"]".repeat(1e6)}}`,
    `${"[".repeat(1e6)}${"]".repeat(1e6)}`,
  ];
  assertEquals(texts.map((text) => findJsonFault(text)?.index), [undefined, 18, 8, undefined, 10, 100]);
});

Deno.test("parseJson() refuses what JSON.parse hides, with the line", () => {
  const wrong = [
    [
      '{\n"sparsity": 0.5,\n"sparsity": 0.9}',
      'key "sparsity" is there again on line 3, expected every key once',
    ],
    ['{"a": {"__proto__": {"epochs": 1}}}', 'key "__proto__" is there on line 1'],
    ["[".repeat(1e5) + "]".repeat(1e5), "nested more than 100 deep"],
    ['{"a": NaN}', "JSON"],
    ['{"a": 01}', "JSON"],
    ["", "JSON"],
    ['{"a": 1', "JSON"],
  ];
  for (const [text, part] of wrong) {
    const error = assertThrows(() => parseJson(text, source), FormatError, part);
    assert(error.message.startsWith('Cannot read "f.json": '), error.message);
  }
  assertThrows(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22), source), FormatError);
  assertEquals(parseJson('{"a": [{"a": 1}, {"a": -0.5e-3}]}', source), { a: [{ a: 1 }, { a: -0.5e-3 }] });
});

/** Files that people have in place of weights, by what they are. */
const others: readonly (readonly [string, Uint8Array])[] = [
  ["empty", new Uint8Array(0)],
  ["a PyTorch file (zip)", bytesOf(`PK\x03\x04${"\0".repeat(22)}\x10\0\0\0archive/data.pkl\x80\x02}`)],
  ["a zip archive, as PyTorch writes", bytesOf(`PK\x03\x04${"\0".repeat(60)}`)],
  ["a NumPy archive (zip)", bytesOf(`PK\x03\x04${"\0".repeat(22)}\x05\0\0\0a.npy`)],
  ["a Keras model (zip)", bytesOf(`PK\x03\x04${"\0".repeat(22)}\x0d\0\0\0metadata.json`)],
  ["a Python pickle", bytesOf("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")],
  ["a Git LFS pointer", bytesOf("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")],
  ["a web page", bytesOf("\n <!DOCTYPE html>\n<html>")],
  ["a web page", bytesOf("<html><body>404")],
  ["a gzip file", await gzip(bytesOf("weights"))],
  ["an ONNX model", bytesOf("\x08\x08\x12\x07pytorch\x1a\x052.1.0:\xe2")],
  ["an HDF5 file, as Keras writes", bytesOf("\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0")],
  ["a GGUF file", bytesOf("GGUF\x03\0\0\0")],
  ["a NumPy array", bytesOf("\x93NUMPY\x01\0v\0{'descr'")],
  ["a tar archive", bytesOf(`${"a".repeat(257)}ustar\0`)],
];

Deno.test("readSafetensors() names other files for what they are, and how to get weights out of them", () => {
  for (const [name, bytes] of [...others, ["JSON or text", bytesOf('{"name": "net"}')] as const]) {
    const error = assertThrows(() => readSafetensors(bytes, "m.safetensors"), FormatError);
    const { instead } = recognizeFileKind(bytes)!;
    assert(error.message.startsWith(`Cannot read "m.safetensors": it is ${name}`), error.message);
    assert(error.message.endsWith(instead), error.message);
  }
});

Deno.test("recognizeFileKind() takes a damaged safetensors file for one, whatever its length", () => {
  // 640 bytes of header begin as a pickle does, 67,324,752 as a zip, 8 and 18 as a model of ONNX.
  for (const start of [[0x80, 0x02], [0x08, 0x08, 0x12], [0x1f, 0x8b]]) {
    const file = new Uint8Array(20);
    file.set([...start, ...new Uint8Array(8 - start.length), 0x7b]);
    assertEquals(recognizeFileKind(file)?.name, "a safetensors file");
    file[8] = 0xff;
    assertEquals(start[0] === 0x1f || recognizeFileKind(file) === undefined, true);
  }
});

Deno.test("loadModel() names a file that is neither JSON nor safetensors, under any ending", async () => {
  const task = { channels: 1, height: 8, width: 8, classes: ["a", "b"] };
  for (const [name, bytes] of others) {
    for (const path of ["m.pt", "m.json", "m.safetensors"]) {
      const files = memoryFiles({ [path]: bytes });
      const refused = await loadModel({ model: path }, { files, task }).then(() => "nothing", String);
      assert(refused.includes(`"${path}": it is ${name}`), refused);
    }
  }
});

const zip = sharedPath("reports/not-safetensors/zip.safetensors");
Deno.test("loadModel() names the zip of the reports", { ignore: zip === undefined }, async () => {
  const task = { channels: 1, height: 8, width: 8, classes: ["a", "b"] };
  const refused = await loadModel({ model: zip! }, { files: denoFiles, task }).then(() => "nothing", String);
  assert(refused.includes("it is a zip archive, as PyTorch writes"), refused);
  assert(refused.includes("save_file"), refused);
});
