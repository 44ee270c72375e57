/** How a device and what lies on it fail: errors of WebGPU, use after disposal, and writes of nothing, which end Deno. */
import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { KernelError, ShapeError, StateError } from "../../src/errors.ts";
import { bindBuffers } from "../../src/gpu/bind.ts";
import type { DeviceBuffer } from "../../src/gpu/buffer.ts";
import { copyQuads } from "../../src/gpu/copy.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { Program } from "../../src/gpu/executor.ts";
import { readBuffers, readFloats } from "../../src/gpu/readback.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";

/** Has WebGPU notice an error: a write behind the end of a buffer, behind its back. */
function failOn(gpu: Gpu, buffer: DeviceBuffer): void {
  gpu.device.queue.writeBuffer(buffer.buffer, buffer.sizeBytes, new Float32Array(8));
}

Deno.test("every use of a device reports its errors, with what was being done", async () => {
  using gpu = await openGpu();
  using buffer = gpu.createBuffer("small", 16);
  assertEquals(await gpu.during("reading small", () => readFloats(gpu, buffer)), new Float32Array(4));
  const failing = gpu.during("training net", async () => {
    failOn(gpu, buffer);
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
  const says = /^Cannot run on adapter ".*, while training net, expected no error \(open the device anew\)$/;
  const assertSays = ({ message }: Error) => assertMatch(message, says);
  assertSays(await assertRejects(() => failing, KernelError));
  assertSays(await assertRejects(() => readFloats(gpu, buffer), KernelError));
  assertSays(await assertRejects(() => gpu.during("more", () => Promise.resolve()), KernelError));
  assertSays(assertThrows(() => gpu.createBuffer("more", 16), KernelError));
  const constants = {}, path = "storage";
  assertSays(await assertRejects(() => gpu.pipeline("layer/relu_forward", { path, constants }), KernelError));
});

Deno.test("a device that is lost says so at its next use, after what was done last", async () => {
  using gpu = await openGpu();
  await gpu.during("evaluating net", () => Promise.resolve());
  gpu.device.destroy();
  await gpu.device.lost;
  const error = assertThrows(() => gpu.createBuffer("more", 16), KernelError);
  assertMatch(
    error.message,
    /: the device was lost: something destroyed it, after evaluating net, expected no error/,
  );
});

Deno.test("what was disposed of is named at its next use, and disposing of it again does nothing", async () => {
  const gpu = await openGpu(), buffer = gpu.createBuffer("small", 16), other = gpu.createBuffer("other", 16);
  const dispatch = dispatchOver(1, {
    kernel: "layer/relu_forward",
    label: "relu",
    bindings: { x: inputRef("x"), y: inputRef("y") },
    params: { quads: 1 },
  });
  const bind = bindBuffers("test", {
    input: (name) => ({ buffer: name === "x" ? buffer : other, quads: 1 }),
  });
  const open = () => Program.create(gpu, [dispatch], { bind });
  const before = gpu.allocatedBytes, program = await open(), each = gpu.allocatedBytes - before;
  const disposed = await open();
  for (let i = 0; i < 2; i++) disposed[Symbol.dispose]();
  for (let i = 0; i < 2; i++) buffer[Symbol.dispose]();
  assertEquals(gpu.allocatedBytes, before + each - 16, "each was freed once");
  assertThrows(() => disposed.run(), StateError, 'Cannot use program "relu": it was disposed of');
  const says = 'Cannot use buffer "small": it was disposed of, expected a buffer that is in use';
  assertThrows(() => program.run(), StateError, says);
  assertThrows(() => buffer.write(new Float32Array(4)), StateError, says);
  assertThrows(() => buffer.write(new Float32Array(0)), StateError, says);
  assertThrows(() => buffer.getMirror(), StateError, says);
  assertThrows(() => copyQuads(gpu, [{ from: buffer, to: other, quads: 1 }]), StateError, says);
  await assertRejects(() => readFloats(gpu, buffer), StateError, says);
  await assertRejects(open, StateError, says);
  for (let i = 0; i < 2; i++) gpu[Symbol.dispose]();
  program[Symbol.dispose]();
  assertEquals(gpu.allocatedBytes, 0);
  const gone = /^Cannot use device ".*": it was disposed of, expected a device that is in use$/;
  assertMatch(assertThrows(() => gpu.createBuffer("more", 16), StateError).message, gone);
  assertMatch((await assertRejects(() => readFloats(gpu, other), StateError)).message, gone);
  assertMatch(
    (await assertRejects(() => gpu.during("more", () => Promise.resolve()), StateError)).message,
    gone,
  );
});

Deno.test("writes, copies and readings of nothing do nothing", async () => {
  using gpu = await openGpu();
  using one = gpu.createBuffer("one", 16);
  using two = gpu.createBuffer("two", 16);
  one.write(Float32Array.of(1, 2, 3, 4));
  const { version } = one;
  one.write(new Uint8Array(0));
  one.write(new Uint32Array(0), 16);
  copyQuads(gpu, [{ from: two, to: one, quads: 0 }]);
  assertEquals(one.version, version);
  const [none, all] = await readBuffers(gpu, [{ buffer: one, sizeBytes: 0 }, { buffer: one }]);
  assertEquals([none.byteLength, [...new Float32Array(all)]], [0, [1, 2, 3, 4]]);
});

Deno.test("DeviceBuffer.write() refuses what does not fit, and takes shared memory", async () => {
  using gpu = await openGpu();
  using buffer = gpu.createBuffer("small", 16);
  const refuse = (bytes: number, offset: number, says: string) =>
    assertThrows(() => buffer.write(new Uint8Array(bytes), offset), ShapeError, says);
  refuse(
    20,
    0,
    'Cannot write to buffer "small": 20 bytes from byte 0 on, expected whole words within its 16 bytes',
  );
  refuse(8, 12, "8 bytes from byte 12 on");
  refuse(3, 0, "3 bytes from byte 0 on");
  const shared = new Float32Array(new SharedArrayBuffer(24), 8, 4);
  shared.set([4, 3, 2, 1]);
  buffer.write(shared);
  assertEquals(await readFloats(gpu, buffer), Float32Array.of(4, 3, 2, 1));
});
