import { assertEquals, assertMatch } from "@std/assert";
import { adviseOn, describeDevice, deviceChanges } from "../../src/text/device.ts";
import type { GpuIdentity } from "../../src/gpu/identity.ts";

const llvmpipe = {
  name: "llvmpipe (LLVM 15.0.6, 256 bits)",
  backend: "vulkan",
  vendor: "65541",
  architecture: "",
  device: "0",
  isFallback: true,
} as const;
const identity: GpuIdentity = {
  backend: "vulkan",
  vendor: "65541",
  architecture: "",
  device: "0",
  readPath: "texture",
  subgroupSize: 8,
};

Deno.test("describeDevice() names adapter, maker, chip, backend, read path and subgroups", () => {
  const subgroups = { size: 8, directive: "" };
  assertEquals(
    describeDevice({ adapter: llvmpipe, path: "texture", subgroups }),
    "llvmpipe (LLVM 15.0.6, 256 bits) (vendor 0x10005, device 0x0) through Vulkan, reading through textures, " +
      "with subgroups of 8",
  );
  const browser = {
    ...llvmpipe,
    name: "nvidia ampere",
    backend: "unknown",
    vendor: "nvidia",
    device: "",
  } as const;
  assertEquals(
    describeDevice({
      adapter: { ...browser, architecture: "ampere" },
      path: "storage",
      subgroups: undefined,
    }),
    "nvidia ampere through an unknown backend, reading through storage buffers, without subgroups",
  );
});

Deno.test("deviceChanges() names all that differs, and no more than an older report knows", () => {
  const now = { adapter: "a", gpu: identity };
  assertEquals(deviceChanges(now, now), []);
  assertEquals(
    deviceChanges(
      { adapter: "b", gpu: { ...identity, backend: "opengl", vendor: "", subgroupSize: null } },
      now,
    ),
    [
      "device was b and is a",
      "backend was opengl and is vulkan",
      "vendor was unnamed and is 65541",
      "subgroup size was none and is 8",
    ],
  );
  assertEquals(deviceChanges({ adapter: "b" }, now), ["device was b and is a"]);
  assertEquals(deviceChanges({ adapter: "a" }, now), []);
});

Deno.test("adviseOn() says what OpenGL costs and what to install, but not to those who asked for it", () => {
  assertEquals(adviseOn(llvmpipe), []);
  const [line] = adviseOn({ ...llvmpipe, backend: "opengl", lacksVulkan: true });
  assertMatch(
    line,
    /^note: Vulkan gives no adapter, so this runs on llvmpipe .* through OpenGL: .*half as fast/,
  );
  assertMatch(line, /install a Vulkan driver \(Debian and Ubuntu: mesa-vulkan-drivers;/);
  assertMatch(
    adviseOn({ ...llvmpipe, passedOver: "a GPU" })[0],
    /OpenGL reaches a GPU: --adapter high-performance/,
  );
  assertEquals(adviseOn({ ...llvmpipe, backend: "opengl" }), []);
});
