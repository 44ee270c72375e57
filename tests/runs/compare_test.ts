import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type CompareOptions, runCompare } from "../../src/runs/compare.ts";
import { readVariant } from "../../src/runs/compare_variants.ts";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { drawCompare, formatCompare, formatSensitivity } from "../../src/text/compare.ts";
import { configOf as configBy } from "../helpers/config.ts";
import { ConfigError, FormatError, ShapeError } from "../../src/errors.ts";
import {
  type CompareReport,
  compareReportSchema,
  sensitivityReportSchema,
} from "../../src/report/compare_report.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const versions = { winnow: "a test" };

const configOf = (more: Record<string, unknown> = {}) =>
  configBy({ epochs: 2, batch: 16, learningRate: 0.05, finetuneEpochs: 0, ...more });

async function compare(more: Partial<CompareOptions> = {}): Promise<CompareReport> {
  return await runCompare(await deviceOf(), {
    config: configOf(),
    dataset: tinyDataset(),
    graph: tinyGraph(),
    variants: ["magnitude", "random/layer"],
    sparsities: [0.5, 0.9],
    seeds: [3, 4],
    versions,
    ...more,
  });
}

Deno.test("runCompare() measures every variant at every sparsity with every seed, and leaves nothing behind", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes, seen: number[] = [];
  const report = await compare({ onReport: ({ cells }) => Promise.resolve(void seen.push(cells.length)) });
  assertEquals(gpu.allocatedBytes, start);
  assertEquals(compareReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
  assertEquals(report.cells.map(({ variant, sparsity, seed }) => [variant, sparsity, seed].join(" ")), [
    ...["magnitude 0.5 3", "magnitude 0.9 3", "random/layer 0.5 3", "random/layer 0.9 3"],
    ...["magnitude 0.5 4", "magnitude 0.9 4", "random/layer 0.5 4", "random/layer 0.9 4"],
  ]);
  assertEquals(seen, [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]);
  assertEquals(report.trained.map(({ seed }) => seed), [3, 4]);
  for (const { sparsity, removed } of report.cells) assert(Math.abs(sparsity - removed) < 0.01);
  assertEquals(await compare(), report, "the same again");
});

Deno.test("runCompare() says of which layers nothing or little is left, and formatCompare() warns of them", async () => {
  const options = { variants: ["magnitude"], sparsities: [0.5, 0.997], seeds: [3] };
  const { cells: [half, few], ...report } = await compare(options);
  // Two weights stay, in two of four layers at most.
  assertEquals(half.emptyLayers, undefined);
  const empty = few.emptyLayers!;
  assert(empty.length >= 2 && empty.every((name) => /^(conv1|conv2|fc1|fc2)$/.test(name)), `${empty}`);
  const cells = [{ ...few, emptyLayers: ["conv1"] }, { ...few, seed: 4, emptyLayers: ["fc2", "conv1"] }];
  const warning =
    "Warning: nothing is left of conv1, fc2 by magnitude at 99.7 %, so their outputs no longer depend";
  const text = formatCompare({ ...report, cells });
  assert(text.includes(`\n\n${warning} on the images; a --floor above 0`), text);
  assert(!/Warning|Note: under/.test(formatCompare({ ...report, cells: [half] })));
  // What is left says the same of every image.
  assertEquals([half.thinLayers, few.isAtChance], [undefined, true]);
  const { cells: [even] } = await compare({ ...options, variants: ["random/layer"], sparsities: [0.96] });
  const thin = even.thinLayers!;
  assert(thin.includes("conv2") && thin.includes("fc1") && even.emptyLayers === undefined, `${thin}`);
  const notes = formatCompare({ ...report, cells: [{ ...few, thinLayers: ["a", "b", "c", "d"] }] });
  assert(
    notes.includes("\nNote: under 5 % of a layer is left by magnitude at 99.7 % (a, b, c and 1 more).\n"),
    notes,
  );
  assert(notes.endsWith("\nNote: accuracy is no better than chance by magnitude at 99.7 %."), notes);
});

