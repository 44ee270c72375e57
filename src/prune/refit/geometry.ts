/**
 * The sizes of a refitted layer: the patches of its input, and its output channels.
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import type { ProductForm } from "../../model/layer.ts";
import { countQuads } from "../../shape.ts";

/** The product of one group of a layer (`ProductForm`), and the layer's name for labels and errors. */
export type RefitGeometry = Omit<ProductForm, "groups"> & { readonly name: string };

/** Quads of a patch, the same as of a row of the weight: taps x quads of the input's channels. */
export function patchQuads({ kernel: [height, width], inChannels }: RefitGeometry): number {
  return height * width * countQuads(inChannels);
}

/**
 * Checks that sizes are whole numbers and fit together.
 *
 * @throws {ShapeError} If they do not.
 */
export function checkGeometry(geometry: RefitGeometry): void {
  const { name, inChannels, inSize, outChannels, outSize, kernel, stride, padding, dilation } = geometry;
  const { paddingAfter = padding } = geometry;
  const fail = (current: string, wanted: string): never => {
    throw new ShapeError({ act: "refit layer", thing: name, current, wanted });
  };
  const positive = { inChannels, outChannels, inSize, outSize, kernel, stride, dilation };
  for (const [what, sizes] of Object.entries(positive)) {
    if ([sizes].flat().every((size) => Number.isInteger(size) && size > 0)) continue;
    fail(`${what} ${sizes}`, "whole numbers above 0");
  }
  if (![...padding, ...paddingAfter].every((size) => Number.isInteger(size) && size >= 0)) {
    fail(`padding ${padding}`, "whole numbers");
  }
  for (const axis of [0, 1] as const) {
    const reach = dilation[axis] * (kernel[axis] - 1) + 1;
    const length = Math.floor((inSize[axis] + padding[axis] + paddingAfter[axis] - reach) / stride[axis]) + 1;
    if (length !== outSize[axis]) fail(`an output of ${outSize[axis]} along axis ${axis}`, `${length}`);
  }
}
