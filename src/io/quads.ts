/**
 * Between PyTorch's order of numbers (N, C, H, W) and the device's (N, H, W, quads of C).
 *
 * @module
 */
import { countQuads } from "../shape.ts";

/** Lays rows (rows, channels) out in quads (rows, quads of channels, 4), filled up with zeros. */
export function rowsToQuads(values: ArrayLike<number>, rows: number, channels: number): Float32Array {
  return imagesToQuads(values, [rows, channels, 1, 1]);
}

/** Takes rows (rows, channels) out of quads. */
export function rowsFromQuads(quads: ArrayLike<number>, rows: number, channels: number): Float32Array {
  return imagesFromQuads(quads, [rows, channels, 1, 1]);
}

/** Lays (N, C, H, W) out as (N, H, W, quads of C, 4); weights (O, I, KH, KW) likewise. */
export function imagesToQuads(values: ArrayLike<number>, shape: readonly number[]): Float32Array {
  const [images, channels, height, width] = shape;
  const quads = new Float32Array(images * height * width * 4 * countQuads(channels));
  forEachNumber(shape, (index, offset) => quads[offset] = values[index]);
  return quads;
}

/** The inverse of `imagesToQuads`. */
export function imagesFromQuads(quads: ArrayLike<number>, shape: readonly number[]): Float32Array {
  const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
  forEachNumber(shape, (index, offset) => values[index] = quads[offset]);
  return values;
}

function forEachNumber(
  [images, channels, height, width]: readonly number[],
  visit: (index: number, offset: number) => void,
): void {
  const area = height * width, pixelFloats = 4 * countQuads(channels);
  for (let image = 0; image < images; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const plane = (image * channels + channel) * area;
      for (let pixel = 0; pixel < area; pixel++) {
        visit(plane + pixel, (image * area + pixel) * pixelFloats + channel);
      }
    }
  }
}
