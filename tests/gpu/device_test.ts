import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { AdapterError, KernelError } from "../../src/errors.ts";
import { Gpu, openGpu } from "../../src/gpu/device.ts";
import { defaultReadPath, readsTextures } from "../../src/gpu/read_paths.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { efforts, listCandidates } from "../../src/gpu/tuner_candidates.ts";
import { forwardShape } from "../../src/model/convolution.ts";
import { deviceOf } from "../helpers/devices.ts";

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

Deno.test("openGpu() refuses textures where the compiler hangs on them, before it asks for a device", async () => {
  const info = { description: "SwiftShader Device (Subzero)", vendor: "6880", isFallbackAdapter: true };
  const limits = { maxStorageBuffersPerShaderStage: 10 };
  const gpu = { requestAdapter: () => Promise.resolve({ limits, info, features: new Set() }) };
  const error = await withWebGpu(
    gpu,
    () => assertRejects<Error>(() => openGpu({ path: "texture" }), AdapterError),
  );
  assertMatch(
    error.message,
    /do not compile on SwiftShader Device \(Subzero\), expected the read path "storage"/,
  );
});

Deno.test("defaultReadPath() goes by the adapter's name, not by whether it is software", () => {
  assertEquals(defaultReadPath("llvmpipe (LLVM 15.0.6, 256 bits)"), "texture");
  for (
    const name of [
      "SwiftShader Device (Subzero)",
      "google swiftshader",
      "Microsoft Basic Render Driver",
      "NVIDIA H200",
    ]
  ) {
    assertEquals(defaultReadPath(name), "storage");
    assertEquals(readsTextures(name), !/swiftshader/i.test(name));
  }
});

Deno.test("listCandidates() leaves textures out where they do not compile", async () => {
  const { device, adapter } = await deviceOf("storage");
  const shape = forwardShape({
    ...{ images: 4, inQuads: 2, inHeight: 8, inWidth: 8, outChannels: 8, outHeight: 8, outWidth: 8 },
    ...{ kernelHeight: 3, kernelWidth: 3, stride: 1, padding: 1 },
  });
  const pathsOn = (name: string) => {
    const gpu = new Gpu(device, { ...adapter, name }, { path: "storage" });
    const options = { effort: efforts.full, byDefault: gpu.choose(shape) };
    return new Set(listCandidates(gpu, shape, options).map(({ path }) => path ?? "storage"));
  };
  assertEquals(pathsOn("SwiftShader Device (Subzero)"), new Set(["storage"]));
  assertEquals(pathsOn("a GPU"), new Set(["storage", "texture"]));
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
