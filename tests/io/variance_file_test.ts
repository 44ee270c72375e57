import { assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { decodeVariance, encodeVariance } from "../../src/io/variance_file.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const { input, layers } = tinyGraph(), norm = { kind: "batchnorm2d", name: "norm" };
const graph = parseGraph(
  { name: "normed", input, layers: [layers[0], norm, ...layers.slice(1)] },
  "a test",
);

/** The variance of every trained parameter; statistics have none. */
const varianceWith = (first: number) =>
  new Map(
    layOutParameters(graph).parameters.filter(({ arena }) => arena === "values").map((
      { fullName, count },
    ) => [fullName, Float32Array.from({ length: count }, (_, i) => i === 0 ? first : i / 8)]),
  );

Deno.test("decodeVariance() reads what encodeVariance() wrote", () => {
  const variance = varianceWith(0), bytes = encodeVariance(graph, variance);
  assertEquals(decodeVariance(bytes, "v.safetensors", graph), variance);
  assertEquals(encodeVariance(graph, variance), bytes);
});

Deno.test("decodeVariance() refuses other files, other graphs and numbers that are no variance", () => {
  const bytes = encodeVariance(graph, varianceWith(0));
  const refused = (bytes: Uint8Array, message: string, of = graph) =>
    assertThrows(() => decodeVariance(bytes, "v.safetensors", of), FormatError, message);
  refused(bytes.slice(0, -1), "v.safetensors");
  refused(bytes, "surplus: norm.bias, norm.weight", tinyGraph());
  refused(writeSafetensors([]), 'metadata winnow.variance is absent, expected "1"');
  for (const wrong of [-1, NaN, Infinity]) {
    const name = "v.safetensors, conv1.weight";
    refused(encodeVariance(graph, varianceWith(wrong)), `"${name}": ${wrong} at its index [0`);
  }
});
