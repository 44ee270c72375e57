/**
 * Windows over a map: the fields of convolutions and pooling in a model file.
 *
 * @module
 */
import { z } from "zod";
import { imageBounds, type Pair, toPair, type Windows } from "../shape.ts";

/** Validates a length of at least so many pixels along both sides, or a pair [height, width] of such lengths. */
export function pairField(min: number) {
  const max = imageBounds.side, length = z.int().min(min).max(max);
  const error = `expected a whole number from ${min} to ${max}, or a pair [height, width] of such numbers`;
  return z.union([length, z.tuple([length, length])], { error });
}

/** True if a length is the same along height and width, and equals the given number, if any. */
export function isSquare(pair: Pair, length?: number): boolean {
  const [height, width] = toPair(pair);
  return height === width && (length === undefined || height === length);
}

/** True if there are no zeros around a map. */
export function isUnpadded(
  { padding, paddingAfter = padding }: Pick<Windows, "padding" | "paddingAfter">,
): boolean {
  return isSquare(padding, 0) && isSquare(paddingAfter, 0);
}

/** Strides and paddings as kernel params. */
export function stepParams({ stride, padding }: Pick<Windows, "stride" | "padding">) {
  const [strideY, strideX] = toPair(stride), [paddingY, paddingX] = toPair(padding);
  return { stride_y: strideY, stride_x: strideX, padding_y: paddingY, padding_x: paddingX };
}
