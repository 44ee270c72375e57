/**
 * Labelled images that know what they are.
 *
 * @module
 */
import { describeValue, isNumberAs } from "../checks.ts";
import { ShapeError } from "../errors.ts";
import type { ImageSplit, ImageTask } from "./split.ts";

/** A split in memory that knows what its images are, so that a network can be made for it: `resnet20(train)`. */
export class LabelledImages implements ImageSplit, ImageTask {
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array | Uint16Array;
  readonly count: number;
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: readonly string[];
  readonly mean: readonly number[];
  readonly std: readonly number[];

  /** Images of a task. Arrays are not copied. */
  constructor({ pixels, labels, count }: ImageSplit, task: ImageTask) {
    ({ name: this.name, channels: this.channels, height: this.height, width: this.width } = task);
    ({ classes: this.classes, mean: this.mean, std: this.std } = task);
    this.pixels = pixels;
    this.labels = labels;
    this.count = count;
  }

  /**
   * The pixels of some images, without their labels, as `Model.predict` takes them: bytes (N, C, H, W), which are not
   * copied.
   *
   * @param from The first image.
   * @param to The image behind the last one. Default: all that follow.
   * @throws {ShapeError} If there are no such images.
   */
  images(from = 0, to: number = this.count): Uint8Array {
    for (const [thing, value, atLeast] of [["from", from, 0], ["to", to, from]] as const) {
      if (isNumberAs(value, { whole: true, atLeast, atMost: this.count })) continue;
      const current = describeValue(value), wanted = `a whole number, ${atLeast} to ${this.count}`;
      throw new ShapeError({ act: "take images of a split", thing, current, wanted });
    }
    const size = this.channels * this.height * this.width;
    return this.pixels.subarray(from * size, to * size);
  }
}
