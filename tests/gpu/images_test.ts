import { assertEquals } from "@std/assert";
import { bindBuffers } from "../../src/gpu/bind.ts";
import { describeDataset } from "../../src/data/dataset.ts";
import { DeviceImages } from "../../src/gpu/images.ts";
import { Program } from "../../src/gpu/executor.ts";
import { readBuffers } from "../../src/gpu/readback.ts";
import { type Augmentation, lowerImages } from "../../src/plan/images.ts";
import { countQuads, mapShape, quadsPerExample } from "../../src/shape.ts";
import { deviceOf } from "../helpers/devices.ts";

/** Images whose bytes do not fill words: 11 of 3 x 5 x 7. */
const count = 11, input = mapShape(3, 5, 7);
const split = {
  pixels: Uint8Array.from({ length: count * 105 }, (_, i) => (i * 37 + 11) % 256),
  labels: Uint8Array.from({ length: count }, (_, i) => (i * 5) % 7),
  count,
};
const dataset = describeDataset({
  ...input,
  name: "odd",
  source: "a test",
  classes: [..."abcdefg"],
  train: split,
  test: split,
});

async function batchOf(
  rows: readonly number[],
  { maxResidentBytes, augmentation }: {
    readonly maxResidentBytes: number;
    readonly augmentation: Augmentation;
  },
) {
  const gpu = await deviceOf(), batch = rows.length, start = gpu.allocatedBytes;
  const images = new DeviceImages(gpu, split, { dataset, batch, maxResidentBytes });
  const x = gpu.createBuffer("x", 16 * batch * quadsPerExample(input));
  const labels = gpu.createBuffer("labels", 16 * countQuads(batch));
  const own = new Map([["x", x], ["labels", labels]]);
  const handedIn = (name: string) => images.input(name);
  const bind = bindBuffers("test", {
    input: handedIn,
    tensor: (name) => ({ buffer: own.get(name)!, quads: 0 }),
  });
  const dispatch = lowerImages({ augmentation }, { batch, input, augments: true });
  const program = await Program.create(gpu, [dispatch], { bind });
  // A batch before it, so that streaming has to replace what was there.
  images.select(Uint32Array.from(rows, (row) => (row + 1) % count));
  program.run({ seed: 1 });
  images.select(Uint32Array.from(rows));
  program.run({ seed: 2 });
  const read = (await readBuffers(gpu, [{ buffer: x }, { buffer: labels }])).map((bytes) =>
    new Uint32Array(bytes)
  );
  for (const resource of [images, x, labels, program]) resource[Symbol.dispose]();
  assertEquals(gpu.allocatedBytes, start);
  return { isResident: images.isResident, x: read[0], labels: read[1].subarray(0, batch) };
}

for (const augmentation of ["none", "flip", "flip-crop"] as const) {
  Deno.test(`DeviceImages gives the same batch resident and streamed, augmentation ${augmentation}`, async () => {
    for (const rows of [[0], [10, 3, 3, 7, 0], [...Array(11).keys()].reverse()]) {
      const resident = await batchOf(rows, { maxResidentBytes: 2 ** 20, augmentation });
      const streamed = await batchOf(rows, { maxResidentBytes: 100, augmentation });
      assertEquals([resident.isResident, streamed.isResident], [true, false]);
      assertEquals(streamed.x, resident.x, "bit for bit");
      assertEquals(streamed.labels, resident.labels);
      assertEquals([...resident.labels], rows.map((row) => split.labels[row]));
    }
  });
}
