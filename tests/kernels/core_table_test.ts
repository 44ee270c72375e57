/**
 * Holds the table of cores to what the texts say of themselves, and shows that the texts serve sizes that the table does not
 * have: a plain product of small whole numbers, exact in f32 in whatever order it is added, on sizes with edges.
 */
import assert from "node:assert/strict";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { coreTable } from "../../src/kernels/core_table.ts";
import { coreBlock } from "../../src/kernels/cores.ts";
import { expandKernel, type Numbers } from "../../src/kernels/expand.ts";
import { readInterface } from "../../src/kernels/interface.ts";
import * as registry from "../../src/kernels/registry.ts";
import { kernelSource } from "../../src/kernels/source.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";

const files: Readonly<Record<string, string>> = registry;

Deno.test("coreTable() names each core by its text and block", () => {
  const texts = new Set(Object.values(coreTable).map(({ text }) => text));
  assert.deepEqual([...texts].sort(), [
    "gemm/gpu/tile",
    "gemm/software/register",
    "gemm/software/register_strips",
    "gemm/software/subgroup_columns",
    "gemm/software/subgroup_pairs",
    "gemm/software/subgroup_rows",
    "gemm/software/subgroup_windows",
  ]);
  for (const [name, { text }] of Object.entries(coreTable)) {
    const { rows, columns, lane, subgroupSize, rowsAre } = coreBlock(name);
    const [family] = /^gemm\/\w+\/[a-z]+/.exec(text)!;
    const order = rowsAre === undefined ? "" : `_${rowsAre}`;
    assert.equal(name, `${family}_${lane.rows}x${lane.columns}${order}`);
    assert.equal(rows * columns, lane.rows * lane.columns * (subgroupSize ?? 1), name);
    assert(!kernelSource(name).replaceAll("${}", "").includes("${"), name);
  }
});

/** c (splits, rows, columns) = a (rows, k) b (columns, k), with k = segments x inner x 4, as plain as can be. */
const operation = `
struct Params { rows: u32, columns: u32, segments: u32, inner: u32, segments_per_split: u32, }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

fn lines_at(first: u32, count: u32) -> vec4u {
  return min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(count - 1u)) * (params.segments * params.inner);
}
fn rows_at(row: u32) -> vec4u { return lines_at(row, params.rows); }
fn columns_at(column: u32) -> vec4u { return lines_at(column, params.columns); }
fn row_segment(rows: vec4u, segment: u32) -> vec4u { return rows + vec4u(segment * params.inner); }
fn column_segment(columns: vec4u, segment: u32) -> vec4u { return columns + vec4u(segment * params.inner); }
fn load_a(rows: vec4u, k: u32) -> mat4x4f { return mat4x4f(a[rows.x + k], a[rows.y + k], a[rows.z + k], a[rows.w + k]); }
fn load_b(columns: vec4u, k: u32) -> mat4x4f {
  return transpose(mat4x4f(b[columns.x + k], b[columns.y + k], b[columns.z + k], b[columns.w + k]));
}
fn store(row: u32, column: u32, split: u32, quad: vec4f) {
  if (row >= params.rows) { return; }
  for (var j = 0u; j < 4u && column + j < params.columns; j++) {
    c[(split * params.rows + row) * params.columns + column + j] = quad[j];
  }
}
fn store_block(row: u32, column: u32, split: u32, block: mat4x4f) {
  store(row, column, split, block[0]);
  store(row + 1u, column, split, block[1]);
  store(row + 2u, column, split, block[2]);
  store(row + 3u, column, split, block[3]);
}
`;

/** The sizes of a product. */
interface Sizes {
  readonly rows: number;
  readonly columns: number;
  readonly segments: number;
  readonly inner: number;
  readonly splits: number;
}

/** One number; less than every block; more than one block of the largest, odd, in splits of which the last is shorter. */
const products: readonly Sizes[] = [
  { rows: 1, columns: 1, segments: 1, inner: 1, splits: 1 },
  { rows: 7, columns: 6, segments: 2, inner: 3, splits: 1 },
  { rows: 301, columns: 137, segments: 5, inner: 3, splits: 2 },
];

const numberAt = (i: number) => (i * 7919 + 13) % 11 - 5;

