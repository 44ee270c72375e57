/**
 * Convolutions by 3 x 3 filters with stride 1, by Winograd's F(2 x 2, 3 x 3): 16 products instead of 36 per tile of 2
 * x 2 pixels. A second dispatch, before the product, transforms the filters.
 *
 * @module
 */
import type { BufferRef } from "./buffer_ref.ts";
import { winogradTable } from "./core_table.ts";
import { KernelError } from "../errors.ts";
import { type Dispatch, dispatchOver } from "./dispatch.ts";
import type { ProductShape } from "./product.ts";

/** The cores for the products that `winogradMap` accepts, and no others; the first computes 32 channels a lane. */
export const winogradProductCores: readonly string[] = Object.keys(winogradTable);

/**
 * The core for weight gradients, with products along the lines only: 4 instead of 6 for two pixels under three taps.
 */
export const winogradWeightCore = "winograd/backward_weight";

/** Quads of transformed filters, at most: 128 MiB, which kernels of every adapter can bind. */
const maxTransformedQuads = 2 ** 23;

/** The Winograd cores that compute a product. */
export function winogradCores(shape: ProductShape): readonly string[] {
  const isWeight = shape.operation === "gemm/conv2d_backward_weight" && hasUnitSteps(shape);
  const map = winogradMap(shape), isMap = map !== undefined && transformedQuads(map) <= maxTransformedQuads;
  return [...(isMap ? winogradProductCores : []), ...(isWeight ? [winogradWeightCore] : [])];
}

function transformedQuads({ filters, quads }: WinogradMap): number {
  return 16 * filters * quads;
}

/** Pixels along each side of a tile. */
const tileSide = 2;

/** Tiles side by side in one invocation. */
const tilesALane = 4;

/** The output of a convolution, and its filters. */
export interface WinogradMap {
  readonly images: number;
  /** Height of the output, in pixels. */
  readonly height: number;
  readonly width: number;
  /** Filters of the layer, O, and quads per tap of a filter. */
  readonly filters: number;
  readonly quads: number;
}

/** True if filters are three taps wide, and windows and taps are one pixel apart along both sides. */
function hasUnitSteps({ sizes: { kernel_width: width, stride, ...steps } = {} }: ProductShape): boolean {
  const lengths = stride === undefined
    ? [steps.stride_y, steps.stride_x, steps.dilation_y, steps.dilation_x]
    : [stride];
  return width === 3 && lengths.every((length) => length === 1);
}

/**
 * The output of a product that is a convolution by 3 x 3 filters with stride 1; undefined for other products.
 */
export function winogradMap(shape: ProductShape): WinogradMap | undefined {
  if (!hasUnitSteps(shape)) return undefined;
  const { operation, rows, columns, segments, inner, sizes = {} } = shape;
  const isPooled = operation === "gemm/conv2d_forward_pooled";
  if (segments !== (isPooled ? 3 : 9)) return undefined;
  const mapOf = (height: number, width: number, filters: number, quads: number) => ({
    images: rows / (height * width),
    height,
    width,
    filters,
    quads,
  });
  switch (operation) {
    case "gemm/conv2d_forward":
      return mapOf(sizes.out_height, sizes.out_width, columns, inner);
    case "gemm/conv2d_forward_pooled":
      return mapOf(2 * sizes.pooled_height, 2 * sizes.pooled_width, columns, sizes.in_quads);
    case "gemm/conv2d_backward_input":
      return mapOf(sizes.in_height, sizes.in_width, sizes.out_channels, Math.ceil(columns / 4));
    default:
      return undefined;
  }
}

/** Invocations per block of a product's columns: one for four tiles side by side. */
export function winogradLanes({ images, height, width }: WinogradMap): number {
  return images * Math.ceil(height / tileSide) * Math.ceil(width / (tilesALane * tileSide));
}

/**
 * The cost of a lane of these cores, in the units of textureCost (gemm.ts). A round multiplies 16 times per column, 512
 * times in winograd/backward_weight, transforms included. In winograd/product 4 rounds per quad replace 9 of other cores,
 * each reads 20 texels of the input and half a texel of the filters per column, and work once per invocation costs 12
 * with 32 columns. A round of winograd/backward_weight reads 18 texels for eight pixels instead of four.
 */
export function winogradLaneCost(
  { segments, inner, sizes = {} }: ProductShape,
  core: string,
  columns: number,
): number {
  if (core === winogradWeightCore) return Math.ceil(sizes.out_width / 8) / inner * (0.19 * 18 + 0.02 * 512);
  const once = 12 * columns / 32, round = 0.19 * (20 + columns / 2) + 0.02 * 16 * columns;
  return 4 / 9 * (round + once / (segments * inner / 9));
}

/** The operation's kernel that the core is joined with. */
export function winogradOperation(operation: string): string {
  return operation.replace("gemm/conv2d_", "winograd/");
}

/** The dispatch that transforms a layer's filters. */
export function transformFilters(
  shape: ProductShape,
  { label, values, weight, transformed }: {
    readonly label: string;
    /** The arena that holds the weight. */
    readonly values: BufferRef;
    readonly weight: number;
    readonly transformed: (quads: number) => BufferRef;
  },
): Dispatch {
  const map = winogradMap(shape);
  if (!map) {
    const wanted = "a convolution by 3 x 3 filters at stride 1";
    throw new KernelError({ act: "transform filters of", thing: label, current: shape.operation, wanted });
  }
  const { filters, quads } = map;
  return dispatchOver(filters * quads, {
    kernel: "winograd/weight",
    label: `${label}, filters`,
    bindings: { values, transformed: transformed(transformedQuads(map)) },
    params: { filters, in_quads: quads, weight },
  });
}
