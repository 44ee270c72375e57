/** Files that are wrong on purpose: each gets a typed error, in bounded time and memory. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { toBinary } from "@bufbuild/protobuf";
import { type ModelProto, ModelProtoSchema, TensorProto_DataLocation } from "onnx-buf";
import { denoFiles } from "../../../src/deno/files.ts";
import { FileError, FormatError, isWinnowError } from "../../../src/errors.ts";
import { readOnnx } from "../../../src/io/onnx/read.ts";
import { memoryFiles } from "../../helpers/memory_files.ts";
import {
  integers,
  locateData,
  modelMessage,
  onnxFile,
  type TestModel,
  testTensor,
} from "../../helpers/onnx_models.ts";

const files = memoryFiles({ "secret.bin": new Uint8Array(64), "models/weights.bin": new Uint8Array(8) });
const options = { name: "models/net.onnx", size: { height: 8, width: 8 }, files };

/** The message by which bytes are refused, which must be one for users. */
async function refusalOf(bytes: Uint8Array): Promise<string> {
  const error = await assertRejects(() => readOnnx(bytes, options), Error);
  assertEquals(isWinnowError(error), true, `${error.stack}`);
  return error.message;
}

const small: TestModel = {
  nodes: [
    { op: "Flatten", inputs: ["x"], outputs: ["flat"] },
    { op: "Gemm", inputs: ["flat", "w"], outputs: ["logits"], attributes: { transB: 1 } },
  ],
  tensors: { w: testTensor(2, 192) },
};

/** The small model with something changed. */
function change(edit: (model: ModelProto) => void): Uint8Array {
  const message = modelMessage(small);
  edit(message);
  return toBinary(ModelProtoSchema, message);
}

Deno.test("readOnnx() refuses other files and damaged ones", async () => {
  const bytes = onnxFile(small);
  await readOnnx(bytes, options);
  const text = new TextEncoder().encode("<!doctype html>");
  assertStringIncludes(await refusalOf(text), "it is a web page");
  assertStringIncludes(await refusalOf(new Uint8Array()), "it is empty");
  assertStringIncludes(await refusalOf(bytes.subarray(0, bytes.length - 40)), "its protobuf is damaged");
  for (let length = 1; length < bytes.length; length += 7) await refusalOf(bytes.subarray(0, length));
});

Deno.test("readOnnx() refuses bytes that were flipped, or reads a model", async () => {
  const bytes = onnxFile(small);
  let refused = 0;
  for (let i = 0; i < Math.min(bytes.length, 400); i++) {
    const flipped = Uint8Array.from(bytes);
    flipped[i] ^= 1 << i % 8;
    try {
      await readOnnx(flipped, options);
    } catch (error) {
      if (!isWinnowError(error)) throw error;
      refused++;
    }
  }
  assertEquals(refused > 30, true, `${refused}`);
});

Deno.test("readOnnx() refuses a cycle, values that are missing and values given twice", async () => {
  const cycle = onnxFile({
    ...small,
    nodes: [
      { op: "Add", inputs: ["x", "b"], outputs: ["a"] },
      { op: "Relu", inputs: ["a"], outputs: ["b"] },
      ...small.nodes,
    ],
  });
  assertStringIncludes(await refusalOf(cycle), 'node 0 (Add)": it reads "b", which no node before it gives');
  const [flatten, gemm] = small.nodes;
  const twice = onnxFile({ ...small, nodes: [flatten, flatten, gemm] });
  assertStringIncludes(await refusalOf(twice), 'it gives "flat", which is there already');
  const missing = onnxFile({ ...small, output: "other" });
  assertStringIncludes(await refusalOf(missing), 'no node gives its output "other"');
});

Deno.test("readOnnx() refuses unknown shapes and types of the input, and inputs beside it", async () => {
  const input = (sizes: readonly (number | string)[]) => onnxFile({ ...small, input: sizes });
  assertStringIncludes(await refusalOf(input(["N", "C", 8, 8])), "its number of channels is open");
  assertStringIncludes(await refusalOf(input(["N", 192])), "of sizes (?, 192)");
  assertStringIncludes(await refusalOf(input(["N", 0, 8, 8])), "of sizes (?, 0, 8, 8)");
  assertStringIncludes(await refusalOf(input(["N", 3, 2 ** 40, 8])), "input");
  assertStringIncludes(
    await refusalOf(change(({ graph }) => delete graph!.input[0].type)),
    "of unknown sizes",
  );
  const two = change(({ graph }) => graph!.input.push({ ...graph!.input[0], name: "mask" }));
  assertStringIncludes(await refusalOf(two), "2 inputs: x, mask, expected one");
  const none = change(({ graph }) => graph!.output.pop());
  assertStringIncludes(await refusalOf(none), "0 outputs");
});

