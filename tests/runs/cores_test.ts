import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { runCompare } from "../../src/runs/compare.ts";
import { type PruneRunOptions, runPrune } from "../../src/runs/prune.ts";
import { shapeKey } from "../../src/kernels/product_choices.ts";
import { seal } from "../../src/io/checksum.ts";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { configOf as configBy } from "../helpers/config.ts";
import { AdapterError, FormatError } from "../../src/errors.ts";
import { productSplits } from "../../src/kernels/gemm.ts";
import type { ProductChooser } from "../../src/kernels/product.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

/** A core that every device has; sums in one part or in many, which add in other orders. */
const core = "gemm/software/register_8x8";
const whole: ProductChooser = () => ({ core, splits: 1 });
const split: ProductChooser = (shape) => ({ core, splits: productSplits(shape, core, 64) });

const brief = { epochs: 2, batch: 16, rounds: 1, learningRate: 0.05, seed: 1 };
const configOf = (more: Record<string, unknown> = {}) => configBy({ ...brief, ...more });

async function run(config: Record<string, unknown>, more: Partial<PruneRunOptions>) {
  const options = { config: configOf(config), dataset: tinyDataset(), graph: tinyGraph() };
  return await runPrune(await deviceOf(), { ...options, ...more });
}

Deno.test("runPrune() computes as the report of an earlier run, whatever would be chosen now", async () => {
  const config = { granularity: "channel", distill: 0.5, compare: false };
  const first = await run(config, { choose: whole });
  const cores = first.report.cores!, products = Object.keys(cores);
  assertEquals(new Set(Object.values(cores)), new Set([`${core}, 1 split`]));
  for (const operation of ["gemm/conv2d_backward_weight", "gemm/conv2d_forward_pooled"]) {
    assert(products.some((product) => product.startsWith(operation)), `${products}`);
  }
  assertEquals(pruneReportSchema.parse(JSON.parse(JSON.stringify(first.report))), first.report);
  assertNotEquals((await run(config, { choose: split })).model, first.model);
  const asked: string[] = [];
  const watched: ProductChooser = (shape) => {
    asked.push(shapeKey(shape));
    return split(shape);
  };
  const again = await run(config, { choose: watched, cores });
  assertEquals([again.model, again.report.cores, asked], [first.model, cores, []]);
  assertEquals(again.report, first.report);
});

Deno.test("runPrune() goes on by the cores that it was given, where no checkpoint says", async () => {
  const files = memoryFiles(), config = { compare: false, checkpointEvery: 3 };
  const first = await run(config, { choose: whole });
  const folder = "out/checkpoint", { cores } = first.report;
  let writes = 0;
  const ending = {
    ...files,
    async write(path: string, bytes: Uint8Array) {
      await files.write(path, bytes);
      if (++writes === 2) throw new Error("the test ends the run");
    },
  };
  const start = { files: ending, folder, resumes: false };
  await assertRejects(
    () => run(config, { choose: split, cores, checkpoints: start }),
    Error,
    "the test ends",
  );
  const resumed = await run(config, { choose: split, checkpoints: { files, folder, resumes: true } });
  assertEquals([resumed.model, resumed.report.cores], [first.model, cores]);
});

Deno.test("runPrune() refuses cores that the device has not, and what is no choice", async () => {
  const product = "gemm/conv2d_forward rows 1 columns 1 segments 1 inner 1";
  await assertRejects(
    () => run({}, { cores: { [product]: "gemm/software/subgroup_1024x4, 1 split" } }),
    AdapterError,
    'Cannot compute products as the report by "gemm/software/subgroup_1024x4": ',
  );
  await assertRejects(
    () => run({}, { cores: { [product]: "fast" } }),
    FormatError,
    '"fast", expected a core',
  );
});

Deno.test("runs refuse splits that a product does not allow before they train, of reports and checkpoints", async () => {
  const config = { compare: false, checkpointEvery: 3 };
  const { cores } = (await run(config, { choose: whole })).report;
  const wrong = Object.fromEntries(Object.keys(cores!).map((product) => [product, `${core}, 7 splits`]));
  const refused = "its sum in 7 splits, expected 1, since it cannot be split";
  let steps = 0;
  const watched = { cores: wrong, onProgress: () => steps++ };
  await assertRejects(() => run(config, watched), FormatError, refused);
  const options = { dataset: tinyDataset(), graph: tinyGraph(), versions: {}, sparsities: [0.5], ...watched };
  const gpu = await deviceOf(), lists = { variants: ["taylor"], seeds: [3] };
  const asked = configOf({ finetuneEpochs: 0, validation: 16, criterion: "magnitude" });
  await assertRejects(() => runCompare(gpu, { ...options, ...lists, config: asked }), FormatError, refused);
  await assertRejects(() => runSensitivity(gpu, { ...options, config: asked }), FormatError, refused);
  const files = memoryFiles(), folder = "out/checkpoint";
  const ending = {
    ...files,
    async write(path: string, bytes: Uint8Array) {
      const text = new TextDecoder("latin1").decode(bytes);
      // The same length, so that the header's stays right.
      const changed = text.replaceAll('\\"splits\\":1', '\\"splits\\":7');
      const changedBytes = Uint8Array.from(changed, (character) => character.charCodeAt(0));
      await seal(changedBytes);
      await files.write(path, changedBytes);
      throw new Error("the test ends the run");
    },
  };
  await assertRejects(
    () => run(config, { choose: whole, checkpoints: { files: ending, folder, resumes: false } }),
    Error,
    "the test ends",
  );
  const resume = { ...watched, cores: {}, checkpoints: { files, folder, resumes: true } };
  await assertRejects(() => run(config, resume), FormatError, refused);
  assertEquals(steps, 0);
});

Deno.test("runCompare() goes on by the cores that it began with, and runSensitivity() says its own", async () => {
  const options = { dataset: tinyDataset(), graph: tinyGraph(), versions: {}, sparsities: [0.5] };
  const lists = { variants: ["taylor"], seeds: [3] }, config = configOf({ finetuneEpochs: 0 });
  const gpu = await deviceOf(),
    first = await runCompare(gpu, { ...options, ...lists, config, choose: whole });
  const before = { ...first, cells: [], trained: [] };
  assertEquals(await runCompare(gpu, { ...options, ...lists, config, choose: split, before }), first);
  const scan = await runSensitivity(gpu, {
    ...{ ...options, choose: split, config: configOf({ validation: 16, criterion: "magnitude" }) },
  });
  const texts = Object.values(scan.cores!);
  assert(texts.length > 0 && texts.every((text) => text.startsWith(core)), `${texts}`);
});