Deno.test("runCompare() goes on from what was found, with the trained networks that were kept", async () => {
  const kept = new Map<string, Uint8Array>(), made: string[] = [];
  const keep = async (name: string, make: () => Promise<Uint8Array>) => {
    if (!kept.has(name)) {
      kept.set(name, await make());
      made.push(name);
    }
    return kept.get(name)!;
  };
  const whole = await compare({ keep });
  assertEquals(made, ["trained-3.safetensors", "trained-4.safetensors"]);
  const before = { ...whole, cells: whole.cells.slice(0, 5) }, seen: number[] = [];
  const onReport = ({ cells }: CompareReport) => Promise.resolve(void seen.push(cells.length));
  assertEquals(await compare({ keep, before, onReport }), whole);
  assertEquals([seen, made.length], [[6, 7, 8], 2]);
  const more = await compare({ keep, before: whole, sparsities: [0.5, 0.7], onReport });
  assertEquals(more.cells.length, 12);
  await assertRejects(
    () => compare({ before: whole, config: configOf({ batch: 8 }) }),
    ConfigError,
    'Cannot go on with "the comparison": train.batch was 16 and is 8, expected what the run was started with',
  );
  await assertRejects(
    () => compare({ before: { ...whole, gpu: { ...whole.gpu!, subgroupSize: 64 } } }),
    ConfigError,
    'Cannot go on with "the comparison": subgroup size was 64 and is "none"',
  );
  const dataset = tinyDataset(), { test } = dataset;
  // It may lie elsewhere, with the same contents.
  assertEquals(
    (await compare({ before: whole, dataset: { ...dataset, source: "elsewhere" } })).cells,
    whole.cells,
  );
  await assertRejects(
    () =>
      compare({
        before: whole,
        dataset: { ...dataset, test: { ...test, pixels: test.pixels.with(0, test.pixels[0] ^ 1) } },
      }),
    ConfigError,
    "contents of the test examples was",
  );
  // A bit of the network that was kept flipped.
  const network = kept.get("trained-4.safetensors")!;
  network[network.length - 9] ^= 1;
  await assertRejects(
    () => compare({ keep, before, onReport }),
    FormatError,
    'Cannot take "trained-4.safetensors": its checksum is',
  );
  // Older reports know the adapter's name, and the data's folder, alone.
  const { gpu: _, contents: __, ...older } = whole;
  assertEquals((await compare({ before: older })).cells, whole.cells);
  await assertRejects(
    () => compare({ before: older, dataset: { ...dataset, source: "elsewhere" } }),
    ConfigError,
    "source was",
  );
});

Deno.test("runCompare() fine-tunes each on the same batches where it is told to", async () => {
  const config = configOf({ finetuneEpochs: 1 });
  const { cells } = await compare({ config, variants: ["magnitude", "magnitude/global"], seeds: [3] });
  assertEquals(cells.length, 4);
  for (const cell of cells) assert(cell.accuracyFinetuned !== undefined);
  // The same variant by two names.
  const numbersOf = (name: string) =>
    cells.filter(({ variant }) => variant === name).map(({ variant: _, ...cell }) => cell);
  assertEquals(numbersOf("magnitude"), numbersOf("magnitude/global"));
});

Deno.test("runCompare() refits in stages where a variant says so", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const config = configOf({ epochs: 12 });
  const variants = ["magnitude", "magnitude/obs", "magnitude/refit"];
  const { cells } = await compare({ config, variants, sparsities: [0.75, 0.5], seeds: [3] });
  assertEquals(gpu.allocatedBytes, start);
  const [plain, , chosen, , refitted] = cells;
  for (const cell of [chosen, refitted]) {
    assertEquals(cell.removed, plain.removed);
    assert(cell.accuracy >= plain.accuracy, `${cell.accuracy} and ${plain.accuracy}`);
  }
  // What comes behind others is as it is alone.
  for (const [i, variant] of [[3, "magnitude/obs"], [5, "magnitude/refit"]] as const) {
    const alone = await compare({ config, variants: [variant], sparsities: [0.5], seeds: [3] });
    assertEquals(alone.cells[0], cells[i]);
  }
});

