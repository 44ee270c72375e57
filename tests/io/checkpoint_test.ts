import { assertEquals, assertRejects } from "@std/assert";
import { configOf } from "../helpers/config.ts";
import { ConfigError, FileError, FormatError, ShapeError } from "../../src/errors.ts";
import {
  type Checkpoint,
  type CheckpointArena,
  decodeCheckpoint,
  encodeCheckpoint,
  loadCheckpoint,
  saveCheckpoint,
} from "../../src/io/checkpoint.ts";
import { checksumKey, checksumPlaceholder, seal } from "../../src/io/checksum.ts";
import { type NewTensor, readSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { type Graph, parseGraph } from "../../src/model/graph.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { randomTensor } from "../reference/tensor.ts";

const graph = parseGraph({
  name: "small",
  input: { channels: 3, height: 5, width: 4 },
  layers: [
    { kind: "conv2d", name: "conv", outChannels: 5, kernel: 3, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "norm" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 3 },
  ],
}, "a test");

const trained: readonly CheckpointArena[] = ["values", "mean", "velocity", "second_moment", "best"];
const statistics: readonly CheckpointArena[] = ["statistics", "statistics_best"];

const isRemoved = (place: number) => place % 3 === 0;

/** A run in the middle of fine-tuning, with all arenas or some. */
function checkpoint(held: readonly CheckpointArena[] = [...trained, ...statistics]): Checkpoint {
  const { parameters } = layOutParameters(graph);
  const arenas = held.map((arena, a) => {
    const kept = parameters.filter((parameter) => (parameter.arena === "values") === trained.includes(arena));
    const named = kept.map(({ fullName, shape, min: least, prunable }, i) => {
      const values = Float32Array.from(
        randomTensor(shape, 20 * a + i).values,
        (value, place) => prunable && isRemoved(place) ? 0 : value,
      );
      const isSquare = arena === "second_moment" || least === 0;
      return [fullName, isSquare ? values.map((value) => value * value) : values] as const;
    });
    return [arena, new Map(named)] as const;
  });
  const masks = parameters.filter(({ prunable }) => prunable).map(({ fullName, count }) =>
    [fullName, Float32Array.from({ length: count }, (_, i) => isRemoved(i) ? 0 : 1)] as const
  );
  return {
    graph,
    arenas: new Map(arenas),
    masks: new Map(masks),
    state: {
      config: configOf({ sparsity: 0.8 }),
      results: { rounds: [{ round: 1, removed: 17, accuracy: 0.1 + 0.2 }], best: null },
    },
  };
}

Deno.test("encodeCheckpoint() and decodeCheckpoint() keep everything bit for bit", async () => {
  const whole = checkpoint();
  // Minus zero and the least subnormal are values like others.
  whole.arenas.get("mean")!.get("fc.bias")!.set([-0, 2 ** -149, 3e38]);
  assertEquals(await decodeCheckpoint(await encodeCheckpoint(whole), "a"), whole);
  whole.arenas.get("values")!.get("fc.bias")![1] = 0;
  const biased = { ...whole, masks: new Map([...whole.masks, ["fc.bias", Float32Array.of(1, 0, 1)]]) };
  assertEquals(await decodeCheckpoint(await encodeCheckpoint(biased), "a"), biased);
  const some = checkpoint(["values", "statistics"]);
  assertEquals(await decodeCheckpoint(await encodeCheckpoint(some), "a"), some);
});

Deno.test("encodeCheckpoint() gives the same bytes however its maps are ordered", async () => {
  const whole = checkpoint();
  const arenas = new Map(
    [...whole.arenas].reverse().map(([arena, named]) => [arena, new Map([...named].reverse())]),
  );
  const masks = new Map([...whole.masks].reverse());
  assertEquals(await encodeCheckpoint({ ...whole, arenas, masks }), await encodeCheckpoint(whole));
});

Deno.test("encodeCheckpoint() refuses what it could not read again", async () => {
  const whole = checkpoint();
  const refuse = (change: Partial<Checkpoint>, part: string) =>
    assertRejects(() => encodeCheckpoint({ ...whole, ...change }), FormatError, part);
  const withArena = (arena: CheckpointArena, name: string, values: Float32Array | undefined) => {
    const named = new Map(whole.arenas.get(arena));
    if (values) named.set(name, values);
    else named.delete(name);
    return { arenas: new Map(whole.arenas).set(arena, named) };
  };
  await refuse(
    withArena("velocity", "fc.bias", undefined),
    'Cannot write checkpoint "velocity/fc.bias": it is missing',
  );
  await refuse({ arenas: new Map() }, '"values/conv.weight": it is missing');
  await refuse(
    { arenas: new Map([...whole.arenas].slice(0, 1)) },
    '"statistics/norm.running_mean": it is missing',
  );
  await refuse({ masks: new Map() }, '"mask/conv.weight": it is missing');
  await refuse(
    withArena("mean", "fc.bias", Float32Array.of(0, NaN, 0)),
    '"mean/fc.bias": NaN at its index [1]',
  );
  await refuse(
    withArena("second_moment", "fc.bias", Float32Array.of(0, 0, -1)),
    '"second_moment/fc.bias": -1 at its index [2], expected finite numbers, at least 0',
  );
  await refuse({ state: { ...whole.state, results: { sum: NaN } } }, "state results");
  const short = withArena("mean", "fc.bias", Float32Array.of(0));
  await assertRejects(() => encodeCheckpoint({ ...whole, ...short }), ShapeError, "mean/fc.bias");
});

/** The file's tensors and metadata, to be changed. */
async function parts(
  of: Checkpoint,
): Promise<{ readonly tensors: NewTensor[]; readonly header: Record<string, unknown> }> {
  const { tensors, metadata } = readSafetensors(await encodeCheckpoint(of), "a");
  const copies = [...tensors].map(([name, { dtype, shape, bytes }]): NewTensor => {
    const copy = bytes.slice();
    return dtype === "BOOL"
      ? { name, dtype, shape: [...shape], values: copy }
      : { name, dtype: "F32", shape: [...shape], values: new Float32Array(copy.buffer) };
  });
  return { tensors: copies, header: JSON.parse(metadata["winnow.checkpoint"]) };
}

/** A checkpoint's file of any tensors and metadata, with its checksum. */
async function sealed(tensors: readonly NewTensor[], text: string): Promise<Uint8Array> {
  const file = writeSafetensors(tensors, { "winnow.checkpoint": text, [checksumKey]: checksumPlaceholder });
  await seal(file);
  return file;
}

Deno.test("decodeCheckpoint() refuses missing, surplus and misshapen tensors, other types and broken numbers", async () => {
  const { tensors, header } = await parts(checkpoint());
  const refuse = async (change: (tensors: readonly NewTensor[]) => readonly NewTensor[], part: string) => {
    const bytes = await sealed(change(tensors), JSON.stringify(header));
    await assertRejects(() => decodeCheckpoint(bytes, "run.safetensors"), FormatError, part);
  };
  const replace = (name: string, change: Partial<NewTensor>) => (all: readonly NewTensor[]) =>
    all.map((tensor) => tensor.name === name ? { ...tensor, ...change } as NewTensor : tensor);
  const without = (pattern: RegExp) => (all: readonly NewTensor[]) =>
    all.filter(({ name }) => !pattern.test(name));
  await refuse(
    without(/^velocity\/fc\.bias$/),
    'Cannot read checkpoint "run.safetensors": missing: velocity/fc.bias',
  );
  await refuse(without(/^values\//), "missing: values/conv.weight");
  await refuse(without(/^statistics\//), "missing: statistics/norm.running_mean");
  await refuse(without(/^mask\//), "missing: mask/conv.weight, mask/fc.weight");
  const stray: NewTensor = { name: "fisher/fc.bias", dtype: "F32", shape: [3], values: new Float32Array(3) };
  await refuse((all) => [...all, stray], "surplus: fisher/fc.bias");
  await refuse((all) => [...all, { ...stray, name: "stray" }], "surplus: stray");
  await refuse(replace("values/fc.bias", { shape: [1, 3] }), "misshapen: values/fc.bias");
  await refuse(
    replace("values/fc.bias", { values: Float32Array.of(0, 0, Infinity) }),
    'values/fc.bias": Infinity',
  );
  await refuse(
    replace("statistics/norm.running_var", { values: Float32Array.of(1, 1, 1, -0.5, 1) }),
    'statistics/norm.running_var": -0.5 at its index [3], expected finite numbers, at least 0',
  );
  const shape = tensors.find(({ name }) => name === "values/conv.weight")!.shape;
  const ones = new Float32Array(shape.reduce((product, size) => product * size)).fill(1);
  await refuse(
    replace("values/conv.weight", { values: ones }),
    'values/conv.weight": 1 at its index [0, 0, 0, 0], expected 0 there, where the mask removes the weight',
  );
  await refuse(replace("mask/fc.weight", { dtype: "U8" }), 'mask/fc.weight": its type is U8, expected BOOL');
  const integers = { dtype: "I32", values: new Int32Array(3) } as const;
  await refuse(replace("values/fc.bias", integers), 'values/fc.bias": its type is I32, expected F32');
});

Deno.test("decodeCheckpoint() refuses files that are none, other versions, and states that are none", async () => {
  const { tensors, header } = await parts(checkpoint());
  const state = header.state as Record<string, unknown>;
  const decode = (value: unknown) => async () =>
    await decodeCheckpoint(await sealed(tensors, JSON.stringify(value)), "run");
  await assertRejects(() => decodeCheckpoint(Uint8Array.of(1), "run"), FormatError, "run");
  await assertRejects(
    () => decodeCheckpoint(writeSafetensors(tensors), "run"),
    FormatError,
    "no metadata winnow.checkpoint",
  );
  const broken = writeSafetensors(tensors, { "winnow.checkpoint": "{" });
  await assertRejects(() => decodeCheckpoint(broken, "run"), FormatError, "not JSON");
  for (const value of [null, 1, [], {}]) await assertRejects(decode(value), FormatError, "version");
  for (const version of [1, 2]) {
    await assertRejects(
      decode({ ...header, version }),
      FormatError,
      `Cannot read checkpoint "run": version ${version}, expected version 3, as this winnow writes it`,
    );
  }
  await assertRejects(decode({ ...header, graph: { ...graph, layers: [] } }), ConfigError, "run, layers");
  const wrong: readonly [Record<string, unknown>, string][] = [
    [{ config: { sparsity: 2 } }, "state config"],
    [{ results: undefined }, "state results"],
    [{ more: 1 }, "state"],
  ];
  for (const [change, part] of wrong) {
    await assertRejects(decode({ ...header, state: { ...state, ...change } }), FormatError, part);
  }
  await assertRejects(decode({ ...header, state: undefined }), FormatError, "state");
});

Deno.test("decodeCheckpoint() refuses a checkpoint that is cut anywhere", async () => {
  const bytes = await encodeCheckpoint(checkpoint(["values", "statistics"]));
  for (let length = 0; length < bytes.length; length += 97) {
    await assertRejects(() => decodeCheckpoint(bytes.subarray(0, length), "run"), FormatError, "run");
  }
});

Deno.test("decodeCheckpoint() refuses a checkpoint of which any bit flipped, and names it", async () => {
  const bytes = await encodeCheckpoint(checkpoint(["values", "statistics"])), last = bytes.length - 1;
  const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  // The length, the header's ends and the digits of the checksum, and some of everything between.
  const digits = new TextDecoder("latin1").decode(bytes).indexOf(checksumKey) + checksumKey.length + 3;
  const places = new Set([0, 1, 7, 8, 7 + header, 8 + header, digits, digits + 63, last]);
  for (let place = 0; place < bytes.length; place += 53) places.add(place);
  for (const place of places) {
    for (const bit of place % 2 === 0 ? [0, 1, 2, 3, 4, 5, 6, 7] : [place % 8]) {
      const damaged = bytes.slice();
      damaged[place] ^= 1 << bit;
      await assertRejects(() => decodeCheckpoint(damaged, "run"), FormatError, '"run', `${place}, ${bit}`);
    }
  }
  assertEquals(await decodeCheckpoint(bytes, "run"), checkpoint(["values", "statistics"]));
});

Deno.test("decodeCheckpoint() refuses one without a checksum", async () => {
  const { tensors, header } = await parts(checkpoint());
  const bytes = writeSafetensors(tensors, { "winnow.checkpoint": JSON.stringify(header) });
  await assertRejects(() => decodeCheckpoint(bytes, "run"), FormatError, '"run": it has no checksum');
});

Deno.test("saveCheckpoint() replaces the one before whole, or leaves it", async () => {
  const files = memoryFiles(), path = "run.safetensors";
  const first = checkpoint(["values", "statistics"]), second = checkpoint();
  await saveCheckpoint(first, path, files);
  const fails = {
    ...files,
    write: () =>
      Promise.reject(new FileError({ act: "write", thing: path, current: "full", wanted: "room" })),
  };
  await assertRejects(() => saveCheckpoint(second, path, fails), FileError);
  await assertRejects(() => saveCheckpoint({ ...second, masks: new Map() }, path, files), FormatError);
  assertEquals(await loadCheckpoint(path, files), first);
  await saveCheckpoint(second, path, files);
  assertEquals(await loadCheckpoint(path, files), second);
  await assertRejects(() => loadCheckpoint("absent", files), FileError, "absent");
});

Deno.test("decodeCheckpoint() takes networks without statistics", async () => {
  const { arenas, masks, state } = checkpoint();
  const layers = graph.layers.filter(({ kind }) => kind !== "batchnorm2d");
  const plain: Graph = { ...graph, layers };
  const named = new Map([...arenas.get("values")!].filter(([name]) => !name.startsWith("norm")));
  const kept = { graph: plain, arenas: new Map([["values", named] as const]), masks, state };
  assertEquals(await decodeCheckpoint(await encodeCheckpoint(kept), "a"), kept);
});
