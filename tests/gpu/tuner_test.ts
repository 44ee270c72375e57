/** Tests the tuner's decisions with trials whose times are made up, its cache in memory, and one tuning on the device. */

import assert from "node:assert/strict";
import { FileError, KernelError } from "../../src/errors.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { collectProducts, openTuner, type Tuner, type TunerOptions } from "../../src/gpu/tuner.ts";
import { openTrial, type TrialOpener } from "../../src/gpu/tuner_trial.ts";
import { choiceText, shapeKey } from "../../src/kernels/product_choices.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import type { ProductChoice, ProductShape } from "../../src/kernels/product.ts";
import { backwardInputShape, backwardWeightShape, forwardShape } from "../../src/model/convolution.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

const geometry = {
  images: 5,
  inQuads: 3,
  inHeight: 9,
  inWidth: 7,
  outChannels: 18,
  outHeight: 9,
  outWidth: 7,
  kernelHeight: 3,
  kernelWidth: 3,
  stride: 1,
  padding: 1,
};
const small: readonly ProductShape[] = [
  forwardShape(geometry),
  backwardInputShape(geometry),
  backwardWeightShape(geometry),
];
/** Large enough that mode `quick` tries something; only trials with made-up times run it. */
const large = forwardShape({ ...geometry, images: 64, outChannels: 64 });

let opened: Promise<Gpu> | undefined;

/** The device that the tests share. */
function sharedGpu(): Promise<Gpu> {
  return opened ??= openGpu({ path: "texture" });
}

/** A trial without a device: times by the choice's text, and results that are right except for those of `wrong`. */
function madeUpTrial(
  { times = () => 1, wrong = [], tried = [] }: {
    readonly times?: (choice: ProductChoice) => number;
    readonly wrong?: readonly string[];
    readonly tried?: ProductChoice[];
  },
): TrialOpener {
  return () => ({
    result(choice) {
      tried.push(choice);
      return Promise.resolve(Float32Array.of(1, wrong.includes(choice.core) && !choice.path ? 3 : 2));
    },
    timesMs: (choices) => Promise.resolve(choices.map(times)),
    [Symbol.dispose]() {},
  });
}

/** Opens a tuner in mode `full` that collects its notes. */
async function openTest(
  options: Partial<TunerOptions>,
): Promise<{ readonly tuner: Tuner; readonly notes: string[] }> {
  const notes: string[] = [];
  const note = (line: string) => void notes.push(line);
  const tuner = await openTuner(await sharedGpu(), { mode: "full", runtime: "test 1", note, ...options });
  return { tuner, notes };
}

const path = "cache/winnow/tuning.json";

Deno.test("tune() measures nothing in mode off", async () => {
  const { tuner, notes } = await openTest({ mode: "off" });
  assert.equal(await tuner.tune(small), 0);
  assert.deepEqual(tuner.choose(large), defaultChooser("texture")(large));
  assert.deepEqual([tuner.explain(), notes], [[], []]);
});

Deno.test("tune() takes the fastest candidate, and the default where none is 3 % faster", async () => {
  const byDefault = defaultChooser("texture")(large);
  const fast = { core: "gemm/software/register_8x16", splits: 1 };
  for (const [timeMs, taken] of [[0.9, fast], [0.98, byDefault], [1.2, byDefault]] as const) {
    const openTrial = madeUpTrial({ times: ({ core, path }) => core === fast.core && !path ? timeMs : 1 });
    const { tuner } = await openTest({ openTrial });
    assert.equal(await tuner.tune([large]), 1);
    assert.deepEqual(tuner.choose(large), taken, `${timeMs} ms`);
    const [explained] = tuner.explain();
    assert.deepEqual([explained.taken, explained.byDefault], [taken, byDefault]);
    const listed = explained.candidates.find(({ choice }) => choiceText(choice) === choiceText(fast));
    assert.deepEqual(listed, { choice: fast, timeMs });
  }
});

Deno.test("tune() tries both read paths in mode full, few candidates in quick, none for small products", async () => {
  const tried: ProductChoice[] = [];
  const { tuner } = await openTest({ openTrial: madeUpTrial({ tried }) });
  await tuner.tune([large]);
  assert(tried.slice(1).some(({ path }) => path === "storage"));
  tried.length = 0;
  const { tuner: quick } = await openTest({ mode: "quick", openTrial: madeUpTrial({ tried }) });
  assert.equal(await quick.tune([large, ...small]), 4);
  assert.equal(tried.length, 3, "the reference, the default and one other");
  assert(tried.slice(1).every(({ path }) => path === undefined));
  assert.equal(quick.explain().length, 4);
});

