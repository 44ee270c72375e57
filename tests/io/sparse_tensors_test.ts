import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { decodeModel, encodeModel, type StoredModel } from "../../src/io/model_file.ts";
import { type NewTensor, readSafetensors, tensorFloats, writeSafetensors } from "../../src/io/safetensors.ts";
import { packMask, sparseTensors, unpackMask } from "../../src/io/sparse_tensors.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { openRandomStream } from "../../src/random.ts";
import { randomTensor } from "../reference/tensor.ts";

const graph = seedNetwork({ channels: 3, height: 16, width: 16, classes: 4 }, {
  conv1: 9,
  conv2: 17,
  fc1: 61,
});

/** A model of which about a fraction of the weights is removed; `pattern` may remove them by place. */
function modelOf(sparsity: number, pattern?: (place: number) => boolean): StoredModel {
  const stream = openRandomStream(7, "mask"), masks = new Map<string, Float32Array>();
  const parameters = layOutParameters(graph).parameters.map(({ fullName, shape, count, prunable }, i) => {
    const values = Float32Array.from(randomTensor([...shape], i).values);
    if (prunable) {
      const isRemoved = (place: number) => pattern ? pattern(place) : stream.nextUniform() < sparsity;
      masks.set(fullName, Float32Array.from({ length: count }, (_, place) => isRemoved(place) ? 0 : 1));
      for (const [place, keep] of masks.get(fullName)!.entries()) if (keep === 0) values[place] = 0;
    }
    return [fullName, values] as const;
  });
  return {
    graph,
    parameters: new Map(parameters),
    masks,
    normalization: { mean: [0, 0, 0], std: [1, 1, 1] },
    classes: ["a", "b", "c", "d"],
  };
}

Deno.test("encodeModel() and decodeModel() lose nothing in sparse files, of any pattern", () => {
  const twoOfFour = modelOf(0.5, (place) => place % 4 < 2);
  for (const model of [0, 0.01, 0.05, 0.5, 0.99, 1].map((sparsity) => modelOf(sparsity)).concat(twoOfFour)) {
    const decoded = decodeModel(encodeModel(model, "sparse"), "a");
    assertEquals(decoded, { ...model, masks: decoded.masks, parameters: decoded.parameters });
    assertEquals(new Map([...decoded.masks].sort()), new Map([...model.masks].sort()));
    for (const [name, values] of model.parameters) assertEquals(decoded.parameters.get(name), values, name);
    assertEquals(encodeModel(decoded, "sparse"), encodeModel(model, "sparse"));
  }
});

Deno.test("encodeModel() writes sparse files that are smaller from 5 % on, by all that is removed", () => {
  for (const sparsity of [0.05, 0.5, 0.9]) {
    const model = modelOf(sparsity),
      dense = encodeModel(model).length,
      sparse = encodeModel(model, "sparse").length;
    const masks = [...model.masks.values()].map((mask) => [...mask]);
    const removed = masks.flat().filter((keep) => keep === 0).length;
    // Bits as bytes take less than as base64 in the metadata, and the header has a line more for each of four weights.
    assert(
      dense - sparse > 4 * removed - 4 * 128,
      `${sparsity}: ${sparse} bytes, dense ${dense}, ${removed} removed`,
    );
    assert(sparse < dense, `${sparsity}: ${sparse} bytes, dense ${dense}`);
  }
});

Deno.test("sparseTensors() gives none for what would be larger, or would lose a number", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => i % 2), mask = values.slice();
  assertEquals(sparseTensors("w", values, mask)?.map(({ name, shape }) => [name, shape]), [
    ["w.mask", [125]],
    ["w.values", [500]],
  ]);
  assertEquals(sparseTensors("w", new Float32Array(1000), new Float32Array(1000))?.[1].shape, [0]);
  assertEquals(sparseTensors("w", values.fill(1), mask), undefined);
  assertEquals(sparseTensors("w", values, new Float32Array(1000).fill(1)), undefined);
  assertEquals(sparseTensors("w", new Float32Array(8), new Float32Array(8)), undefined);
  for (const count of [1, 7, 8, 9]) {
    const bits = Float32Array.from({ length: count }, (_, i) => i % 3 === 0 ? 1 : 0);
    assertEquals(unpackMask(packMask(bits), count), bits);
  }
});

Deno.test("decodeModel() names what is wrong with a sparse weight", () => {
  const { tensors, metadata } = readSafetensors(encodeModel(modelOf(0.9), "sparse"), "a");
  const copies = [...tensors].map(([name, { dtype, shape, bytes }]): NewTensor =>
    dtype === "U8"
      ? { name, dtype, shape, values: bytes.slice() }
      : { name, dtype: "F32", shape, values: tensorFloats({ dtype, bytes }, name) }
  );
  const refuse = (changed: readonly NewTensor[], part: string) =>
    assertThrows(() => decodeModel(writeSafetensors(changed, metadata), "a.bin"), FormatError, part);
  const without = (name: string) => copies.filter((tensor) => tensor.name !== name);
  refuse(without("fc1.weight.mask"), 'a.bin, fc1.weight": fc1.weight.mask is missing, expected it beside');
  refuse(without("fc1.weight.values"), "fc1.weight.values is missing");
  const bits = new Uint8Array(3), floats = new Float32Array(2);
  const mask: NewTensor = { name: "fc1.weight.mask", dtype: "U8", shape: [3], values: bits };
  refuse([...without("fc1.weight.mask"), mask], "a mask of 3 bytes U8, expected");
  const values: NewTensor = { name: "fc1.weight.values", dtype: "F32", shape: [2], values: floats };
  refuse([...without("fc1.weight.values"), values], "2 kept values, expected");
  const whole: NewTensor = { name: "fc1.weight", dtype: "F32", shape: [2], values: floats };
  refuse([...copies, whole], "it is there beside fc1.weight.mask, expected one of both");
});