Deno.test("runCompare() scores anew at each stage where a variant is staged", async () => {
  const config = configOf({ epochs: 12 });
  const variants = ["magnitude", "magnitude/staged", "obd", "obd/staged"];
  const { cells } = await compare({ config, variants, sparsities: [0.5, 0.9], seeds: [3] });
  const [plain, staged, once, anew] = [0, 2, 4, 6].map((i) => cells.slice(i, i + 2));
  const numbersOf = (some: typeof cells) => some.map(({ variant: _, ...cell }) => cell);
  // Magnitudes do not change by what goes, and 0.5 is one stage.
  assertEquals(numbersOf(staged), numbersOf(plain));
  assertEquals(numbersOf(anew)[0], numbersOf(once)[0]);
  assertEquals(anew[1].removed, once[1].removed);
  assert(anew[1].accuracy !== once[1].accuracy, "gradients change by what goes");
});

Deno.test("readVariant() reads what its parts say, and refuses parts that are none", () => {
  const recipeOf = (name: string, base = configOf()) => {
    const { score, select, after } = readVariant(name, base).config.prune;
    return { score, select, after };
  };
  assertEquals(readVariant("lamp", configOf()).name, "lamp");
  const usual = { prior: "evidence", fisher: "batch", temperature: 1 };
  assertEquals(recipeOf("obd/sampled/8x4/layer/plain"), {
    score: { by: "obd", fisher: "sampled" },
    select: { granularity: { rows: 8, channels: 4 }, scope: "layer", floor: 0, protect: [], perCost: false },
    after: { recalibrate: "plain" },
  });
  const temperatureOf = (name: string, base = configOf()) => recipeOf(name, base).score;
  assertEquals(temperatureOf("confidence/T=2.5"), { ...usual, by: "confidence", temperature: 2.5 });
  const auto = { ...usual, by: "confidence", temperature: "validation" };
  assertEquals(temperatureOf("confidence/T=auto", configOf({ validation: 9 })), auto);
  assertThrows(() => readVariant("confidence/T=0", configOf()), ConfigError, '"prune.score.temperature": 0');
  // What a base says of the confidence is for the criteria that read it.
  const base = configOf({ fisher: "example", prior: "matched" });
  assertEquals(["confidence", "obd", "magnitude"].map((name) => recipeOf(name, base).score), [
    { ...usual, by: "confidence", prior: "matched", fisher: "example" },
    { by: "obd", fisher: "example" },
    { by: "magnitude" },
  ]);
  const refitted = configOf({ refit: "layers" });
  assertEquals(["lamp", "lamp/channel", "lamp/refit"].map((name) => recipeOf(name, refitted).after), [
    { refit: { by: "layers", selectionSteps: 3 } },
    { refit: { by: "layers", selectionSteps: 0 } },
    { refit: { by: "layers", selectionSteps: 0 } },
  ]);
  assertEquals(recipeOf("lamp/refit/blocks").after, {
    refit: { by: "blocks", selectionSteps: 0, steps: 300, learningRate: 0.003 },
  });
  assertEquals(recipeOf("lamp/obs").after, { refit: { by: "layers", selectionSteps: 3 } });
  const refused: readonly (readonly [string, string])[] = [
    ["magnitud", 'no criterion is "magnitud", expected "magnitude"'],
    ["magnitude/evidense", '"evidense" says nothing, expected "evidence"'],
    ["magnitude/2:4", '"2:4" says nothing'],
    ["magnitude/filter/channel", '"channel" sets select.granularity again'],
    ["magnitude/sampled", '"prune.score.fisher"'],
    ["magnitude/T=2", '"prune.score.temperature": 2 from variant magnitude/T=2, expected none unless'],
    [
      "confidence/T=auto",
      '"prune.score.temperature": "validation" from variant confidence/T=auto, expected a number without',
    ],
    ["magnitude/staged/refit", 'a refit goes in stages by itself, expected no "staged" beside it'],
    ["confidence/T=high", '"prune.score.temperature"'],
  ];
  for (const [name, message] of refused) {
    assertThrows(() => readVariant(name, configOf()), ConfigError, message);
  }
  assertThrows(() => readVariant("l1", configOf({ granularity: "2:4" })), ConfigError, "granularity 2:4");
});

