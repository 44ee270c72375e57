import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type CompareOptions, runCompare } from "../../src/runs/compare.ts";
import { readVariant } from "../../src/runs/compare_variants.ts";
import { Model } from "../../src/api/model.ts";
import { splitDataset } from "../../src/runs/splits.ts";
import { configOf as configBy } from "../helpers/config.ts";
import { ConfigError, FormatError } from "../../src/errors.ts";
import { decodeModel } from "../../src/io/model_file.ts";
import { decodeVariance } from "../../src/io/variance_file.ts";
import type { CompareReport } from "../../src/report/compare_report.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const configOf = (more: Record<string, unknown> = {}) =>
  configBy({ epochs: 3, batch: 16, learningRate: 0.05, finetuneEpochs: 0, ...more });

/** Files that are kept, and the names of those that were made. */
function openKept(kept = new Map<string, Uint8Array>()) {
  const made: string[] = [];
  return {
    kept,
    made,
    async keep(name: string, make: () => Promise<Uint8Array>) {
      if (!kept.has(name)) {
        kept.set(name, await make());
        made.push(name);
      }
      return kept.get(name)!;
    },
  };
}

async function compare(more: Partial<CompareOptions> = {}): Promise<CompareReport> {
  return await runCompare(await deviceOf(), {
    config: configOf(),
    dataset: tinyDataset(),
    graph: tinyGraph(),
    variants: ["snr"],
    sparsities: [0.5, 0.8],
    seeds: [3],
    versions: { winnow: "a test" },
    ...more,
  });
}

const network = "trained-3.safetensors", varianceOf = "trained-3-variance.safetensors";

Deno.test("runCompare() removes by snr what the variance of training says, computed apart", async () => {
  const { kept, made, keep } = openKept(), gpu = await deviceOf(), start = gpu.allocatedBytes;
  const report = await compare({ keep });
  assertEquals([made, gpu.allocatedBytes], [[network, varianceOf], start]);
  const graph = tinyGraph(), { parameters, masks } = decodeModel(kept.get(network)!, network);
  const variance = decodeVariance(kept.get(varianceOf)!, varianceOf, graph);
  const scored = [...masks.keys()].flatMap((name) => {
    return Array.from(parameters.get(name)!, (value, index) => {
      return { name, index, score: Math.abs(value) / Math.max(1e-20, Math.sqrt(variance.get(name)![index])) };
    });
  }).sort((a, b) => a.score - b.score);
  const { limited, test } = await splitDataset(gpu, configOf({ seed: 3 }), tinyDataset());
  using model = new Model(gpu, graph, { task: limited });
  for (const { sparsity, accuracy } of report.cells) {
    const gone = new Map([...masks].map(([name, mask]) => [name, mask.slice()]));
    for (const { name, index } of scored.slice(0, Math.floor(sparsity * scored.length))) {
      gone.get(name)![index] = 0;
    }
    const pruned = new Map(
      [...parameters].map(([name, values]) =>
        [name, values.map((value, i) => value * (gone.get(name)?.[i] ?? 1))] as const
      ),
    );
    model.restore({ parameters: pruned, masks: gone });
    assertEquals((await model.evaluate(test)).accuracy, accuracy);
  }
});

Deno.test("runCompare() goes on by snr from kept networks, with their variance or without", async () => {
  const options = { variants: ["magnitude", "snr"], config: configOf({ finetuneEpochs: 1 }) };
  const { kept, made, keep } = openKept(), whole = await compare({ ...options, keep });
  // The variance is that of training, whatever was fine-tuned since.
  const alone = await compare({ ...options, variants: ["snr"], sparsities: [0.8] });
  assertEquals(alone.cells[0], whole.cells[3]);
  const before = { ...whole, cells: whole.cells.slice(0, 3) };
  assertEquals(await compare({ ...options, keep, before }), whole);
  assertEquals(made, [network, varianceOf]);
  // As a comparison without snr left it.
  const old = openKept(new Map([[network, kept.get(network)!]]));
  assertEquals(await compare({ ...options, keep: old.keep, before }), whole);
  assertEquals(old.made, [varianceOf]);
  assertEquals(old.kept, kept);
});

Deno.test("runCompare() refuses a kept network whose variance cannot be had", async () => {
  const { kept, keep } = openKept();
  await compare({ keep, variants: ["magnitude"], sparsities: [0.5] });
  assert(!kept.has(varianceOf), "only what is asked for is kept");
  await assertRejects(
    () => compare({ keep, config: configOf({ learningRate: 0.1 }) }),
    ConfigError,
    `Cannot score by snr "${network}": it has no variance beside it`,
  );
  kept.set(varianceOf, kept.get(network)!);
  await assertRejects(() => compare({ keep }), FormatError, varianceOf);
});

Deno.test("readVariant() refuses snr without training, by name", () => {
  const wanted = "expected another than snr without epochs of training";
  const message = `Cannot use "prune.score.by": "snr" from variant snr/layer, ${wanted}`;
  assertThrows(
    () => readVariant("snr/layer", configOf({ epochs: 0, model: "a.safetensors" })),
    ConfigError,
    message,
  );
  assertEquals(readVariant("snr", configOf({ model: "a.safetensors" })).config.prune.score.by, "snr");
});
