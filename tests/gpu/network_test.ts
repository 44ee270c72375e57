/** Tests of a model's state on the device. */
import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { Network } from "../../src/gpu/network.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { deviceOf } from "../helpers/devices.ts";

Deno.test("new Network() asks the device for its arenas before the host makes what lies in them", async () => {
  const layers = [{ kind: "flatten", name: "f" }, {
    kind: "linear",
    name: "fc",
    outFeatures: 690_000,
    bias: false,
  }];
  const graph = parseGraph({ name: "wide", input: { channels: 3, height: 32, width: 32 }, layers }, "a test");
  // 8.5 GB, which the host would have to fill with random numbers.
  assertEquals(layOutParameters(graph).count, 690_000 * 3072);
  const gpu = await deviceOf(), before = gpu.allocatedBytes;
  assertThrows(() => new Network(gpu, graph, 0), ShapeError, "expected at most");
  assertEquals(gpu.allocatedBytes, before);
});