Deno.test("runSensitivity() prunes each layer alone", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const options = { dataset: tinyDataset(), graph: tinyGraph(), sparsities: [0, 0.9], versions };
  const config = configOf({ validation: 16, criterion: "magnitude", protect: "fc1" });
  const report = await runSensitivity(gpu, { ...options, config });
  assertEquals(gpu.allocatedBytes, start);
  assertEquals(sensitivityReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
  assertEquals(report.cells.map(({ layer, removed }) => [layer, removed]), [
    ...[["conv1", 0], ["conv1", 32], ["conv2", 0], ["conv2", 162], ["fc2", 0], ["fc2", 25]],
  ]);
  const { accuracy, loss } = report.trained;
  for (const cell of report.cells.filter(({ sparsity }) => sparsity === 0)) {
    assertEquals([cell.accuracy, cell.loss], [accuracy, loss], cell.layer);
  }
  // The trained network and each of the three are others.
  assertEquals(new Set(report.cells.map(({ loss }) => loss)).size, 4);
  assert(/conv2( +\d+\.\d \+- \d+\.\d){2}/.test(formatSensitivity(report)));
  await assertRejects(
    () => runSensitivity(gpu, { ...options, config: configOf() }),
    ConfigError,
    "validation",
  );
});

Deno.test("runCompare() and runSensitivity() end within a removal once their signal is aborted", async () => {
  const gpu = await deviceOf(), shared = { dataset: tinyDataset(), graph: tinyGraph(), versions };
  const config = configOf({ validation: 16, criterion: "magnitude", refit: "layers" });
  const lists = { variants: ["magnitude/refit"], seeds: [0], sparsities: [0.5] };
  for (const run of [runCompare, runSensitivity]) {
    const ended = new AbortController(), seen: number[] = [];
    const onProgress = (phase: string, { step }: { readonly step: number }) => {
      if (!phase.startsWith("refit")) return;
      seen.push(step);
      if (step === 1) ended.abort(new Error("enough"));
    };
    const options = { ...shared, ...lists, config, onProgress, signal: ended.signal };
    await assertRejects(() => run(gpu, options), Error, "enough");
    assertEquals(seen, [0, 1], "no further layer is refitted");
  }
});

Deno.test("runSensitivity() leaves out what a layer may not lose alone", async () => {
  const options = { dataset: tinyDataset(), graph: tinyGraph(), sparsities: [0.3, 0.9], versions };
  const scan = async (config: Record<string, unknown>) =>
    await runSensitivity(await deviceOf(), { ...options, config: configOf({ validation: 16, ...config }) });
  const { cells } = await scan({ granularity: "filter", criterion: "magnitude" });
  // conv1 has 4 filters, of which 1 stays; conv2 5, fc1 7. Those of fc2 are the classes.
  assertEquals(cells.map(({ layer, sparsity }) => `${layer} ${sparsity}`), [
    ...["conv1 0.3", "conv2 0.3", "fc1 0.3"],
  ]);
  await assertRejects(
    () => scan({ granularity: "channel", criterion: "magnitude", protect: "conv1,conv2,fc1" }),
    ConfigError,
    "no layer may lose so much alone",
  );
});

