import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { bindBuffers } from "../../src/gpu/bind.ts";
import { KernelError } from "../../src/errors.ts";
import type { DeviceBuffer } from "../../src/gpu/buffer.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Program } from "../../src/gpu/executor.ts";
import { Network } from "../../src/gpu/network.ts";
import { preparePlan } from "../../src/gpu/plan_program.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { runOnce } from "../../src/gpu/run_once.ts";
import { SlotPool } from "../../src/gpu/slots.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { PlanBuilder } from "../../src/plan/plan.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";

const quads = 4;

/** y = max(x, 0) over quads, reading x as the path has it. */
function relu(x: string, y: string): Dispatch {
  const kernel = "layer/relu_forward";
  return dispatchOver(quads, {
    kernel,
    label: `${x} to ${y}`,
    bindings: { x: inputRef(x), y: inputRef(y) },
    params: { quads },
  });
}

function binderOf(buffers: Readonly<Record<string, DeviceBuffer>>, used = quads) {
  return bindBuffers("test", { input: (name) => ({ buffer: buffers[name], quads: used }) });
}

function createBuffers(gpu: Gpu, ...names: readonly string[]): Record<string, DeviceBuffer> {
  return Object.fromEntries(names.map((name) => [name, gpu.createBuffer(name, 16 * quads)]));
}

Deno.test("Program.create() names the binding, parameter or constant that is missing or unknown", async () => {
  const gpu = await deviceOf(), buffers = createBuffers(gpu, "x", "y"), before = gpu.allocatedBytes;
  const good = relu("x", "y");
  const wrong: readonly [Dispatch, string][] = [
    [{ ...good, bindings: { x: inputRef("x") } }, "no binding y, expected x, y"],
    [{ ...good, bindings: { ...good.bindings, z: inputRef("x") } }, "an unknown binding z, expected x, y"],
    [{ ...good, params: {} }, "no parameter quads, expected quads"],
    [{ ...good, params: { quads, rows: 1 } }, "an unknown parameter rows, expected quads"],
    [{ ...good, kernel: "layer/no_such" }, "layer/no_such"],
  ];
  for (const [dispatch, part] of wrong) {
    await assertRejects(
      () => Program.create(gpu, [dispatch], { bind: binderOf(buffers) }),
      KernelError,
      part,
    );
  }
  assertEquals(gpu.allocatedBytes, before);
  for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
});

Deno.test("Program.create() refuses a constant that the kernel does not have", async () => {
  const gpu = await deviceOf(), buffers = createBuffers(gpu, "x", "y");
  const dispatch = { ...relu("x", "y"), constants: { STRIDE: 1 } };
  const error = await assertRejects(
    () => Program.create(gpu, [dispatch], { bind: binderOf(buffers) }),
    KernelError,
  );
  assertEquals(error.message.includes("\n"), false);
  for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
});

Deno.test("preparePlan() names a buffer that nothing stands for", async () => {
  const gpu = await deviceOf();
  const builder = new PlanBuilder();
  builder.declare("y", quads);
  builder.emit(relu("nothing", "y"));
  using network = new Network(gpu, tinyGraph(), 0);
  using slots = new SlotPool(gpu);
  await assertRejects(
    () => preparePlan(builder.build("test", 1), { network, slots, input: () => undefined }),
    KernelError,
    'Cannot bind buffers of "plan test": no input nothing, expected every buffer that it names',
  );
});

Deno.test("runOnce() names a buffer that was not given, and frees the others", async () => {
  const gpu = await deviceOf(), before = gpu.allocatedBytes;
  const run = () => runOnce(gpu, { dispatches: [relu("x", "y")], buffers: { x: 16 } });
  await assertRejects(
    run,
    KernelError,
    'Cannot bind buffers of "kernels": no input y, expected every buffer that it names',
  );
  assertEquals(gpu.allocatedBytes, before);
});

for (const path of readPaths) {
  Deno.test(`Program.run() reads what other programs and the host wrote last, on ${path}`, async () => {
    const gpu = await deviceOf(path), buffers = createBuffers(gpu, "a", "b", "c");
    const bind = binderOf(buffers);
    using first = await Program.create(gpu, [relu("a", "b")], { bind });
    using second = await Program.create(gpu, [relu("b", "c"), relu("c", "a")], { bind });
    for (const value of [1, 2, 3]) {
      buffers.a.write(new Float32Array(4 * quads).fill(value));
      first.run();
      second.run();
      assertEquals([...new Set(await readFloats(gpu, buffers.c))], [value]);
      buffers.b.write(new Float32Array(4 * quads).fill(-value));
      second.run();
      assertEquals([...new Set(await readFloats(gpu, buffers.a))], [0]);
    }
    for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
  });

  Deno.test(`Program.run() reads all quads of a buffer of which a program before used fewer, on ${path}`, async () => {
    const gpu = await deviceOf(path), buffers = createBuffers(gpu, "a", "b");
    buffers.a.write(new Float32Array(4 * quads).fill(5));
    using few = await Program.create(gpu, [relu("a", "b")], { bind: binderOf(buffers, 1) });
    using all = await Program.create(gpu, [relu("a", "b")], { bind: binderOf(buffers) });
    few.run();
    all.run();
    assertEquals([...new Set(await readFloats(gpu, buffers.b))], [5]);
    for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
  });
}

Deno.test("Program.run() names the field of Step that it was not given", async () => {
  const gpu = await deviceOf();
  const names = ["tally", "values", "mean"];
  const buffers = createBuffers(gpu, ...names);
  const dispatch = dispatchOver(quads, {
    kernel: "optimizer/running_mean",
    label: "running mean",
    bindings: inputRefs(Object.fromEntries(names.map((name) => [name, name]))),
    params: { quads },
  });
  using program = await Program.create(gpu, [dispatch], { bind: binderOf(buffers) });
  assertThrows(() => program.run({}), KernelError, "mean_weight");
  for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
});
