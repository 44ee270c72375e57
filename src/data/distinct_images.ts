/**
 * Refuses test images that are training images in another file or another order.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { isEqual } from "./distinct_files.ts";
import type { ImageSplit } from "./split.ts";

/** Maximum number of test images that are sought. */
const maxSamples = 64;

/** A hash of a few bytes of an image. */
function hashImage(images: Uint8Array, start: number, imageBytes: number): number {
  let key = 0;
  for (let i = 0; i < 32; i++) {
    key = Math.imul(key, 31) + images[start + Math.floor((i + 0.5) * imageBytes / 32)] | 0;
  }
  return key;
}

/**
 * Seeks up to 64 test images, from all over the split, among the training images, by a few bytes first. Refuses the
 * test images if all were found. Data sets with some images twice pass, and so do images that are all equal.
 *
 * @param thing The source of the test images, for the error.
 * @throws {FormatError} Naming a test image and the training image that it is.
 */
export function checkDistinctImages(
  { train, test }: { readonly train: ImageSplit; readonly test: ImageSplit },
  thing: string,
): void {
  const imageBytes = test.pixels.length / test.count, count = Math.min(maxSamples, test.count);
  const rows = Array.from({ length: count }, (_, i) => Math.floor(i * test.count / count));
  const bytesOf = ({ pixels }: ImageSplit, row: number) =>
    pixels.subarray(row * imageBytes, (row + 1) * imageBytes);
  const samples = Map.groupBy(rows, (row) => hashImage(test.pixels, row * imageBytes, imageBytes));
  if (rows.every((row) => isEqual(bytesOf(test, row), bytesOf(test, rows[0])))) return;
  let left = count, example: string | undefined;
  for (let at = 0; at < train.count && left > 0; at++) {
    const key = hashImage(train.pixels, at * imageBytes, imageBytes), alike = samples.get(key);
    if (!alike) continue;
    const others = alike.filter((row) => !isEqual(bytesOf(test, row), bytesOf(train, at)));
    if (others.length === alike.length) continue;
    example ??= `test image ${alike.find((row) => !others.includes(row))} is training image ${at}`;
    left -= alike.length - others.length;
    samples.set(key, others);
  }
  if (left > 0) return;
  const current = `all of ${count} images that were looked for are training images: ${example}`;
  throw new FormatError({ act: "use for test", thing, current, wanted: "images that training has not seen" });
}
