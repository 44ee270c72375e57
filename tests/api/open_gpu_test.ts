/** `openGpu` of the library: what it finds out by itself, and that a model's products are tuned before they run. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Model, openGpu } from "../../mod.ts";
import { currentHost, setHost } from "../../src/api/host.ts";
import { denoHost } from "../../src/deno/host.ts";
import { AdapterError } from "../../src/errors.ts";
import { openGpu as openPlain } from "../../src/gpu/device.ts";
import { shapeKey } from "../../src/kernels/product_choices.ts";
import type { ProductChooser } from "../../src/kernels/product.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

/** Runs a test with a cache folder of its own. */
async function withCache(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  setHost({ ...denoHost, cacheFolder: () => folder });
  try {
    await run(folder);
  } finally {
    setHost(denoHost);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openGpu() opens the device that the commands open, and tunes it", () =>
  withCache(async () => {
    const notes: string[] = [];
    using gpu = await openGpu({ note: (line) => notes.push(line) });
    using command = await openGpu({ tune: "off" });
    assertEquals(gpu.identity, command.identity);
    assert(gpu.identity.subgroupSize === null || notes.length === 0, notes.join("\n"));
    assert(gpu.tuner && gpu.choose === gpu.tuner.choose);
    assertEquals(currentHost()?.runtime, denoHost.runtime);
  }));

Deno.test("openGpu()'s options switch subgroups and tuning off, and a path that is named does too", async () => {
  using plain = await openGpu({ subgroups: false, tune: "off" });
  assertEquals([plain.subgroups, plain.tuner], [undefined, undefined]);
  let asked = 0;
  const subgroups = () => Promise.resolve(void asked++);
  using named = await openGpu({ path: "storage", subgroups });
  assertEquals([named.path, named.tuner, asked], ["storage", undefined, 0]);
  const error = await assertRejects(() => openGpu({ path: "subgroup", subgroups }), AdapterError);
  assert(error.message.includes("subgroups were not found to work there"), error.message);
  assertEquals(asked, 1);
});

Deno.test("a model has its products tuned before it first runs them, unless the caller chooses", async () => {
  using gpu = await openPlain();
  const dataset = tinyDataset(), { choose } = gpu, tuned = new Set<string>(), unknown: string[] = [];
  const watch: ProductChooser = (shape) => {
    if (!tuned.has(shapeKey(shape))) unknown.push(shape.operation);
    return choose(shape);
  };
  gpu.tuner = {
    choose: watch,
    tunePlans(lower) {
      lower((shape) => {
        tuned.add(shapeKey(shape));
        return choose(shape);
      });
      return Promise.resolve(0);
    },
  };
  gpu.choose = watch;
  // What is lowered to find a batch that fits, before it is tuned, does not run.
  const whenTuned = async (act: () => Promise<unknown>, untuned: readonly string[] = []) => {
    const before = tuned.size;
    await act();
    assert(tuned.size > before, "something was tuned");
    unknown.length = 0;
    await act();
    assertEquals(unknown.filter((name) => !untuned.includes(name)), [], "all else that runs was tuned");
  };
  using model = new Model(gpu, tinyGraph(), { task: dataset });
  await whenTuned(() => model.evaluate(dataset.test));
  await whenTuned(() => model.predict(dataset.test.pixels, { count: 7 }));
  await whenTuned(() => model.train(dataset.train, { epochs: 1, batch: 24 }));
  await whenTuned(() => model.score(dataset.test, { by: "gradient", examples: 96, fisher: "example" }));
  await whenTuned(() => model.score(dataset.train, { by: "confidence", examples: 96 }));
  const refit = () =>
    model.refit({
      calibration: dataset.test,
      remove: () => Promise.resolve(),
      by: "blocks",
      steps: 1,
      batch: 8,
    });
  await whenTuned(refit, ["gemm/gram"]);
  const before = tuned.size;
  using own = new Model(gpu, tinyGraph({ conv1: 8, conv2: 6, fc1: 5 }), { task: dataset, choose });
  await own.evaluate(dataset.test);
  assertEquals(tuned.size, before, "a caller's choice stands");
});

Deno.test("calls of a model hand their signal to tuning, which takes long", async () => {
  using gpu = await openPlain();
  const { choose } = gpu, { train } = tinyDataset(), stop = new AbortController(), { signal } = stop;
  let handed = 0;
  gpu.tuner = {
    choose,
    tunePlans(_lower, options) {
      assertEquals(options?.signal, signal);
      handed++;
      return Promise.reject(new Error("told to stop"));
    },
  };
  using model = new Model(gpu, tinyGraph(), { task: tinyDataset() });
  const calls = [
    () => model.train(train, { epochs: 1, signal }),
    () => model.recalibrate(train, { signal }),
    () => model.score(train, { by: "gradient", signal }),
    () => model.evaluate(train, { signal }),
    () => model.predict(train, { signal }),
  ];
  for (const call of calls) await assertRejects(call, Error, "told to stop");
  using _ = model.keepOnDevice(train);
  await assertRejects(() => model.evaluate(train, { signal }), Error, "told to stop");
  assertEquals(handed, calls.length + 1);
});

Deno.test("choices are kept in the cache folder, and a later device computes by them without measuring", () =>
  withCache(async (folder) => {
    const dataset = tinyDataset(), path = `${folder}/tuning.json`;
    // Wide enough for its products to be measured.
    const graph = tinyGraph({ conv1: 32, conv2: 64, fc1: 16 });
    const run = async () => {
      using gpu = await openGpu({ subgroups: false });
      using model = new Model(gpu, graph, { task: dataset, seed: 1 });
      return (await model.predict(dataset.train)).logits;
    };
    const first = await run(), kept = await Deno.readTextFile(path);
    assert(JSON.parse(kept).entries[0].products.length > 0);
    assertEquals(await run(), first);
    assertEquals(await Deno.readTextFile(path), kept);
  }));
