import { assertEquals, assertMatch } from "@std/assert";
import { readImageHeader } from "../../src/data/image_header.ts";
import { runTask } from "../helpers/command.ts";
import { plainPng, writeImages } from "../helpers/image_files.ts";

Deno.test("data says what a folder of images holds, draws some, and writes shards that a run takes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const images = ["ant", "bee"].flatMap((name, label) =>
      Array.from(
        { length: 10 },
        (_, i) => [`in/${name}/${i}.png`, plainPng(6 + i % 2, 5, [100 * label, 7 * i, 9])],
      )
    );
    await writeImages(folder, { ...Object.fromEntries(images), "in/bee/broken.png": new Uint8Array(3) });
    const flags = [`${folder}/in`, "--size=4x3"], out = `${folder}/out`;
    const refused = await runTask("data", [...flags, `--out=${out}`]);
    assertMatch(refused.stderr, /Cannot read image ".*\/bee\/broken\.png": it is no image/);
    const sheet = `${folder}/sheet.png`;
    const { code, stdout, stderr } = await runTask("data", [
      ...[...flags, "--damaged=skip", `--out=${out}`, `--show=${sheet}`],
    ]);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^in: 17 training and 4 test images, coloured, 4 x 3 pixels, 2 classes$/m);
    assertMatch(stdout, /^ant +8 +2$/m);
    assertMatch(stdout, /^bee +[789] +[12]$/m);
    assertMatch(stderr, /^1 damaged image is left out: .*broken\.png$/m);
    assertMatch(stderr, /^contact sheet: .*sheet\.png, a line for each of ant, bee$/m);
    // Squares of 16 pixels make 48 of the smaller side; edges of 2 lie around each image.
    const { width, height } = readImageHeader(await Deno.readFile(sheet), true)!;
    assertEquals([width, height], [10 * (4 * 16 + 2) + 2, 2 * (3 * 16 + 2) + 2]);
    const read = await runTask("data", [out, "--json"]);
    assertEquals(read.code, 0, read.stderr);
    const { counts, channels, classes } = JSON.parse(read.stdout);
    assertEquals([counts.train + counts.test, channels, classes], [20, 3, ["ant", "bee"]]);
    const again = await runTask("data", [...flags, "--damaged=skip", `--out=${out}`]);
    assertMatch(again.stderr, /it holds 3 entries .*, expected an empty folder, or --force/);
    const forced = await runTask("data", [...flags, "--damaged=skip", `--out=${out}`, "--force"]);
    assertEquals(forced.code, 0, forced.stderr);
    const other = await runTask("data", [...flags, `--show=${folder}/sheet.jpg`]);
    assertMatch(
      other.stderr,
      /Cannot use "--show": ".*sheet\.jpg", expected the path of a file that ends in \.png/,
    );
    const over = await runTask("data", [...flags, `--show=${sheet}`]);
    assertMatch(over.stderr, /it is there already, expected a new name, or --force/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
