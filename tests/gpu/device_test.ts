import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { AdapterError, KernelError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { readFloats } from "../../src/gpu/readback.ts";

/** Runs with `navigator.gpu` replaced. */
async function withWebGpu(gpu: unknown, run: () => Promise<Error>): Promise<Error> {
  const real = Object.getOwnPropertyDescriptor(Navigator.prototype, "gpu")!;
  Object.defineProperty(Navigator.prototype, "gpu", { configurable: true, get: () => gpu });
  try {
    return await run();
  } finally {
    Object.defineProperty(Navigator.prototype, "gpu", real);
  }
}

Deno.test("openGpu() says what to install where WebGPU finds no adapter", async () => {
  const asked: unknown[] = [];
  const gpu = { requestAdapter: (request: unknown) => (asked.push(request), Promise.resolve(null)) };
  for (const adapter of ["auto", "high-performance", "low-power", "fallback"] as const) {
    const error = await withWebGpu(gpu, () => assertRejects<Error>(() => openGpu({ adapter }), AdapterError));
    assertMatch(error.message, new RegExp(`^Cannot open adapter "${adapter}": WebGPU found none, expected `));
    assertMatch(error.message, /mesa-vulkan-drivers/);
    assert(!error.message.includes("\n"));
  }
  assertEquals(asked, [
    {},
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ]);
});

Deno.test("openGpu() refuses a runtime without WebGPU, and an adapter with too few buffers", async () => {
  const missing = await withWebGpu(undefined, () => assertRejects<Error>(() => openGpu(), AdapterError));
  assertMatch(missing.message, /this runtime has no WebGPU, expected Deno 2\.9 or later/);
  const adapter = { limits: { maxStorageBuffersPerShaderStage: 4 }, info: {}, features: new Set() };
  const poor = { requestAdapter: () => Promise.resolve(adapter) };
  const error = await withWebGpu(poor, () => assertRejects<Error>(() => openGpu(), AdapterError));
  assertMatch(error.message, /4 storage buffers a kernel, expected 8 at least/);
});

Deno.test("Gpu.check() reports what WebGPU noticed, once a readback has waited for it", async () => {
  using gpu = await openGpu();
  using buffer = gpu.createBuffer("small", 16);
  gpu.check();
  // Writes behind the end of the buffer.
  gpu.device.queue.writeBuffer(buffer.buffer, 16, new Float32Array(8));
  const error = await assertRejects(() => readFloats(gpu, buffer), KernelError);
  assertMatch(error.message, /^Cannot run on adapter "/);
  assert(!error.message.includes("\n"));
});

Deno.test("Gpu[Symbol.dispose]() frees every buffer that is left", async () => {
  const gpu = await openGpu();
  gpu.createBuffer("left", 1000);
  const disposed = gpu.createBuffer("disposed of", 16);
  disposed[Symbol.dispose]();
  gpu[Symbol.dispose]();
  assertEquals(gpu.allocatedBytes, 0);
});
