/** Tests what is read out of WGSL, how uniforms are packed, how kernels are assembled, and that all of them compile. */
import assert from "node:assert/strict";
import { KernelError } from "../../src/errors.ts";
import { compilePipeline } from "../../src/gpu/pipeline.ts";
import { assembleKernel } from "../../src/kernels/assemble.ts";
import { type Field, packStruct, readInterface, structSizeBytes } from "../../src/kernels/interface.ts";
import { kernelFiles, kernelNames, kernelSource } from "../../src/kernels/source.ts";
import { readPaths, sharedGpu } from "./harness.ts";

const source = `
// @group(0) @binding(9) var<storage> prose: array<f32>; struct Prose { a: u32, }
struct Params {
  count: u32,
  shift: i32, // a remark
  scale: f32,
}
struct Pair { left: vec4f, right: vec4f, }
const BLOCK_ROWS = 16u;
const BLOCKS = 3;
override GATED: bool = false;
override WIDTH: u32 = 4u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0)
@binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage,read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage> pairs: array<Pair>;
@group(0) @binding(4) var<storage, read_write> count: atomic<u32>;
var<workgroup> shared_sums: array<f32, 64>;
@compute @workgroup_size(8, 4)
fn main() { write_y(0u, read_x(1u) + read_y(2u)); }
`;

const field = (name: string, type: Field["type"], offset: number): Field => ({ name, type, offset });
const fields = [field("count", "u32", 0), field("shift", "i32", 4), field("scale", "f32", 8)];

/** Parts that kernels include, and that are compiled with them. */
const included: readonly string[] = [
  "activation/logistic",
  "dispatch",
  "layer/pool2d_forward",
  "gemm/input_gradient",
  "gemm/software/subgroup_broadcast",
  "winograd/tiles",
  "layer/prelu_slope",
  "layer/shift_lanes",
  "math/finite",
  "math/maximum",
  "optimizer/step_gradient",
  "random/mix_bits",
  "refit/packed",
  "reduce/add_lanes",
  "reduce/chunks",
  "reduce/merge_lanes",
  "refit/panel",
  "refit/systems",
  "math/erf",
  "select/is_selected",
  "select/rank_keys",
];