Deno.test("tune() ends by its signal between two candidates, and keeps what was measured", async () => {
  const files = memoryFiles(),
    cache = { files, path },
    stop = new AbortController(),
    tried: ProductChoice[] = [];
  const openTrial: TrialOpener = (gpu, shape) => {
    const trial = madeUpTrial({ tried })(gpu, shape);
    const result = (choice: ProductChoice) => {
      if (shape === small[1] && tried.length > 1) stop.abort(new Error("enough"));
      return trial.result(choice);
    };
    return { ...trial, result, [Symbol.dispose]() {} };
  };
  const { tuner } = await openTest({ cache, openTrial });
  const tune = tuner.tune(small, { onProduct: () => tried.length = 0, signal: stop.signal });
  await assert.rejects(tune, /enough/);
  assert.equal(tried.length, 3, "the reference, the default and the one that was under way");
  const again = await openTest({ cache, openTrial: madeUpTrial({}) });
  assert.equal(await again.tuner.tune(small), 2, "one was measured before");
});

Deno.test("tune() rejects a candidate whose result is wrong, however fast, and notes it", async () => {
  const wrong = "gemm/software/register_8x16";
  const openTrial = madeUpTrial({ times: ({ core }) => core === wrong ? 0.1 : 1, wrong: [wrong] });
  const { tuner, notes } = await openTest({ openTrial });
  await tuner.tune([large]);
  assert.notEqual(tuner.choose(large).core, wrong);
  assert.deepEqual(notes, [`${wrong}, 1 split is not used for gemm/conv2d_forward: 3 at 1, expected 2`]);
  const rejected = tuner.explain()[0].candidates.filter((candidate) => candidate.rejected !== undefined);
  assert.deepEqual(rejected.map(({ choice, timeMs }) => [choice.core, timeMs]), [[wrong, undefined]]);
});

Deno.test("tune() takes the reference where the default and all others are wrong", async () => {
  const wrong = ["8x8", "8x16", "16x8", "16x16"].map((block) => `gemm/software/register_${block}`);
  const { tuner } = await openTest({ mode: "quick", openTrial: madeUpTrial({ wrong }) });
  await tuner.tune([large]);
  assert.deepEqual(tuner.choose(large), { core: "gemm/software/register_8x8", splits: 1, path: "storage" });
});

Deno.test("tune() rejects a candidate that does not compile, and passes other errors on", async () => {
  const failing = (error: Error): TrialOpener => (gpu, shape) => {
    const trial = madeUpTrial({})(gpu, shape);
    const result = (choice: ProductChoice) =>
      choice.core === "gemm/software/register_16x16" ? Promise.reject(error) : trial.result(choice);
    return { ...trial, result };
  };
  const details = { act: "compile kernel", thing: "it", current: "no", wanted: "yes" };
  const { tuner, notes } = await openTest({ mode: "quick", openTrial: failing(new KernelError(details)) });
  await tuner.tune([large]);
  assert.notEqual(tuner.choose(large).core, "gemm/software/register_16x16");
  assert.match(
    notes.join("\n"),
    /^gemm\/software\/register_16x16, 1 split is not used .*Cannot compile kernel "it"/,
  );
  const { tuner: other } = await openTest({ openTrial: failing(new TypeError("a bug")) });
  await assert.rejects(other.tune([large]), /a bug/);
});

Deno.test("openTuner() reads the choices of an earlier run, which is not measured again", async () => {
  const cache = { files: memoryFiles(), path };
  const times = ({ splits, core }: ProductChoice) => core === "gemm/software/register_8x8" ? 0.5 : splits;
  const first = await openTest({ cache, openTrial: madeUpTrial({ times }) });
  const seen: (readonly [number, number])[] = [];
  assert.equal(await first.tuner.tune([large, ...small], { onProduct: (...at) => seen.push(at) }), 4);
  assert.deepEqual(seen, [0, 1, 2, 3, 4].map((done) => [done, 4]));
  const written = cache.files.entries.get(path);
  const tried: ProductChoice[] = [];
  const second = await openTest({ cache, openTrial: madeUpTrial({ tried }) });
  assert.equal(
    await second.tuner.tune([large, ...small], { onProduct: () => assert.fail("nothing is measured") }),
    0,
  );
  assert.deepEqual([tried, first.notes, second.notes], [[], [], []]);
  assert.deepEqual(second.tuner.explain(), first.tuner.explain());
  for (const shape of [large, ...small]) {
    assert.deepEqual(second.tuner.choose(shape), first.tuner.choose(shape));
  }
  assert.equal(cache.files.entries.get(path), written, "nothing new, so nothing is written");
  const unknown = forwardShape({ ...geometry, images: 3 });
  assert.deepEqual(second.tuner.choose(unknown), defaultChooser("texture")(unknown));
});

