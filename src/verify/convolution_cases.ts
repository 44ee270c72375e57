/**
 * Reference cases of convolutions and linear layers.
 *
 * @module
 */
import { inputRef } from "../kernels/buffer_ref.ts";
import type { Gpu } from "../gpu/device.ts";
import { type Run, runOnce } from "../gpu/run_once.ts";
import { imagesFromQuads, imagesToQuads, rowsFromQuads, rowsToQuads } from "../io/quads.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
import {
  convolutionBackwardBias,
  convolutionBackwardInput,
  convolutionBackwardWeight,
  type ConvolutionContext,
  convolutionForward,
  type ConvolutionGeometry,
} from "../model/convolution.ts";
import { countQuads } from "../shape.ts";
import { type Check, compare, type Goldens } from "./goldens.ts";

/** Largest error relative to max(1, largest value). */
const tolerance = 1e-5;

/** Runs forward and both backward passes with weight and bias in one arena, and returns the buffers. */
async function runConvolution(gpu: Gpu, choose: ProductChooser, { geometry, weight, bias, x, dy }: {
  readonly geometry: ConvolutionGeometry;
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
  readonly x: Float32Array;
  readonly dy: Float32Array;
}) {
  const weightQuads = weight.length / 4, biasQuads = countQuads(geometry.outChannels);
  const values = new Float32Array(weight.length + 4 * biasQuads);
  values.set(weight);
  if (bias) values.set(bias, weight.length);
  const context: ConvolutionContext = {
    name: "case",
    geometry,
    choose,
    weight: 0,
    bias: bias ? weightQuads : undefined,
  };
  const scratch: Record<string, number> = {};
  const declare = (purpose: string, quads: number) => {
    scratch[purpose] = 4 * quads;
    return inputRef(purpose);
  };
  const dispatches: Dispatch[] = [
    ...convolutionForward(context, { x: inputRef("x"), y: inputRef("y"), relu: false, scratch: declare }),
    ...convolutionBackwardInput(context, {
      dy: inputRef("dy"),
      dx: inputRef("dx"),
      gate: undefined,
      scratch: declare,
    }),
    ...convolutionBackwardWeight(context, { x: inputRef("x"), dy: inputRef("dy"), scratch: declare }),
    ...convolutionBackwardBias(context, { dy: inputRef("dy"), scratch: declare }),
  ];
  const sizes = { y: dy.length, dx: x.length, gradients: values.length };
  const buffers: Run["buffers"] = { x, dy, values, ...sizes, ...scratch };
  const result = await runOnce(gpu, { dispatches, buffers });
  const gradients = result.floats("gradients");
  return {
    y: result.floats("y"),
    dx: result.floats("dx"),
    dw: gradients.subarray(0, weight.length),
    db: gradients.subarray(weight.length),
  };
}

/** Checks a conv2d case: x, w, b, dy -> y, dx, dw, db. */
export async function checkConv2d(
  { gpu, choose }: { readonly gpu: Gpu; readonly choose: ProductChooser },
  goldens: Goldens,
  name: string,
): Promise<readonly Check[]> {
  const xShape = goldens.shape(`${name}.x`, 4), yShape = goldens.shape(`${name}.y`, 4);
  const wShape = goldens.shape(`${name}.w`, 4);
  const floats = (tensor: string) => goldens.floats(`${name}.${tensor}`);
  const quads = (tensor: string, shape: readonly number[]) => imagesToQuads(floats(tensor), shape);
  const hasBias = goldens.has(`${name}.b`);
  const geometry: ConvolutionGeometry = {
    images: xShape[0],
    inQuads: countQuads(xShape[1]),
    inHeight: xShape[2],
    inWidth: xShape[3],
    outChannels: yShape[1],
    outHeight: yShape[2],
    outWidth: yShape[3],
    kernelHeight: wShape[2],
    kernelWidth: wShape[3],
    stride: goldens.parameter(name, "stride", 1),
    padding: goldens.parameter(name, "padding", 0),
  };
  const got = await runConvolution(gpu, choose, {
    geometry,
    weight: quads("w", wShape),
    bias: hasBias ? floats("b") : undefined,
    x: quads("x", xShape),
    dy: quads("dy", yShape),
  });
  const check = (tensor: string, values: Float32Array) =>
    compare(`${name} ${tensor}`, { got: values, want: floats(tensor), relative: tolerance });
  const checks = [
    check("y", imagesFromQuads(got.y, yShape)),
    check("dx", imagesFromQuads(got.dx, xShape)),
    check("dw", imagesFromQuads(got.dw, wShape)),
  ];
  return hasBias ? [...checks, check("db", got.db.subarray(0, wShape[0]))] : checks;
}

/** Checks a linear case: x, w, b, dy -> y, dx, dw, db. */
export async function checkLinear(
  { gpu, choose }: { readonly gpu: Gpu; readonly choose: ProductChooser },
  goldens: Goldens,
  name: string,
): Promise<readonly Check[]> {
  const [rows, inFeatures] = goldens.shape(`${name}.x`, 2), [outFeatures] = goldens.shape(`${name}.w`, 2);
  const floats = (tensor: string) => goldens.floats(`${name}.${tensor}`);
  const hasBias = goldens.has(`${name}.b`);
  const got = await runConvolution(gpu, choose, {
    geometry: {
      images: 1,
      inQuads: countQuads(inFeatures),
      inHeight: 1,
      inWidth: rows,
      outChannels: outFeatures,
      outHeight: 1,
      outWidth: rows,
      kernelHeight: 1,
      kernelWidth: 1,
      stride: 1,
      padding: 0,
    },
    weight: rowsToQuads(floats("w"), outFeatures, inFeatures),
    bias: hasBias ? floats("b") : undefined,
    x: rowsToQuads(floats("x"), rows, inFeatures),
    dy: rowsToQuads(floats("dy"), rows, outFeatures),
  });
  const check = (tensor: string, values: Float32Array) =>
    compare(`${name} ${tensor}`, { got: values, want: floats(tensor), relative: tolerance });
  const checks = [
    check("y", rowsFromQuads(got.y, rows, outFeatures)),
    check("dx", rowsFromQuads(got.dx, rows, inFeatures)),
    check("dw", rowsFromQuads(got.dw, outFeatures, inFeatures)),
  ];
  return hasBias ? [...checks, check("db", got.db.subarray(0, outFeatures))] : checks;
}
