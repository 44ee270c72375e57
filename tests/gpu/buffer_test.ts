import { assert, assertEquals, assertThrows } from "@std/assert";
import { bindBuffers } from "../../src/gpu/bind.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { ShapeError } from "../../src/errors.ts";
import { Program } from "../../src/gpu/executor.ts";
import { readBuffers, readFloats, readIntegers } from "../../src/gpu/readback.ts";
import { SlotPool } from "../../src/gpu/slots.ts";
import { Tally } from "../../src/gpu/tally.ts";
import { mirrorWidth } from "../../src/kernels/assemble.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { deviceOf } from "../helpers/devices.ts";

for (const quads of [1, mirrorWidth - 1, mirrorWidth, mirrorWidth + 1, 3 * mirrorWidth + 5]) {
  Deno.test(`Mirror.copy() copies ${quads} quads, line by line`, async () => {
    const gpu = await deviceOf("texture"), start = gpu.allocatedBytes;
    const x = gpu.createBuffer("x", 16 * quads), y = gpu.createBuffer("y", 16 * quads);
    const values = Float32Array.from({ length: 4 * quads }, (_, i) => i + 1);
    x.write(values);
    assert(x.getMirror().isStale(quads));
    const dispatch = dispatchOver(quads, {
      kernel: "layer/relu_forward",
      label: "relu",
      bindings: { x: inputRef("x"), y: inputRef("y") },
      params: { quads },
    });
    const bind = bindBuffers("test", { input: (name) => ({ buffer: name === "x" ? x : y, quads }) });
    const program = await Program.create(gpu, [dispatch], { bind, path: "texture" });
    program.run();
    assert(!x.getMirror().isStale(quads));
    assertEquals(await readFloats(gpu, y), values);
    const mirrorBytes = 16 * Math.min(quads, mirrorWidth) * Math.ceil(quads / mirrorWidth);
    // Beside the two buffers and the mirror the program has its uniforms.
    assert(gpu.allocatedBytes >= start + 32 * quads + mirrorBytes);
    for (const resource of [program, x, y]) resource[Symbol.dispose]();
    assertEquals(gpu.allocatedBytes, start);
  });
}

Deno.test("Mirror.copy() copies what was noted as written, and no more", async () => {
  const gpu = await deviceOf("texture"), lines = 4, quads = lines * mirrorWidth + 5;
  using x = gpu.createBuffer("x", 16 * quads);
  using y = gpu.createBuffer("y", 16 * quads);
  const dispatch = dispatchOver(quads, {
    kernel: "layer/relu_forward",
    label: "relu",
    bindings: { x: inputRef("x"), y: inputRef("y") },
    params: { quads },
  });
  const bind = bindBuffers("test", { input: (name) => ({ buffer: name === "x" ? x : y, quads }) });
  using program = await Program.create(gpu, [dispatch], { bind, path: "texture" });
  program.run();
  // Written behind the buffer's back, so that only what is noted is copied.
  gpu.device.queue.writeBuffer(x.buffer, 0, new Float32Array(4 * quads).fill(1));
  x.noteWrite({ first: 0, quads: 0 });
  assert(!x.getMirror().isStale(quads));
  x.noteWrite({ first: mirrorWidth + 3, quads: mirrorWidth });
  x.noteWrite({ first: 2 * mirrorWidth, quads: 1 });
  assert(x.getMirror().isStale(quads) && !x.getMirror().isStale(mirrorWidth));
  program.run();
  const copied = Float32Array.from(
    { length: 4 * quads },
    (_, i) => [1, 2].includes(Math.floor(i / (4 * mirrorWidth))) ? 1 : 0,
  );
  assertEquals(await readFloats(gpu, y), copied);
  x.noteWrite();
  program.run();
  assertEquals(await readFloats(gpu, y), new Float32Array(4 * quads).fill(1));
});

Deno.test("createBuffer() rounds up to quads, zeroes, and refuses what the limits do not allow", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  using buffer = gpu.createBuffer("seventeen", 17);
  assertEquals([buffer.sizeBytes, gpu.allocatedBytes - start], [32, 32]);
  assertEquals([...await readIntegers(gpu, buffer)], Array(8).fill(0));
  assertThrows(() => gpu.createBuffer("huge", 2 ** 45), ShapeError, 'Cannot allocate buffer "huge"');
  assertEquals(gpu.allocatedBytes, start + 32);
});

Deno.test("readBuffers() reads ranges of several buffers in one wait", async () => {
  const gpu = await deviceOf();
  using a = gpu.createBuffer("a", 32);
  using b = gpu.createBuffer("b", 16);
  a.write(Uint32Array.from([1, 2, 3, 4, 5, 6, 7, 8]));
  b.write(Uint32Array.from([9]), 12);
  const ranges = [{ buffer: a, offsetBytes: 8, sizeBytes: 12 }, { buffer: b }, {
    buffer: a,
    offsetBytes: 28,
  }];
  const read = await readBuffers(gpu, ranges);
  assertEquals(read.map((bytes) => [...new Uint32Array(bytes)]), [[3, 4, 5], [0, 0, 0, 9], [8]]);
});

Deno.test("SlotPool.take() shares the smallest buffers that fit among plans", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const pool = new SlotPool(gpu);
  const sizesOf = (taken: ReturnType<SlotPool["take"]>) => taken.map(({ sizeBytes }) => sizeBytes / 16);
  const first = pool.take([4, 100, 20]);
  assertEquals(sizesOf(first), [4, 100, 20]);
  assertEquals(new Set(first).size, 3);
  const second = pool.take([15, 3]);
  assertEquals(second, [first[2], first[0]]);
  const third = pool.take([15, 18, 90, 1]);
  assertEquals(sizesOf(third), [15, 20, 100, 4], "where too few fit, one is added");
  assertEquals(new Set(third).size, 4);
  assertEquals(gpu.allocatedBytes - start, 16 * (4 + 100 + 20 + 15));
  pool[Symbol.dispose]();
  assertEquals(gpu.allocatedBytes, start);
});

Deno.test("Tally counts nothing at first, and forgets what it counted when cleared", async () => {
  const gpu = await deviceOf();
  using tally = new Tally(gpu);
  const nothing = { lossSum: 0, correct: 0, count: 0, bad: undefined };
  assertEquals(await tally.read(), nothing);
  tally.buffer.write(new Float32Array([2.5]));
  tally.buffer.write(Uint32Array.of(3, 4, 0), 4);
  assertEquals(await tally.read(), { lossSum: 2.5, correct: 3, count: 4, bad: { step: 0, isLoss: true } });
  tally.clear();
  assertEquals(await tally.read(), nothing);
});
