import { assert, assertEquals, assertMatch } from "@std/assert";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { runTask } from "../helpers/command.ts";
import { fixtures, plainPng, writeImages } from "../helpers/image_files.ts";

/** Colours that a network learns to tell apart at once. */
const colours = { blue: [20, 30, 200], green: [10, 190, 40], red: [210, 20, 30] } as const;

/** Images of one colour each, a little different. */
function colourFiles(counts: Readonly<Record<string, number>>, side = 8): Record<string, Uint8Array> {
  return Object.fromEntries(
    Object.entries(counts).flatMap(([use, count]) =>
      Object.entries(colours).flatMap(([name, [r, g, b]]) =>
        Array.from({ length: count }, (_, i) => [
          `${use}/${name}/${i}.png`,
          plainPng(side, side, [r + i, g + i, b + i + (use === "train" ? 0 : count)]),
        ])
      )
    ),
  );
}

async function inFolder(
  files: Readonly<Record<string, Uint8Array>>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await writeImages(folder, files);
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const quick = ["--epochs=3", "--rounds=1", "--finetune-epochs=0", "--no-compare", "--tune=off", "--batch=8"];

Deno.test("prune, evaluate and predict take folders of images, and say what was left out", () =>
  inFolder({
    ...colourFiles({ train: 20, test: 5 }),
    "train/red/broken.png": new Uint8Array(20),
    "test/blue/copy.png": plainPng(8, 8, [20, 30, 200]),
  }, async (folder) => {
    const data = `--data=${folder}`, out = `${folder}/out`;
    const refused = await runTask("prune", [data, `--out=${out}`, ...quick]);
    assertEquals(refused.code, 1);
    assertMatch(
      refused.stderr,
      /Cannot read image ".*\/train\/red\/broken\.png": it is no image, expected a JPEG/,
    );

    const run = await runTask("prune", [data, `--out=${out}`, "--damaged=skip", "--size=12x10", ...quick]);
    assertEquals(run.code, 0, run.stderr);
    assertMatch(run.stderr, /^images: 77 of 77 decoded, coloured, 12 x 10 pixels/m);
    assertMatch(run.stderr, /^1 damaged image is left out: .*broken\.png$/m);
    assertMatch(
      run.stderr,
      /^1 test image is a copy of a training image, such as .*copy\.png of .*blue\/0\.png$/m,
    );
    const report = pruneReportSchema.parse(JSON.parse(await Deno.readTextFile(`${out}/report.json`)));
    assertEquals(report.dataset.classes, ["blue", "green", "red"]);
    assertEquals([report.dataset.train + report.dataset.calibration, report.dataset.test], [60, 16]);
    const { skipped, copies, found, resize } = report.dataset.images!;
    assertEquals([skipped, copies.count, found, resize], [
      { count: 1, files: [`${folder}/train/red/broken.png`] },
      1,
      { train: 61, test: 16 },
      "crop",
    ]);
    assert(report.accuracy.trained > 0.9, `${report.accuracy.trained}`);
    assertMatch(run.stdout, /evaluate --model .* --data .* --damaged skip$/m);

    // The model says what size its images have, and what its classes are called.
    const model = `--model=${out}/model.safetensors`;
    const evaluated = await runTask("evaluate", [model, data, "--json", "--damaged=skip"]);
    assertEquals(evaluated.code, 0, evaluated.stderr);
    assertEquals(JSON.parse(evaluated.stdout).accuracy, report.accuracy.finetuned);
    assertEquals(JSON.parse(evaluated.stdout).images, 16);

    const photo = `${folder}/photo.png`;
    await Deno.writeFile(photo, plainPng(90, 40, [10, 180, 45]));
    const single = await runTask("predict", [model, `--images=${photo}`]);
    assertEquals(single.code, 0, single.stderr);
    assertMatch(single.stdout, /photo\.png +green +[01]\.\d{4}/);
    const flat = await runTask("predict", [
      model,
      `--images=${folder}/train/red`,
      "--json",
      "--damaged=skip",
    ]);
    assertEquals(flat.code, 0, flat.stderr);
    const { predictions, skipped: left } = JSON.parse(flat.stdout);
    assertEquals([predictions.length, left], [20, [`${folder}/train/red/broken.png`]]);
    assertEquals(predictions[0].file, `${folder}/train/red/0.png`);
    const classes = await runTask("predict", [
      model,
      `--images=${folder}`,
      "--json",
      "--limit=7",
      "--damaged=skip",
    ]);
    assertEquals(classes.code, 0, classes.stderr);
    const named = JSON.parse(classes.stdout).predictions.map(({ file }: { file: string }) => file);
    assertEquals(named[6], `${folder}/test/green/0.png`);

    await Deno.rename(`${folder}/test/red`, `${folder}/test/ruby`);
    await Deno.rename(`${folder}/train/red`, `${folder}/train/ruby`);
    const other = await runTask("evaluate", [model, data, "--damaged=skip"]);
    assertEquals(other.code, 1);
    assertMatch(
      other.stderr,
      /Cannot evaluate "seed": class 2 of the model is "red", that of .* "ruby", expected folders named as its classes: blue, green, red/,
    );
  }));

Deno.test("compare takes folders of images, and says so in its file", () =>
  inFolder(colourFiles({ train: 10, test: 5 }), async (folder) => {
    const flags = ["--epochs=1", "--sparsities=0.5", "--seeds=0", "--variants=magnitude", "--tune=off"];
    const out = `${folder}/out`;
    const { code, stderr } = await runTask("compare", [`--data=${folder}`, `--out=${out}`, ...flags]);
    assertEquals(code, 0, stderr);
    const { dataset } = JSON.parse(await Deno.readTextFile(`${out}/compare.json`));
    assertEquals(dataset.images.skipped, { count: 0, files: [] });
    assertEquals([dataset.train, dataset.test], [30, 15]);
  }));

Deno.test("images of several sizes need a size, and data sets of other formats take none", () =>
  inFolder({
    ...colourFiles({ "all": 3 }),
    "all/red/jpeg": fixtures.baseline.bytes,
    "idx/train-images-idx3-ubyte": new Uint8Array(4),
  }, async (folder) => {
    const { code, stderr } = await runTask("prune", [`--data=${folder}/all`, ...quick]);
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /Cannot use images of ".*\/all": it has images of 2 sizes, such as .*, expected --size SIDE or --size WIDTHxHEIGHT/,
    );
    const other = await runTask("prune", [`--data=${folder}/idx`, "--size=8", ...quick]);
    assertMatch(other.stderr, /Cannot use "data\.size": .*\/idx holds no such folders/);
    const wrong = await runTask("prune", [`--data=${folder}/all`, "--size=8x", ...quick]);
    assertMatch(
      wrong.stderr,
      /Cannot use "data\.size": "8x" from --size, expected SIDE or WIDTHxHEIGHT in pixels/,
    );
  }));
