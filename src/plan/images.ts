/**
 * The dispatch that makes a batch from the images on the device.
 *
 * @module
 */
import { inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { ShapeError } from "../errors.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { type FeatureShape, quadsPerPixel } from "../shape.ts";

/** The augmentations of training images: none, mirrored, or mirrored and shifted by up to 4 pixels. */
export const augmentations: readonly Augmentation[] = ["none", "flip", "flip-crop"];

/** Augmentation of training images: none, mirrored, or mirrored and shifted by up to 4 pixels. */
export type Augmentation = "none" | "flip" | "flip-crop";

/** The augmentation of the images of a batch. */
export interface ImageSource {
  readonly augmentation: Augmentation;
  /**
   * Side in pixels of a square that training images lose at a random position; a part outside the image has no
   * effect. Default: 0, no square. Source: DeVries and Taylor 2017, arXiv 1708.04552.
   */
  readonly cutout?: number;
  /** True augments images in evaluation too: a teacher must get the same images as its student. */
  readonly inEvaluation?: boolean;
}

/** Maximum shift of a padded random crop, in pixels, as is usual on CIFAR-10 (He et al. 2015, section 4.2). */
const cropShift = 4;

/**
 * The dispatch from buffers `images`, `classes`, `rows` and `normalization` to tensors `x` and `labels`.
 *
 * @throws {ShapeError} If the square that is cut out is larger than the image.
 */
export function lowerImages(
  { augmentation, cutout = 0, inEvaluation = false }: ImageSource,
  { batch, input, augments }: {
    readonly batch: number;
    readonly input: FeatureShape;
    readonly augments: boolean;
  },
): Dispatch {
  const { channels, height, width } = input, inner = quadsPerPixel(input);
  const strips = batch * height * Math.ceil(width / 4) * inner;
  const varies = augments || inEvaluation, isVaried = varies && augmentation !== "none";
  if (cutout > Math.min(height, width)) {
    const current = `images of ${height} x ${width} pixels`;
    throw new ShapeError({
      act: "cut out squares of side",
      thing: `${cutout}`,
      current,
      wanted: "larger images",
    });
  }
  return dispatchOver(strips, {
    kernel: "data/batch_images",
    label: "batch",
    bindings: {
      normalization: inputRef("normalization"),
      images: inputRef("images"),
      classes: inputRef("classes"),
      rows: inputRef("rows"),
      x: tensorRef("x"),
      labels: tensorRef("labels"),
    },
    params: {
      strips,
      inner,
      channels,
      height,
      width,
      shift: isVaried && augmentation === "flip-crop" ? cropShift : 0,
      cutout: varies ? cutout : 0,
    },
    constants: { FLIP: isVaried ? 1 : 0 },
  });
}
