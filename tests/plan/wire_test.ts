import { assertEquals } from "@std/assert";
import { resolveGraph } from "../../src/model/graph.ts";
import type { PassMode } from "../../src/model/layer.ts";
import { type Wire, wireLayers } from "../../src/plan/wire.ts";
import { graphs } from "./graphs.ts";

/** The wires of the graph of residual blocks, by layer. */
function residualWires(mode: PassMode): ReadonlyMap<string, Wire> {
  const graph = graphs.find(({ name }) => name.startsWith("residual blocks"))!;
  const wires = wireLayers(resolveGraph(graph), mode);
  return new Map(graph.layers.map(({ name }, i) => [name, wires[i]]));
}

/** The layers whose forward pass runs. */
const running = (wires: ReadonlyMap<string, Wire>) =>
  [...wires].filter(([, { computedBy }], i) => computedBy === i).map(([name]) => name);

Deno.test("wireLayers() evaluates a residual block in its convolutions alone", () => {
  const wires = residualWires("evaluate");
  const block = running(wires).filter((name) => name.startsWith("block2"));
  // The shortcut comes after the convolution that could add it, so the sum runs by itself.
  assertEquals(block, ["block2.conv1", "block2.conv2", "block2.shortcut", "block2.add"]);
  const last = wires.get("block1.conv2")!;
  assertEquals([last.norm, last.residual, last.relu], [7, "output: conv1", true]);
});

Deno.test("wireLayers() trains a residual block with the sum and its ReLU in the batch norm", () => {
  const wires = residualWires("train");
  const { norm, residual, relu } = wires.get("block1.bn2")!;
  assertEquals([norm, residual, relu], [undefined, "output: bn1", true]);
  assertEquals(wires.get("block1.conv2")!.norm, undefined);
});

Deno.test("wireLayers() scores a residual block as it is evaluated, and the batch norm's gradient is the convolution's", () => {
  const wires = residualWires("score");
  assertEquals(running(wires), running(residualWires("evaluate")));
  const conv = wires.get("block1.conv2")!, norm = wires.get("block1.bn2")!;
  assertEquals([conv.norm, norm.skipsBackward, norm.dxs], [7, true, [undefined]]);
  assertEquals(conv.dy, wires.get("block1.add")!.dy);
});

Deno.test("wireLayers() sums the gradients of a shortcut in the convolution that reads it first", () => {
  const wires = residualWires("train");
  const conv = wires.get("block1.conv1")!, identity = wires.get("block1.add")!;
  assertEquals(conv.addend, identity.dy);
  assertEquals(conv.gated, true);
  assertEquals(conv.sums, []);
  const [sum, ...others] = wires.get("block3.conv1")!.sums;
  assertEquals(others, []);
  assertEquals(sum.terms, ["gradient of input 0: block3.conv2", wires.get("block3.add")!.dy]);
});

Deno.test("wireLayers() leaves a probed layer's output as it is", () => {
  const graph = graphs.find(({ name }) => name.startsWith("residual blocks"))!;
  const wires = wireLayers(resolveGraph(graph), "evaluate", ["block1.conv2", "block1.relu2"]);
  const of = (name: string) => wires[graph.layers.findIndex((layer) => layer.name === name)];
  assertEquals([of("block1.conv2").norm, of("block1.conv2").residual, of("block1.conv2").relu], [
    undefined,
    undefined,
    false,
  ]);
  // The batch norm behind it takes over the sum and its ReLU, up to the second probe.
  assertEquals([of("block1.bn2").residual, of("block1.bn2").relu], ["output: conv1", true]);
  assertEquals(of("block1.relu2").y, "output: block1.bn2");
});
