/** The cache of a teacher's outputs: the same bits as its forward pass gives, once per example, within its memory. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Network } from "../../src/gpu/network.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { openTeacher, type Teacher } from "../../src/train/teacher.ts";
import { countCacheBytes } from "../../src/train/teacher_cache.ts";
import { deviceOf } from "../helpers/devices.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";

const graph = tinyGraph(), batch = 10;
const distillation = { share: .5, temperature: 2, featureWeight: 1, featureMaps: "stages" } as const;

/** What a teacher tells of some examples. */
async function outputsOf(teacher: Teacher, select: (rows: Uint32Array) => void, rows: Uint32Array) {
  const gpu = await deviceOf();
  select(rows);
  teacher.run(rows, 1);
  return await Promise.all([teacher.logits, ...teacher.features].map((buffer) => readFloats(gpu, buffer)));
}

Deno.test("openTeacher() computes each example once where its cache may take the memory", async () => {
  const gpu = await deviceOf(), before = gpu.allocatedBytes;
  {
    using bench = openWorkbench(gpu, { graph }), network = new Network(gpu, graph, 2);
    const { train: examples } = bench, { choose } = gpu;
    const options = {
      student: graph,
      examples,
      batch,
      choose,
      images: { augmentation: "none" },
      loss: { distillation },
    } as const;
    using plain = await openTeacher(network, options);
    using cached = await openTeacher(network, { ...options, cacheBytes: 2 ** 20 });
    const select = (rows: Uint32Array) => examples.select(rows);
    // An epoch in some order leaves out the last examples; blocks of the cache are filled from several batches.
    const order = Uint32Array.from({ length: examples.count }, (_, i) => (7 * i + 3) % examples.count);
    const batches = Array.from({ length: 3 }, (_, i) => order.subarray(batch * i, batch * (i + 1)));
    for (const rows of batches) {
      assertEquals(await outputsOf(cached, select, rows), await outputsOf(plain, select, rows));
    }
    const mixed = Uint32Array.from({ length: batch }, (_, i) => order[3 * (batch - 1 - i)]);
    const wanted = await outputsOf(plain, select, mixed), news = order.subarray(25, 35);
    const fresh = await outputsOf(plain, select, news);
    network.clearArena("values");
    assertEquals(await outputsOf(cached, select, mixed), wanted, "nothing was computed");
    assertNotEquals(await outputsOf(cached, select, news), fresh, "an example that is not kept was computed");
  }
  assertEquals(gpu.allocatedBytes, before, "all memory is freed");
});

Deno.test("openTeacher() keeps nothing where the outputs of all examples do not fit", async () => {
  const gpu = await deviceOf();
  using bench = openWorkbench(gpu, { graph }), network = new Network(gpu, graph, 2);
  const { train: examples } = bench, { choose } = gpu;
  const options = {
    student: graph,
    examples,
    batch,
    choose,
    images: { augmentation: "none" },
    loss: { distillation },
  } as const;
  const rows = Uint32Array.from({ length: batch }, (_, i) => i);
  const bytesOf = async (cacheBytes: number) => {
    using teacher = await openTeacher(network, { ...options, cacheBytes });
    const start = gpu.allocatedBytes;
    examples.select(rows);
    teacher.run(rows, 1);
    return gpu.allocatedBytes - start;
  };
  await bytesOf(0);
  const mirrorBytes = await bytesOf(0), blockBytes = await bytesOf(2 ** 30) - mirrorBytes;
  assert(blockBytes > 0);
  const cacheBytes = blockBytes * Math.ceil(examples.count / batch);
  assertEquals(await bytesOf(cacheBytes) - mirrorBytes, blockBytes);
  assertEquals(await bytesOf(cacheBytes - 1), mirrorBytes);
});

Deno.test("countCacheBytes() counts whole blocks", async () => {
  const gpu = await deviceOf();
  using buffer = gpu.createBuffer("output", 16);
  const outputs = [{ buffer, quads: 3 }, { buffer, quads: 2 }];
  assertEquals(countCacheBytes(outputs, { examples: 20, batch: 10 }), 16 * 5 * 20);
  assertEquals(countCacheBytes(outputs, { examples: 21, batch: 10 }), 16 * 5 * 30);
});
