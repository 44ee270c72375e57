/**
 * Finds the images of a data set whose folders are its classes, and splits them for training and test.
 *
 * @module
 */
import { FormatError, isWinnowError } from "../errors.ts";
import type { Files } from "../files.ts";
import { openRandomStream, shuffledIndices } from "../random.ts";
import { imageBounds } from "../shape.ts";

/** An image of a class. */
export interface ListedImage {
  readonly path: string;
  /** The index of its class. */
  readonly label: number;
}

/** The images of a data set, each split in an order of its own that mixes the classes. */
export interface ListedFolder {
  readonly classes: readonly string[];
  readonly train: readonly ListedImage[];
  readonly test: readonly ListedImage[];
  /** The share of each class that became test images, where the folder has no test images of its own. */
  readonly share?: number;
}

/** The share of each class that becomes test images. */
export const defaultTestShare = 0.2;

/** What a folder of images is to look like. */
export const imageFolderWanted =
  "images in a folder for each class (CLASS/*.jpg, or train/CLASS/*.jpg and test/CLASS/*.jpg)";

/** Folders of test images, the first that is there. */
const testFolders = ["test", "val", "valid", "validation"];

/** True for what systems put into folders: it is never an image. */
export function isHidden(name: string): boolean {
  return name.startsWith(".") || /^(thumbs\.db|desktop\.ini|__macosx)$/i.test(name);
}

/** True for a name that ends as those of images do. */
export function isImageName(name: string): boolean {
  return /\.(jpe?g|jpe|png|webp|gif)$/i.test(name);
}

/** The names in a folder that are not hidden. @throws {FileError} If it cannot be listed. */
async function listNames(files: Files, folder: string): Promise<readonly string[]> {
  return (await files.list(folder) ?? []).filter((name) => !isHidden(name));
}

/** True for a file, and for a link that leads nowhere. */
async function isFile(files: Files, path: string): Promise<boolean> {
  try {
    await files.sizeBytes(path);
    return true;
  } catch (error) {
    if (isWinnowError(error)) return false;
    throw error;
  }
}

/** The folders in a folder, by their names, each with its names. */
async function listFolders(
  files: Files,
  folder: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const name of await listNames(files, folder)) {
    const path = `${folder}/${name}`;
    if (!isImageName(name) && !await isFile(files, path)) found.set(name, await listNames(files, path));
  }
  return found;
}

/** True for a folder whose folders, or those of its folder `train`, hold images by their names. */
export async function isImageFolder(files: Files, folder: string): Promise<boolean> {
  const folders = await listFolders(files, folder);
  if (folders.values().some((names) => names.some(isImageName))) return true;
  if (!folders.has("train")) return false;
  const classes = await listFolders(files, `${folder}/train`);
  return classes.values().some((names) => names.some(isImageName));
}

/** The images of a folder's classes by class, sorted. */
type Classes = ReadonlyMap<string, readonly string[]>;

function checkClasses(classes: Classes, folder: string): void {
  const refuse = (thing: string, current: string, wanted: string): never => {
    throw new FormatError({ act: "use images of", thing, current, wanted });
  };
  if (classes.size === 0) refuse(folder, "it holds no folder", imageFolderWanted);
  if (classes.size < 2) {
    refuse(folder, `it holds one class, ${[...classes.keys()]}`, "folders of at least 2 classes");
  }
  if (classes.size > imageBounds.classes) {
    refuse(folder, `it holds ${classes.size} folders`, `at most ${imageBounds.classes} classes`);
  }
  const empty = classes.entries().find(([, names]) => names.length === 0);
  if (empty) refuse(`${folder}/${empty[0]}`, "it holds no image", "images of the class, or no such folder");
}

/** Mixes the images of all classes. */
function mix(images: readonly ListedImage[], seed: number, use: string): readonly ListedImage[] {
  const order = shuffledIndices(images.length, openRandomStream(seed, `images for ${use}`));
  return Array.from(order, (row) => images[row]);
}