/** Every kernel that can be compiled: whole ones, and each core with each of its folder's operations that has its params. */
function wholeKernels(): readonly string[] {
  const folderOf = (name: string) => name.split("/")[0];
  const has = (name: string, pattern: RegExp) => pattern.test(kernelSource(name));
  const hasMain = (name: string) => has(name, /^fn main\(/m);
  const cores = kernelNames.filter((name) => hasMain(name) && !has(name, /^struct Params/m));
  const operations = kernelNames.filter((name) => !hasMain(name) && has(name, /^struct Params/m));
  const hasParams = (operation: string, core: string) =>
    [...kernelSource(core).matchAll(/\bparams\.(\w+)/g)].every(([, field]) =>
      has(operation, new RegExp(`^ *${field}:`, "m"))
    );
  const joined = cores.flatMap((core) =>
    operations.filter((name) => folderOf(name) === folderOf(core) && hasParams(name, core))
      .map((operation) => `${core}:${operation}`)
  );
  const isWhole = (name: string) => hasMain(name) && !cores.includes(name) && !included.includes(name);
  return [...kernelNames.filter(isWhole), ...joined];
}

Deno.test("readInterface() reads bindings, and none out of comments", () => {
  const { bindings } = readInterface("sample", source);
  assert.deepEqual(bindings, [
    { name: "params", index: 0, space: "uniform", type: "Params", quads: false },
    { name: "x", index: 1, space: "read", type: "array<vec4f>", quads: true },
    { name: "y", index: 2, space: "read_write", type: "array<vec4f>", quads: true },
    { name: "pairs", index: 3, space: "read", type: "array<Pair>", quads: false },
    { name: "count", index: 4, space: "read_write", type: "atomic<u32>", quads: false },
  ]);
});

Deno.test("readInterface() reads structs of scalars, constants, overrides and the workgroup's size", () => {
  const { structs, constants, overrides, workgroupSize } = readInterface("sample", source);
  assert.deepEqual([...structs], [["Params", fields]]);
  assert.deepEqual([...constants], [["BLOCK_ROWS", 16], ["BLOCKS", 3]]);
  assert.deepEqual(overrides, ["GATED", "WIDTH"]);
  assert.deepEqual(workgroupSize, [8, 4, 1]);
});

Deno.test("readInterface() rejects a binding that is declared twice", () => {
  const declare = (index: number, name: string) =>
    `@group(0) @binding(${index}) var<storage, read> ${name}: array<f32>;\n`;
  const expected = (what: string) => ({
    name: "KernelError",
    message: `Cannot read kernel "twice": the binding ${what} is declared twice, expected each ${
      what.split(" ")[0]
    } once`,
  });
  assert.throws(() => readInterface("twice", declare(0, "x") + declare(1, "x")), expected("name x"));
  assert.throws(() => readInterface("twice", declare(3, "x") + declare(3, "y")), expected("index 3"));
});

Deno.test("structSizeBytes() is a multiple of 16, and 16 at least", () => {
  const sizes = [0, 1, 4, 5, 8, 9].map((count) => structSizeBytes(Array(count).fill(fields[0])));
  assert.deepEqual(sizes, [16, 16, 16, 32, 32, 48]);
});

Deno.test("packStruct() packs by name, little-endian, and leaves out what is no field", () => {
  const bytes = packStruct("sample", fields, { scale: 1.5, count: 0xffffffff, shift: -2, other: 7 });
  const view = new DataView(bytes.buffer);
  assert.equal(bytes.length, 16);
  assert.deepEqual(
    [view.getUint32(0, true), view.getInt32(4, true), view.getFloat32(8, true), view.getUint32(12, true)],
    [0xffffffff, -2, 1.5, 0],
  );
});

Deno.test("packStruct() rejects values that are missing or do not fit", () => {
  const good = { count: 1, shift: 1, scale: 1 };
  const unsigned = "an integer from 0 to 4294967295", signed = "an integer from -2147483648 to 2147483647";
  const cases = [
    [{ ...good, count: -1 }, "count", "-1", unsigned],
    [{ ...good, count: 2 ** 32 }, "count", "4294967296", unsigned],
    [{ ...good, count: .5 }, "count", "0.5", unsigned],
    [{ ...good, shift: 2 ** 31 }, "shift", "2147483648", signed],
    [{ ...good, shift: -(2 ** 31) - 1 }, "shift", "-2147483649", signed],
    [{ ...good, scale: NaN }, "scale", "NaN", "a number"],
    [{ ...good, scale: Infinity }, "scale", "Infinity", "a number"],
    [{ count: 1, shift: 1 }, "scale", "undefined", "a number"],
    [{ shift: 1, scale: 1 }, "count", "undefined", unsigned],
  ] as const;
  for (const [values, name, current, wanted] of cases) {
    const message =
      `Cannot pack parameters of kernel "sample, field ${name}": ${current}, expected ${wanted}`;
    const given: Record<string, number> = values;
    assert.throws(() => packStruct("sample", fields, given), { name: "KernelError", message });
  }
  for (const count of [0, 2 ** 32 - 1]) packStruct("sample", fields, { ...good, count });
  for (const shift of [-(2 ** 31), 2 ** 31 - 1]) packStruct("sample", fields, { ...good, shift });
});

Deno.test("assembleKernel() binds a mirror where the texture path reads, and buffers elsewhere", () => {
  const places = (path: "storage" | "texture") =>
    assembleKernel("optimizer/sgd", path).slots.map(({ index, binding, mirror }) =>
      `${index} ${binding.name}${mirror ? " mirror" : ""}`
    );
  const uniforms = ["0 params", "1 step", "2 tally"];
  const plain = ["3 gradients", "4 gradient_scale", "5 mask", "6 velocity", "7 values"];
  assert.deepEqual(places("storage"), [...uniforms, ...plain]);
  assert.deepEqual(places("texture"), [
    ...uniforms,
    "3 gradients mirror",
    "4 gradient_scale",
    "5 mask mirror",
    "6 velocity",
    "106 velocity mirror",
    "7 values",
    "107 values mirror",
  ]);
  const write = assembleKernel("layer/relu_forward", "texture").slots.filter(({ binding }) =>
    binding.name === "y"
  );
  assert.deepEqual(write.map(({ index, mirror }) => [index, mirror]), [[2, false]], "y is written only");
});

Deno.test("assembleKernel() rejects a kernel that does not exist", () => {
  const message =
    'Cannot find kernel "layer/nothing": no such file or core, expected one of the files in kernels/ ' +
    "or the cores in src/kernels/core_table.ts";
  assert.throws(() => assembleKernel("layer/nothing", "storage"), { name: "KernelError", message });
  assert.throws(() => assembleKernel("gemm/software/register_8x8:gemm/nothing", "storage"), KernelError);
  assert.throws(() => assembleKernel("toString", "storage"), KernelError);
});

for (const path of readPaths) {
  Deno.test(`assembleKernel() gives WGSL that the device accepts, for every kernel, ${path} path`, async () => {
    const gpu = await sharedGpu();
    const whole = wholeKernels();
    const parts = new Set([...whole.flatMap((name) => name.split(":")), ...included]);
    assert.match(
      kernelSource("gemm/software/subgroup_4x32"),
      /^fn from_lane_7\(/m,
      "an included file takes its line's place",
    );
    assert.deepEqual(kernelNames.filter((name) => !parts.has(name)), [], "no kernel is left out");
    // Kernels that need subgroups have a test of their own, on a device that has them.
    const needed = whole.filter((name) => gpu.subgroups || !assembleKernel(name, path).usesSubgroups);
    for (const name of needed) await gpu.pipeline(name, { path, constants: {} });
    const { overrides } = assembleKernel("layer/maxpool2d_backward", path).interface;
    assert.deepEqual(overrides, ["GATED"]);
  });
}

Deno.test("assembleKernel() leaves no kernel of the folder out of the registry", async () => {
  const root = new URL("../../kernels/", import.meta.url);
  const findStems = async (folder: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory) found.push(...await findStems(`${folder}${name}/`));
      else if (name.endsWith(".wgsl")) found.push(`${folder}${name.slice(0, -".wgsl".length)}`);
    }
    return found;
  };
  assert.deepEqual((await findStems("")).sort(), [...kernelFiles].sort());
});