/** What a core's text computes, as it is expanded with sizes. */
async function multiply(
  device: GPUDevice,
  source: string,
  { rows, columns, segments, inner, splits }: Sizes,
): Promise<Float32Array> {
  const name = "a core of the test", { constants } = readInterface(name, source);
  const blocks = Math.ceil(rows / constants.get("BLOCK_ROWS")!) *
    Math.ceil(columns / constants.get("BLOCK_COLUMNS")!);
  const module = device.createShaderModule({ label: name, code: `${source}\n${operation}` });
  const pipeline = device.createComputePipeline({ label: name, layout: "auto", compute: { module } });
  const k = segments * inner * 4, { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const bufferOf = (values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>, usage: number) => {
    const buffer = device.createBuffer({ size: Math.max(32, values.byteLength), usage: usage | COPY_DST });
    device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  };
  const params = new Uint32Array([rows, columns, segments, inner, Math.ceil(segments / splits)]);
  const c = bufferOf(new Float32Array(splits * rows * columns).fill(NaN), STORAGE | COPY_SRC);
  const buffers = [
    bufferOf(params, UNIFORM),
    bufferOf(Float32Array.from({ length: rows * k }, (_, i) => numberAt(i)), STORAGE),
    bufferOf(Float32Array.from({ length: columns * k }, (_, i) => numberAt(3 * i)), STORAGE),
    c,
  ];
  const read = device.createBuffer({ size: c.size, usage: MAP_READ | COPY_DST });
  const encoder = device.createCommandEncoder(), pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(Math.ceil(blocks / constants.get("BLOCKS_PER_WORKGROUP")!), 1, splits);
  pass.end();
  encoder.copyBufferToBuffer(c, 0, read, 0, c.size);
  device.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  const result = new Float32Array(read.getMappedRange().slice(0), 0, splits * rows * columns);
  for (const buffer of [...buffers, read]) buffer.destroy();
  return result;
}

/** The same, on the host. */
function wanted({ rows, columns, segments, inner, splits }: Sizes): Float32Array {
  const k = segments * inner * 4, perSplit = Math.ceil(segments / splits) * inner * 4;
  return Float32Array.from({ length: splits * rows * columns }, (_, i) => {
    const column = i % columns, row = Math.floor(i / columns) % rows;
    const first = Math.floor(i / (columns * rows)) * perSplit;
    let sum = 0;
    for (let j = first; j < Math.min(first + perSplit, k); j++) {
      sum += numberAt(row * k + j) * numberAt(3 * (column * k + j));
    }
    return sum;
  });
}

async function check({ device, subgroups }: Gpu, text: string, sizes: Numbers): Promise<void> {
  const code = expandKernel(text, sizes, (stem) => files[stem]).map((line) => line.text).join("\n");
  const source = `${subgroups?.directive ?? ""}${code}`;
  for (const product of products) {
    device.pushErrorScope("validation");
    const got = await multiply(device, source, product);
    assert.equal(await device.popErrorScope(), null, `${text} ${JSON.stringify(sizes)}`);
    assert.deepEqual(got, wanted(product), `${text} ${JSON.stringify({ ...sizes, ...product })}`);
  }
}

Deno.test("gemm/gpu/tile() serves tiles and blocks of many sizes, with one buffer or two", async () => {
  using gpu = await openGpu();
  const tile = (ROWS: number, COLUMNS: number, LANE_ROWS: number, LANE_COLUMNS: number) => ({
    ROWS,
    COLUMNS,
    LANE_ROWS,
    LANE_COLUMNS,
    DEPTH: 4,
    BUFFERS: 1,
  });
  for (
    const sizes of [
      tile(64, 64, 8, 8),
      { ...tile(64, 64, 8, 8), BUFFERS: 2 },
      // As many invocations as there may be, of which half load.
      tile(128, 128, 8, 8),
      { ...tile(64, 128, 8, 4), DEPTH: 1, BUFFERS: 2 },
      { ...tile(256, 32, 16, 8), DEPTH: 2 },
      tile(32, 8, 4, 4),
      { ...tile(32, 32, 4, 4), DEPTH: 2, BUFFERS: 2 },
      // A block of rows that is no power of two.
      tile(96, 32, 12, 4),
    ]
  ) await check(gpu, "gemm/gpu/tile", sizes);
});

Deno.test("gemm/software/register() serves blocks of many sizes", async () => {
  using gpu = await openGpu();
  for (const [ROWS, COLUMNS] of [[4, 4], [8, 24], [24, 4], [12, 12]]) {
    await check(gpu, "gemm/software/register", { ROWS, COLUMNS });
  }
});

const { gpu: withSubgroups, ignore } = await openWithSubgroups();

Deno.test(
  "subgroup_columns(), subgroup_rows() and subgroup_pairs() serve blocks of many sizes",
  { ignore },
  async () => {
    const folder = "gemm/software";
    for (const [ROWS, COLUMNS] of [[4, 64], [8, 40], [12, 32]]) {
      await check(withSubgroups, `${folder}/subgroup_columns`, { ROWS, COLUMNS });
    }
    for (const [ROWS, COLUMNS] of [[96, 4], [32, 8]]) {
      await check(withSubgroups, `${folder}/subgroup_rows`, { ROWS, COLUMNS });
    }
    for (const COLUMNS of [4, 12]) await check(withSubgroups, `${folder}/subgroup_pairs`, { COLUMNS });
  },
);