Deno.test("readOnnx() names an operator that it does not read, its shapes and its place", async () => {
  const nodes = [{ op: "Einsum", inputs: ["x", "w"], outputs: ["y"], name: "attention" }, {
    ...small.nodes[0],
    inputs: ["y"],
  }, small.nodes[1]];
  assertEquals(
    await refusalOf(onnxFile({ ...small, nodes })),
    'Cannot read "models/net.onnx, node 0 attention (Einsum)": its operator is not read; input x (N, 3, 8, 8), ' +
      "w (2, 192) of the file, expected an operator of docs/onnx.md",
  );
  const foreign = [{ ...small.nodes[0], domain: "com.example" }, small.nodes[1]];
  assertStringIncludes(await refusalOf(onnxFile({ ...small, nodes: foreign })), "(com.example.Flatten)");
});

Deno.test("readOnnx() refuses sizes that overflow or do not match their numbers", async () => {
  const sized = (...dims: readonly bigint[]) => change(({ graph }) => graph!.initializer[0].dims = [...dims]);
  for (const dims of [[2n ** 62n, 4n], [2n ** 31n, 2n ** 31n], [-1n, 2n], [2n, 191n], [0n, 192n]]) {
    assertStringIncludes(await refusalOf(sized(...dims)), "tensor w");
  }
  const filled = onnxFile({
    nodes: [
      { op: "ConstantOfShape", inputs: ["sizes"], outputs: ["w"] },
      ...small.nodes,
    ],
    tensors: { sizes: integers(2 ** 20, 2 ** 20) },
  });
  assertStringIncludes(await refusalOf(filled), "computed numbers up to this node, expected at most");
  // Each node alone would be allowed.
  const many = onnxFile({
    nodes: [
      { op: "ConstantOfShape", inputs: ["sizes"], outputs: ["c0"] },
      ...Array.from({ length: 2000 }, (_, i) => ({ op: "Neg", inputs: [`c${i}`], outputs: [`c${i + 1}`] })),
      { op: "Add", inputs: ["flat", "c2000"], outputs: ["logits"] },
    ],
    tensors: { sizes: integers(2 ** 20) },
  });
  assertStringIncludes(await refusalOf(many), 'it reads "flat"');
  const chain = onnxFile({
    nodes: [
      { op: "Flatten", inputs: ["x"], outputs: ["flat"] },
      { op: "ConstantOfShape", inputs: ["sizes"], outputs: ["c0"] },
      ...Array.from({ length: 2000 }, (_, i) => ({ op: "Neg", inputs: [`c${i}`], outputs: [`c${i + 1}`] })),
      { op: "MatMul", inputs: ["flat", "c2000"], outputs: ["logits"] },
    ],
    tensors: { sizes: integers(2 ** 20) },
  });
  assertStringIncludes(await refusalOf(chain), "computed numbers up to this node");
});

Deno.test("readOnnx() refuses external data outside of the folder, or beyond its file", async () => {
  const external = (entries: Readonly<Record<string, string>>) =>
    change(({ graph }) =>
      Object.assign(graph!.initializer[0], {
        rawData: new Uint8Array(),
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: locateData(entries),
      })
    );
  for (
    const location of [
      "../secret.bin",
      "/secret.bin",
      "a/../../secret.bin",
      "..\\secret.bin",
      "C:secret.bin",
      "",
    ]
  ) {
    assertStringIncludes(
      await refusalOf(external({ location })),
      "expected a file in the folder of the model",
    );
  }
  assertStringIncludes(await refusalOf(external({ location: "absent.bin" })), "absent.bin");
  const beyond = external({ location: "weights.bin", offset: "4", length: "1536" });
  assertStringIncludes(await refusalOf(beyond), 'bytes 4 to 1540 of "weights.bin", expected bytes up to 8');
  for (const offset of ["-4", "x", "1e300"]) {
    await refusalOf(external({ location: "weights.bin", offset, length: "4" }));
  }
});

