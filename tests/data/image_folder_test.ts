import { assert, assertEquals, assertRejects } from "@std/assert";
import { isImageFolder, type ListedImage, listImageFolder } from "../../src/data/image_folder.ts";
import { parseImageSize } from "../../src/data/image_options.ts";
import { FormatError } from "../../src/errors.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

/** A file system with so many images for each class, and other files. */
function imagesOf(counts: Readonly<Record<string, number>>, ...others: readonly string[]) {
  const paths = Object.entries(counts).flatMap(([folder, count]) =>
    Array.from({ length: count }, (_, i) => `set/${folder}/${i}.jpg`)
  );
  return memoryFiles(Object.fromEntries([...paths, ...others].map((path) => [path, ""])));
}

const sortedPaths = (images: readonly ListedImage[]) => images.map(({ path }) => path).sort();

Deno.test("listImageFolder() takes classes from folders, and leaves hidden files alone", async () => {
  const files = imagesOf(
    { "train/cat": 3, "train/ant": 2, "test/ant": 1 },
    ...["set/train/.DS_Store", "set/train/cat/.DS_Store", "set/train/cat/Thumbs.db", "set/.git/config"],
    ...["set/README.md", "set/train/notes.txt"],
  );
  const { classes, train, test, share } = await listImageFolder(files, "set");
  assertEquals(classes, ["ant", "cat"]);
  assertEquals(share, undefined);
  const want = ["ant/0", "ant/1", "cat/0", "cat/1", "cat/2"].map((name) => `set/train/${name}.jpg`);
  assertEquals(sortedPaths(train), want);
  assertEquals(test, [{ path: "set/test/ant/0.jpg", label: 0 }]);
  for (const { path, label } of train) assertEquals(classes[label], path.split("/")[2]);
  assert(await isImageFolder(files, "set") && await isImageFolder(files, "set/train"));
  assert(!await isImageFolder(files, "set/train/cat"));
});

Deno.test("without test images a share of each class is held out, by the seed, and all classes are mixed", async () => {
  const files = imagesOf({ a: 50, b: 10, c: 2 });
  const count = (images: readonly ListedImage[]) =>
    [0, 1, 2].map((label) => images.filter((image) => image.label === label).length);
  const first = await listImageFolder(files, "set");
  assertEquals([count(first.train), count(first.test)], [[40, 8, 1], [10, 2, 1]]);
  assertEquals(first.share, 0.2);
  assertEquals(new Set(sortedPaths([...first.train, ...first.test])).size, 62);
  assertEquals(await listImageFolder(files, "set"), first);
  const other = await listImageFolder(files, "set", { splitSeed: 1, testShare: 0.5 });
  assertEquals([count(other.train), count(other.test)], [[25, 5, 1], [25, 5, 1]]);
  const reseeded = await listImageFolder(files, "set", { splitSeed: 1 });
  assert(sortedPaths(reseeded.test).join() !== sortedPaths(first.test).join());
  // The first images are of many classes, so that a limit takes some of each.
  assert(count(first.train.slice(0, 20))[1] >= 1 && first.train[0].path !== "set/a/0.jpg");
});

Deno.test("folders that are no classes are refused with what is wrong", async () => {
  const cases: readonly (readonly [Parameters<typeof imagesOf>, message: string, share?: number])[] = [
    [[{ a: 5 }], 'Cannot use images of "set": it holds one class, a, expected folders of at least 2 classes'],
    [
      [{ a: 5 }, "set/b/.DS_Store"],
      'Cannot use images of "set/b": it holds no image, expected images of the',
    ],
    [[{ a: 5, b: 1 }], 'Cannot split class "b": it holds one image, expected at least 2'],
    [
      [{ "train/a": 5, "train/b": 1, "test/c": 1 }],
      'Cannot use images of "set/test/c": set/train has no class of that name, expected one of a, b',
    ],
    [
      [{ "train/a": 5, "train/b": 1 }, "set/test/x.txt"],
      'Cannot use images of "set/test": it holds no image',
    ],
    [
      [{ "train/a": 5, "train/b": 1, "val/b": 1 }],
      'Cannot use --test-share for "set": set/val holds test images',
      0.3,
    ],
  ];
  for (const [args, message, testShare] of cases) {
    await assertRejects(() => listImageFolder(imagesOf(...args), "set", { testShare }), FormatError, message);
  }
});

Deno.test("parseImageSize() reads a side, or width and height", () => {
  assertEquals(parseImageSize("64"), { width: 64, height: 64 });
  assertEquals(parseImageSize("64x48"), { width: 64, height: 48 });
  for (const text of ["", "0", "64x", "x64", "6.5", "-3", "64 x 48"]) {
    assertEquals(parseImageSize(text), undefined);
  }
});