function imagesOf(
  folder: string,
  name: string,
  names: readonly string[],
  label: number,
): readonly ListedImage[] {
  return names.map((image) => ({ path: `${folder}/${name}/${image}`, label }));
}

/**
 * Lists the images of a folder. Classes are its folders, sorted by name, or those of its folder `train`; then `test`, or
 * `val`, `valid` or `validation`, holds the test images. Without such a folder, a share of each class becomes test images.
 *
 * @param options.testShare The share of each class, in (0, 1). Default: 0.2.
 * @param options.splitSeed Chooses which images, and the order of all. Default: 0.
 * @throws {FormatError} If there are fewer than two classes, one without images, or one with too few to split.
 */
export async function listImageFolder(
  files: Files,
  folder: string,
  { testShare, splitSeed = 0 }: {
    readonly testShare?: number | undefined;
    readonly splitSeed?: number | undefined;
  } = {},
): Promise<ListedFolder> {
  const top = await listNames(files, folder);
  // A class may have the name train.
  const isNested = top.includes("train") &&
    (await listFolders(files, `${folder}/train`)).values().some((names) => names.length > 0);
  const root = isNested ? `${folder}/train` : folder;
  const found = await listFolders(files, root);
  checkClasses(found, root);
  const classes = [...found.keys()];
  const all = [...found].map(([name, names], label) => imagesOf(root, name, names, label));
  const testFolder = isNested ? testFolders.find((name) => top.includes(name)) : undefined;
  if (testFolder === undefined) {
    const share = testShare ?? defaultTestShare;
    const parts = all.map((images, label) =>
      splitClass(images, { share, seed: splitSeed, name: classes[label] })
    );
    const join = (use: "train" | "test") => mix(parts.flatMap((part) => part[use]), splitSeed, use);
    return { classes, train: join("train"), test: join("test"), share };
  }
  const own = `${folder}/${testFolder}`;
  if (testShare !== undefined) {
    const current = `${own} holds test images`;
    throw new FormatError({
      act: "use --test-share for",
      thing: folder,
      current,
      wanted: "it for folders without test images",
    });
  }
  const tests = await listFolders(files, own);
  const unknown = tests.keys().find((name) => !found.has(name));
  if (unknown !== undefined) {
    const current = `${root} has no class of that name`, wanted = `one of ${nameSome(classes)}`;
    throw new FormatError({ act: "use images of", thing: `${own}/${unknown}`, current, wanted });
  }
  const test = [...tests].flatMap(([name, names]) => imagesOf(own, name, names, classes.indexOf(name)));
  if (test.length === 0) {
    const wanted = `${own}/CLASS/*.jpg`;
    throw new FormatError({ act: "use images of", thing: own, current: "it holds no image", wanted });
  }
  return { classes, train: mix(all.flat(), splitSeed, "train"), test: mix(test, splitSeed, "test") };
}

/** The first ten of some names. */
export function nameSome(names: readonly string[]): string {
  return names.slice(0, 10).join(", ") + (names.length > 10 ? ", ..." : "");
}

function splitClass(
  images: readonly ListedImage[],
  { share, seed, name }: { readonly share: number; readonly seed: number; readonly name: string },
): { readonly train: readonly ListedImage[]; readonly test: readonly ListedImage[] } {
  if (images.length < 2) {
    const current = "it holds one image", wanted = "at least 2, one to train on and one to test with";
    throw new FormatError({ act: "split class", thing: name, current, wanted });
  }
  const order = shuffledIndices(images.length, openRandomStream(seed, `test images of ${name}`));
  const count = Math.min(images.length - 1, Math.max(1, Math.round(share * images.length)));
  const take = (rows: Uint32Array) => Array.from(rows.toSorted(), (row) => images[row]);
  return { train: take(order.slice(count)), test: take(order.slice(0, count)) };
}