Deno.test("readOnnx() refuses external data that a link leads to outside of the folder", async () => {
  const folder = await Deno.makeTempDir(), inside = `${folder}/models`;
  try {
    await Deno.mkdir(`${folder}/blobs`);
    await Deno.mkdir(inside);
    const weights = new Uint8Array(new Float32Array(384).fill(1).buffer);
    for (const path of ["secret", "blobs/weights", "models/own"]) {
      await Deno.writeFile(`${folder}/${path}`, weights);
    }
    const link = (from: string, to: string) => Deno.symlink(`${folder}/${to}`, `${inside}/${from}`);
    await link("to-file", "secret");
    await link("up", "");
    await link("to-own", "models/own");
    await link("to-blob", "blobs/weights");
    await Deno.writeFile(`${folder}/blobs/net`, new Uint8Array());
    await Deno.writeFile(`${inside}/net.onnx`, new Uint8Array());
    await link("linked.onnx", "blobs/net");
    const readFrom = (location: string, name = "net.onnx") => {
      const bytes = change(({ graph }) =>
        Object.assign(graph!.initializer[0], {
          rawData: new Uint8Array(),
          dataLocation: TensorProto_DataLocation.EXTERNAL,
          externalData: locateData({ location }),
        })
      );
      return readOnnx(bytes, { ...options, name: `${inside}/${name}`, files: denoFiles });
    };
    for (const location of ["to-file", "up/secret", "to-blob"]) {
      const { message } = await assertRejects(() => readFrom(location), FormatError);
      assertStringIncludes(message, `external data in "${location}", a link to `);
    }
    await assertRejects(() => readFrom("absent"), FileError, "there is no such path");
    const wanted = await readFrom("own");
    assertEquals((await readFrom("to-own")).parameters, wanted.parameters);
    // A cache links the model and its data to files that lie beside each other.
    assertEquals((await readFrom("to-blob", "linked.onnx")).parameters, wanted.parameters);
    await assertRejects(() => readFrom("to-file", "linked.onnx"), FormatError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readOnnx() refuses 100,001 nodes, and reads 100,000 that are not needed", async () => {
  const relus = (count: number) =>
    Array.from(
      { length: count },
      (_, i) => ({ op: "Relu", inputs: [i === 0 ? "x" : `r${i - 1}`], outputs: [`r${i}`] }),
    );
  const file = (count: number) => onnxFile({ ...small, nodes: [...relus(count), ...small.nodes] });
  assertStringIncludes(await refusalOf(file(99_999)), "100001 nodes, expected at most 100000");
  const { graph } = await readOnnx(file(99_998), options);
  assertEquals(graph.layers.length, 2);
  const deep = {
    ...small,
    nodes: [...relus(50_000), { ...small.nodes[0], inputs: ["r49999"] }, small.nodes[1]],
  };
  assertStringIncludes(await refusalOf(onnxFile(deep)), "layers");
});

Deno.test("readOnnx() refuses messages that nest without end", async () => {
  // A graph in an attribute of a node of a graph, 3,000 deep: fields 1 of a graph, 5 of a node, 6 of an attribute.
  let graph = new Uint8Array();
  const wrap = (field: number, bytes: Uint8Array) => {
    const length: number[] = [];
    for (let rest = bytes.length;; rest = Math.floor(rest / 128)) {
      length.push(rest < 128 ? rest : rest % 128 + 128);
      if (rest < 128) break;
    }
    return Uint8Array.of(field << 3 | 2, ...length, ...bytes);
  };
  for (let depth = 0; depth < 1000; depth++) graph = wrap(1, wrap(5, wrap(6, graph)));
  assertStringIncludes(await refusalOf(wrap(7, graph)), "recursion depth");
});

Deno.test("readOnnx() refuses shapes, axes and indices that make no sense", async () => {
  const weights = (
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[]>>,
  ) =>
    onnxFile({
      nodes: [{ op, inputs, outputs: ["w2"], attributes }, small.nodes[0], {
        ...small.nodes[1],
        inputs: ["flat", "w2"],
      }],
      tensors: { ...small.tensors, odd: integers(7, -3), zero: integers(0) },
    });
  const wrong = [
    weights("Reshape", ["w", "odd"], {}),
    weights("Transpose", ["w"], { perm: [0, 0] }),
    weights("Transpose", ["w"], { perm: [0, 5] }),
    weights("Gather", ["w", "odd"], { axis: 0 }),
    weights("Gather", ["w", "zero"], { axis: 9 }),
    weights("Concat", ["w", "odd"], { axis: 0 }),
    weights("Slice", ["w", "zero", "odd"], {}),
    weights("Slice", ["w", "zero", "zero", "zero", "zero"], {}),
    weights("Squeeze", ["w"], { axes: [0] }),
    weights("Add", ["w", "odd"], {}),
    weights("ConstantOfShape", ["odd"], {}),
    weights("Neg", [], {}),
    weights("Neg", ["w", "w"], {}),
  ];
  // The last is a weight of two dimensions all the same.
  for (const bytes of wrong.slice(0, -1)) assertStringIncludes(await refusalOf(bytes), "node 0");
  await readOnnx(wrong.at(-1)!, options);
  const windows = (attributes: Readonly<Record<string, number | readonly number[]>>) =>
    onnxFile({
      nodes: [{ op: "MaxPool", inputs: ["x"], outputs: ["y"], attributes }, {
        ...small.nodes[0],
        inputs: ["y"],
      }, small.nodes[1]],
      tensors: small.tensors!,
    });
  const attributeSets: readonly Readonly<Record<string, readonly number[]>>[] = [
    {},
    { kernel_shape: [2] },
    { kernel_shape: [2, 2, 2] },
    { kernel_shape: [0, 2] },
    { kernel_shape: [99, 99] },
    { kernel_shape: [2, 2], strides: [0, 1] },
    { kernel_shape: [2, 2], pads: [1] },
    { kernel_shape: [2, 2], pads: [-1, -1, -1, -1] },
    { kernel_shape: [2 ** 40, 2 ** 40] },
    { kernel_shape: [2, 2], dilations: [2, 2] },
  ];
  for (const attributes of attributeSets) await refusalOf(windows(attributes));
});