Deno.test("compilePipeline() reports WGSL constants that do not exist as a KernelError", async () => {
  const gpu = await sharedGpu();
  const asked = gpu.pipeline("layer/relu_forward", { path: "storage", constants: { NOTHING: 1 } });
  await assert.rejects(asked, /Cannot compile kernel "layer\/relu_forward"/);
});

Deno.test("compilePipeline() says where in kernels/ an error stands, in a core's text and in an operation's file", async () => {
  const { device } = await sharedGpu();
  const lineOf = async (file: string, start: string) => {
    const text = await Deno.readTextFile(new URL(`../../kernels/${file}`, import.meta.url));
    return 1 + text.split("\n").findIndex((line) => line.startsWith(start));
  };
  // What stands before the kernel takes a name that a line of it declares.
  const cases = [
    ["const SUBGROUP_SIZE = 8u;\n", "gemm/software/subgroup_columns.wgsl", "const SUBGROUP_SIZE"],
    ["\nfn rows_at() {}\n", "gemm/conv2d_forward.wgsl", "fn rows_at("],
  ] as const;
  for (const [subgroupDirective, file, start] of cases) {
    const kernel = "gemm/software/subgroup_4x32:gemm/conv2d_forward";
    const message = new RegExp(`\\| at kernels/${file}:${await lineOf(file, start)}, expected WGSL`);
    const compiled = compilePipeline(device, { kernel, path: "texture", constants: {}, subgroupDirective });
    await assert.rejects(compiled, { name: "KernelError", message });
  }
});
