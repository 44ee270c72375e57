/**
 * What `Model.predict` takes, as a split: bytes of images have no labels, so theirs are 0 and nobody looks at them.
 *
 * @module
 */
import { describeValue, isNumberAs } from "../checks.ts";
import { takeSplit } from "../data/dataset.ts";
import type { ImageTask, Split } from "../data/split.ts";
import { ShapeError } from "../errors.ts";

/**
 * The images that are asked for, or undefined where there is none.
 *
 * @throws {ShapeError} If they are not of the task's size, or fewer than asked for.
 */
export function splitToPredict(
  images: Uint8Array | Split,
  { count, task }: { readonly count: number | undefined; readonly task: ImageTask },
): Split | undefined {
  const split = images instanceof Uint8Array ? unlabelledSplit(images, task) : images;
  if (typeof split !== "object" || split === null) {
    const wanted = "a Uint8Array (N, C, H, W) or a split";
    throw new ShapeError({ act: "predict", thing: "images", current: describeValue(images), wanted });
  }
  if (count !== undefined && !isNumberAs(count, { whole: true, atLeast: 0, atMost: split.count })) {
    const current = describeValue(count), wanted = `0 to ${split.count}, the images there are`;
    throw new ShapeError({ act: "predict images with", thing: "count", current, wanted });
  }
  const taken = count ?? split.count;
  if (count === 0 || images instanceof Uint8Array && taken === 0) return undefined;
  // A split that is kept on the device is found again by its identity.
  return taken === split.count ? split : takeSplit(split, taken);
}

function unlabelledSplit(images: Uint8Array, { channels, height, width }: ImageTask): Split {
  const size = channels * height * width, count = images.length / size;
  if (!Number.isInteger(count)) {
    const wanted = `a multiple of ${size} as (N, C, H, W) = (N, ${channels}, ${height}, ${width})`;
    throw new ShapeError({ act: "predict", thing: "images", current: `${images.length} bytes`, wanted });
  }
  return { pixels: images, labels: new Uint8Array(count), count };
}
