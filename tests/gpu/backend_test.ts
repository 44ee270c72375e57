import { assertEquals } from "@std/assert";
import { adapterName, backendVariable, findAdapter } from "../../src/gpu/backend.ts";

/** What a backend offers: the adapter's name, and whether it computes on the processor. */
type Offer = readonly [description: string, isFallbackAdapter: boolean];

const gpuThrough: Offer = ["a GPU", false], software: Offer = ["llvmpipe", true];

/**
 * WebGPU as Deno has it: looks through the backends that the variable names, all of them without it, in an order of its
 * own, and with a power preference sorts hardware to the front.
 */
function fakeWebGpu(
  offers: Readonly<Record<string, Offer>>,
): { readonly gpu: GPU; readonly asked: string[] } {
  const asked: string[] = [];
  const gpu = {
    // Reads the variable at once, and answers later.
    requestAdapter({ powerPreference }: GPURequestAdapterOptions = {}): Promise<unknown> {
      const named = Deno.env.get(backendVariable);
      asked.push(named ?? "all");
      const found = Object.entries(offers).filter(([backend]) => named?.split(",").includes(backend) ?? true)
        .map(([backend, [description, isFallbackAdapter]]) => ({
          info: {
            description,
            isFallbackAdapter,
            vendor: "1",
            architecture: "",
            device: "2",
            subgroupMinSize: backend === "opengl" ? 4 : 8,
            subgroupMaxSize: 8,
          },
        }));
      if (powerPreference) {
        found.sort((a, b) => Number(a.info.isFallbackAdapter) - Number(b.info.isFallbackAdapter));
      }
      return Promise.resolve(found[0] ?? null);
    },
  };
  return { gpu: gpu as unknown as GPU, asked };
}

/** Runs with the variable set, or without it, and puts it back. */
async function withVariable<Result>(value: string | undefined, run: () => Promise<Result>): Promise<Result> {
  const before = Deno.env.get(backendVariable);
  const set = (to: string | undefined) =>
    to === undefined ? Deno.env.delete(backendVariable) : Deno.env.set(backendVariable, to);
  set(value);
  try {
    const result = await run();
    assertEquals(Deno.env.get(backendVariable), value, "the variable is left as it was");
    return result;
  } finally {
    set(before);
  }
}

const isLinux = Deno.build.os === "linux";

Deno.test("findAdapter() says through which backend the adapter came", async () => {
  const cases: readonly [Readonly<Record<string, Offer>>, string | undefined, string | undefined][] = [
    [{ vulkan: gpuThrough, opengl: gpuThrough }, undefined, "vulkan"],
    [{ opengl: software }, undefined, "opengl"],
    [{ metal: gpuThrough }, undefined, "metal"],
    [{ dx12: gpuThrough, opengl: gpuThrough }, undefined, "dx12"],
    [{}, undefined, undefined],
    // What the user asks for by name is taken, whatever there is beside it.
    [{ vulkan: gpuThrough, opengl: gpuThrough }, "opengl", "opengl"],
    [{ vulkan: gpuThrough, opengl: software }, "opengl,vulkan", "vulkan"],
    [{ opengl: software }, "vulkan", undefined],
  ];
  for (const [offers, variable, wanted] of cases) {
    const { gpu } = fakeWebGpu(offers);
    const found = await withVariable(variable, () => findAdapter("auto", gpu));
    assertEquals(found?.backend, wanted, JSON.stringify([offers, variable]));
  }
});

Deno.test("findAdapter() takes Vulkan first on Linux, and says which GPU it passes over", {
  ignore: !isLinux,
}, async () => {
  const mixed = { vulkan: software, opengl: gpuThrough };
  const auto = await withVariable(undefined, () => findAdapter("auto", fakeWebGpu(mixed).gpu));
  assertEquals([auto?.backend, auto?.passedOver], ["vulkan", "a GPU"]);
  // Who asks for a GPU gets one.
  const fast = await withVariable(undefined, () => findAdapter("high-performance", fakeWebGpu(mixed).gpu));
  assertEquals([fast?.backend, fast?.passedOver], ["opengl", undefined]);
  const both = { vulkan: software, opengl: software };
  for (const choice of ["auto", "high-performance", "low-power", "fallback"] as const) {
    const found = await withVariable(undefined, () => findAdapter(choice, fakeWebGpu(both).gpu));
    assertEquals([found?.backend, found?.passedOver], ["vulkan", undefined], choice);
  }
});

Deno.test("findAdapter() says where Linux lacks Vulkan, but not to who named a backend", {
  ignore: !isLinux,
}, async () => {
  const find = (offers: Readonly<Record<string, Offer>>, variable?: string) =>
    withVariable(variable, () => findAdapter("high-performance", fakeWebGpu(offers).gpu));
  assertEquals((await find({ opengl: software }))?.lacksVulkan, true);
  assertEquals((await find({ opengl: software }, "opengl"))?.lacksVulkan, undefined);
  assertEquals((await find({ vulkan: software, opengl: gpuThrough }))?.lacksVulkan, undefined);
});

Deno.test("findAdapter() asks first for all backends, since Deno later knows only those", async () => {
  const { gpu, asked } = fakeWebGpu({ vulkan: gpuThrough });
  await withVariable(undefined, () => findAdapter("auto", gpu));
  assertEquals(asked[0], "all");
});

Deno.test("findAdapter() knows no backend where the runtime does not go by the variable", async () => {
  const info = { description: "a GPU", vendor: "", architecture: "", device: "" };
  const gpu = { requestAdapter: () => Promise.resolve({ info }) } as unknown as GPU;
  const found = await findAdapter("auto", gpu);
  assertEquals([found?.backend, found?.name, found?.isFallback], ["unknown", "a GPU", false]);
  for (
    const [backend, wanted] of [["D3D12", "dx12"], ["openGLES", "opengl"], ["vulkan", "vulkan"], [
      "null",
      "unknown",
    ]]
  ) {
    const told = { requestAdapter: () => Promise.resolve({ info: { ...info, backend } }) } as unknown as GPU;
    assertEquals((await findAdapter("auto", told))?.backend, wanted);
  }
});

Deno.test("adapterName() makes a name out of what there is", () => {
  const nothing = { vendor: "", architecture: "", device: "", description: "" };
  assertEquals(adapterName({ ...nothing, vendor: "nvidia", architecture: "ampere" }), "nvidia ampere");
  assertEquals(adapterName({ ...nothing, vendor: "google", device: "0xc0de" }), "google 0xc0de");
  assertEquals(adapterName({ ...nothing, vendor: "4318", description: "NVIDIA H200" }), "NVIDIA H200");
  assertEquals(adapterName(nothing), "unnamed adapter");
  assertEquals(adapterName({}), "unnamed adapter");
});