Deno.test("openTuner() serves quick by full, not full by quick", async () => {
  const cache = { files: memoryFiles(), path }, openTrial = madeUpTrial({});
  const measured: number[] = [];
  for (const mode of ["quick", "full", "quick", "full"] as const) {
    const { tuner } = await openTest({ mode, cache, openTrial });
    measured.push(await tuner.tune([large]));
  }
  assert.deepEqual(measured, [1, 1, 0, 0]);
});

Deno.test("openTuner() ignores a damaged cache with one note, and replaces it", async () => {
  const right = memoryFiles();
  const { tuner } = await openTest({ cache: { files: right, path }, openTrial: madeUpTrial({}) });
  await tuner.tune([large]);
  const text = new TextDecoder().decode(right.entries.get(path));
  const damages = [
    "",
    "{",
    text.slice(0, -20),
    text.replace('"version": 2', '"version": 1'),
    text.replace('"splits": 1', '"splits": -1'),
    text.replace('"winnow tuning"', '"another"'),
    new Uint8Array([0xff, 0xfe]),
  ];
  for (const damage of damages) {
    const cache = { files: memoryFiles({ [path]: damage }), path };
    const { tuner, notes } = await openTest({ cache, openTrial: madeUpTrial({}) });
    assert.deepEqual(notes, [
      `the tuning cache ${path} is damaged or of another version, so products are measured again`,
    ]);
    assert.equal(await tuner.tune([large]), 1);
    const again = await openTest({ cache, openTrial: madeUpTrial({}) });
    assert.deepEqual([await again.tuner.tune([large]), again.notes], [0, []]);
  }
});

Deno.test("openTuner() ignores other adapters and older runtimes, keeps the one and replaces the other", async () => {
  const cache = { files: memoryFiles(), path }, openTrial = madeUpTrial({});
  const readEntries = () =>
    JSON.parse(new TextDecoder().decode(cache.files.entries.get(path))).entries as {
      key: { adapter: string };
    }[];
  await (await openTest({ cache, openTrial })).tuner.tune([large]);
  const text = new TextDecoder().decode(cache.files.entries.get(path));
  const name = (await sharedGpu()).adapter.name;
  const foreign = text.replaceAll(JSON.stringify(name), '"another adapter"');
  await cache.files.write(path, new TextEncoder().encode(foreign));
  const { tuner, notes } = await openTest({ cache, openTrial });
  assert.match(notes.join("\n"), /^the tuning cache \S+ holds no choices for this adapter, so [^\n]+$/);
  assert.equal(await tuner.tune([large]), 1);
  assert.deepEqual(readEntries().map(({ key }) => key.adapter), ["another adapter", name]);
  const later = await openTest({ cache, openTrial, runtime: "test 2" });
  assert.match(
    later.notes.join("\n"),
    /^the tuning cache \S+ was measured with another runtime or other kernels/,
  );
  assert.equal(await later.tuner.tune([large]), 1);
  assert.deepEqual(readEntries().map(({ key }) => key.adapter), ["another adapter", name]);
  const earlier = await openTest({ cache, openTrial });
  assert.equal(await earlier.tuner.tune([large]), 1, "replaced, not added");
});