Deno.test("formatCompare() and drawCompare() show mean and deviation over seeds", () => {
  const cell = { variant: "magnitude", sparsity: 0.5, removed: 0.5 };
  const report: CompareReport = {
    version: 3,
    versions,
    adapter: "an adapter",
    dataset: { name: "tiny", source: "a test", train: 96, test: 40 },
    model: "seed",
    config: configOf(),
    trained: [{ seed: 0, accuracy: 0.9 }, { seed: 1, accuracy: 0.7 }],
    cells: [
      { ...cell, seed: 0, accuracy: 0.5, accuracyFinetuned: 0.8 },
      { ...cell, seed: 1, accuracy: 0.7, accuracyFinetuned: 0.8 },
      { ...cell, variant: "random", sparsity: 0.25, seed: 0, accuracy: 0.1, accuracyFinetuned: 0.2 },
    ],
  };
  // The deviation of 0.5 and 0.7 with n - 1 is 0.2 / sqrt 2; the standard error of 0.1 by 40 examples sqrt(0.09 / 40), of 0.2
  // sqrt(0.16 / 40).
  const explained =
    "+- is the standard deviation over seeds; of one seed alone, the standard error of an accuracy on 40 " +
    "test examples";
  assertEquals(formatCompare(report).split("\n"), [
    ...["seed on tiny: 80.0 +- 14.1 % before pruning, 2 seeds", ""],
    ...["Test accuracy after removal, %", ""],
    "variant           25 %          50 %",
    "---------  -----------  ------------",
    "magnitude            -  60.0 +- 14.1",
    "random     10.0 +- 4.7             -",
    ...["", "Test accuracy after fine-tuning, %", ""],
    "variant           25 %         50 %",
    "---------  -----------  -----------",
    "magnitude            -  80.0 +- 0.0",
    "random     20.0 +- 6.3            -",
    ...["", `${explained}, which is up to 6.3 points on test examples here.`],
  ]);
  const alone = { ...report, trained: report.trained.slice(1), cells: report.cells.slice(2) };
  const last = formatCompare(alone).split("\n").at(-1);
  assertEquals(last, "+- is the standard error of an accuracy on 40 test examples.");
  // A loss of 0.5 and one of 1 in the mean: of equal accuracies the lower one is better.
  const validation = { accuracy: 0.75, loss: 0.5 }, worse = { accuracy: 0.75, loss: 1 };
  const validated = {
    ...report,
    config: configOf({ validation: 9 }),
    trained: report.trained.map((one) => ({ ...one, validation })),
    cells: [
      { ...cell, seed: 0, accuracy: 0.5, validation: worse },
      { ...cell, seed: 1, accuracy: 0.7, validation: worse },
      { ...cell, variant: "random", seed: 0, accuracy: 0.1, validation },
      { ...cell, variant: "random", seed: 1, accuracy: 0.1, validation },
      { ...cell, variant: "random", sparsity: 0.25, seed: 0, accuracy: 0.4, validation: worse },
    ],
  };
  assertEquals(formatCompare(validated).split("\n"), [
    ...["seed on tiny: 80.0 +- 14.1 % before pruning (75.0 +- 0.0 % on 9 validation examples), 2 seeds", ""],
    ...["Test accuracy after removal, %", ""],
    "variant           25 %          50 %",
    "---------  -----------  ------------",
    "magnitude            -  60.0 +- 14.1",
    "random     40.0 +- 7.7   10.0 +- 0.0",
    ...["", "Validation accuracy after removal, %", ""],
    "variant            25 %         50 %",
    "---------  ------------  -----------",
    "magnitude             -  75.0 +- 0.0",
    "random     75.0 +- 14.4  75.0 +- 0.0",
    "",
    "sparsity  best on validation  validation, %    loss      test, %",
    "--------  ------------------  -------------  ------  -----------",
    "25 %                  random   75.0 +- 14.4  1.0000  40.0 +- 7.7",
    "50 %                  random    75.0 +- 0.0  0.5000  10.0 +- 0.0",
    "",
    // Of 0.5 and of 0.4 by 40 examples.
    `${explained}, or of 9 for validation, which is up to 7.9 points on test examples here.`,
  ]);
  const finetuned = drawCompare(report);
  const plain = drawCompare({
    ...report,
    cells: report.cells.map(({ accuracyFinetuned: _, ...cell }) => cell),
  });
  // Between 0 and 100 % lie 350 pixels above 370: of the means 80 and 60 % of magnitude at 50 % sparsity, the last tick.
  for (const [figure, y] of [[finetuned, "90.0"], [plain, "160.0"]]) {
    assert(figure!.includes(`<circle cx="550.0" cy="${y}"`), figure);
    assertEquals(figure!.match(/<circle/g)?.length, 2);
    assert(!/NaN|undefined| d=""/.test(figure!));
  }
  assertThrows(() => drawCompare({ ...report, cells: [] }), ShapeError, "no line");
});