Deno.test("openTuner() drops choices that do not compute their product, and measures those anew", async () => {
  const cache = { files: memoryFiles(), path }, openTrial = madeUpTrial({});
  const first = await openTest({ cache, openTrial });
  assert.equal(await first.tuner.tune([large, ...small]), 4);
  const right = new TextDecoder().decode(cache.files.entries.get(path));
  const damages: readonly object[] = [
    { core: "gemm/software/register_8x8", splits: 7 },
    { core: "gemm/software/register_9x9", splits: 1 },
    { core: "gemm/software/subgroup_8x32_windows", splits: 1 },
    { core: "gemm/gpu/tile_64x64", splits: 1, path: "texture" },
  ];
  for (const taken of damages) {
    const damaged = JSON.parse(right);
    damaged.entries[0].products.find(({ shape }: { shape: string }) => shape === shapeKey(large)).taken =
      taken;
    await cache.files.write(path, new TextEncoder().encode(JSON.stringify(damaged)));
    const { tuner, notes } = await openTest({ cache, openTrial });
    assert.deepEqual(tuner.choose(large), defaultChooser("texture")(large));
    assert.match(
      notes.join("\n"),
      /^the tuning cache \S+ has .* for gemm\/conv2d_forward, which does not compute it/,
    );
    assert.equal(await tuner.tune([large, ...small]), 1);
    assert.deepEqual(tuner.choose(large), first.tuner.choose(large));
    assert.deepEqual(new TextDecoder().decode(cache.files.entries.get(path)).length, right.length);
  }
});

Deno.test("tune() notes a cache that cannot be written, and chooses all the same", async () => {
  const files = {
    ...memoryFiles(),
    write: () =>
      Promise.reject(new FileError({ act: "write", thing: path, current: "full", wanted: "room" })),
  };
  const { tuner, notes } = await openTest({ cache: { files, path }, openTrial: madeUpTrial({}) });
  assert.equal(await tuner.tune([large]), 1);
  assert.match(notes.join("\n"), /^the tuning choices are not kept: Cannot write/);
});

Deno.test("collectProducts() lists each product of a lowering once, with what a trial takes", () => {
  const graph = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });
  const shapes = collectProducts((choose) => {
    for (const mode of ["train", "score"] as const) lowerPlan(graph, { batch: 8, mode, choose });
  }, defaultChooser("texture"));
  // Four layers: forward, weight's gradient, and the input's gradient of all but the first.
  assert.equal(shapes.length, 11);
  assert.equal(new Set(shapes.map(shapeKey)).size, 11);
  assert(shapes.every(({ trial }) => trial !== undefined));
});

Deno.test("openTrial() gives one result for every core, number of splits and read path", async () => {
  for (const shape of small) {
    using trial = openTrial(await sharedGpu(), shape);
    const wanted = await trial.result({ core: "gemm/software/register_8x8", splits: 1, path: "storage" });
    assert(new Set(wanted).size > 20, "not all alike");
    for (const core of ["gemm/software/register_16x16", "gemm/gpu/tile_64x64"]) {
      for (const splits of shape.splittable ? [1, 3] : [1]) {
        for (const path of ["storage", "texture"] as const) {
          const choice = { core, splits, path };
          assert.deepEqual(await trial.result(choice), wanted, `${shape.operation} ${choiceText(choice)}`);
          const [timeMs] = await trial.timesMs([choice], 2);
          assert(timeMs > 0 && timeMs < 60_000);
        }
      }
    }
  }
});

Deno.test("timesMs() times more dispatches than one submission holds", async () => {
  using trial = openTrial(await sharedGpu(), backwardWeightShape({ ...geometry, images: 1, inQuads: 1 }));
  const choices = Array.from(
    { length: 40 },
    (_, i) => ({ core: "gemm/software/register_8x8", splits: 1 + i % 2 }),
  );
  const times = await trial.timesMs(choices, 50);
  assert.equal(times.length, choices.length);
  assert(times.every((timeMs) => timeMs > 0 && timeMs < 1000));
});

Deno.test("tune() finds every candidate right on this device, and a wrong one where it is made wrong", async () => {
  const corrupted: TrialOpener = (gpu, shape) => {
    const trial = openTrial(gpu, shape);
    return {
      async result(choice) {
        const result = await trial.result(choice);
        if (choice.core === "gemm/software/register_16x8") result[result.length - 1] += 1;
        return result;
      },
      timesMs: (choices, rounds) => trial.timesMs(choices, rounds),
      [Symbol.dispose]: () => trial[Symbol.dispose](),
    };
  };
  const { tuner, notes } = await openTest({ openTrial: corrupted });
  assert.equal(await tuner.tune(small.slice(0, 1)), 1);
  const [{ candidates, taken }] = tuner.explain();
  assert(notes.length > 0 && notes.every((line) => line.startsWith("gemm/software/register_16x8, ")));
  assert(candidates.length > 4 && taken.core !== "gemm/software/register_16x8");
  for (const { choice, timeMs, rejected } of candidates) {
    assert.equal(rejected === undefined, choice.core !== "gemm/software/register_16x8");
    assert.equal(timeMs === undefined, rejected !== undefined);
  }
});
